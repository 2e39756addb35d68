"""Fixtures of the tests in a real ComfyUI; without one the tests are skipped, with instructions."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent))

from browser import HOW_TO_GET_A_BROWSER, find_chromium, open_browser
from comfy_server import HOW_TO_GET_COMFYUI, ComfyServer, can_mount, find_comfyui, link_pack
from workflow_files import load_prompt, load_workflow, nodes_of, with_probes

HERE = Path(__file__).resolve().parent
TINY_DISKS = ("models/styleswap/identities/tiny", "output/tiny")


def pytest_collection_modifyitems(items):
    found = find_comfyui() is not None
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.comfyui)
        if not found:
            item.add_marker(pytest.mark.skip(reason=HOW_TO_GET_COMFYUI))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A running ComfyUI with this pack and the probe pack; shared, so tests must leave its queue empty."""
    base = tmp_path_factory.mktemp("comfyui")
    link_pack(base)
    shutil.copytree(HERE / "probe_pack", base / "custom_nodes" / "probe_pack")
    with ComfyServer(base, TINY_DISKS if can_mount() else ()) as running:
        yield running


@pytest.fixture(scope="session")
def node_infos(server):
    """`/object_info` of every node, core nodes included."""
    return server.get("/object_info")


@pytest.fixture(scope="session")
def own_nodes(node_infos):
    """`/object_info` of this pack's nodes alone."""
    return {name: info for name, info in node_infos.items() if name.startswith("StyleSwap_")}


@pytest.fixture(scope="session")
def template_runs(server):
    """Function that returns the first and the second run of a template, with its images shown; each is run once.

    Right after a run of the same template in the browser, most results come from the server's cache.
    """
    runs = {}

    def run(name):
        if name not in runs:
            prompt = with_probes(load_prompt(name))
            for key in nodes_of(prompt, "StyleSwap_SaveImage"):
                # A different name, so that the image is saved even if another test ran the same workflow.
                prompt[key]["inputs"]["filename_prefix"] = f"templates/{name}"
            runs[name] = server.run(prompt, load_workflow(name)), server.run(prompt, load_workflow(name))
        return runs[name]

    return run


@pytest.fixture(scope="session")
def analyzer():
    """The demo pack's face analysis outside ComfyUI, to evaluate the results."""
    from styleswap_core.faces.analysis import load_face_analysis

    return load_face_analysis()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory):
    """Folder for screenshots: COMFYUI_SCREENSHOTS, or a temporary one."""
    named = os.environ.get("COMFYUI_SCREENSHOTS")
    folder = Path(named).resolve() if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser():
    """Chromium, where it and playwright are installed."""
    pytest.importorskip("playwright.sync_api", reason=HOW_TO_GET_A_BROWSER)
    if find_chromium() is None:
        pytest.skip(HOW_TO_GET_A_BROWSER)
    with open_browser() as opened:
        yield opened
