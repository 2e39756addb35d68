"""The templates for photographs: what they ask for, and their runs with the demo's networks in place of the files."""

import numpy as np
import pytest
from browser import open_page
from comfy_server import ComfyServer, link_pack
from photograph_files import with_files, write_files
from workflow_files import PHOTOGRAPHS, load_prompt, load_workflow, only, template_names, with_probes

LOAD = "StyleSwap_LoadModel"
GUEST = "10_photographs"


@pytest.fixture(scope="module")
def without_files(tmp_path_factory):
    """A server as a newcomer has it."""
    base = tmp_path_factory.mktemp("newcomer")
    link_pack(base)
    with ComfyServer(base) as server:
        yield server


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of both templates with the stand-ins."""
    base = tmp_path_factory.mktemp("photographs")
    link_pack(base)
    write_files(base)
    with ComfyServer(base) as server:
        yield {name: server.run(with_probes(with_files(name))) for name in PHOTOGRAPHS}


def test_both_exist():
    assert set(PHOTOGRAPHS) < set(template_names())


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_nothing_is_downloaded_unasked(name):
    prompt = load_prompt(name)
    assert prompt[only(prompt, "StyleSwap_LoadFaceAnalysis")]["inputs"]["download"] is False


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_run_without_the_files_says_what_is_missing(without_files, name):
    prompt = load_prompt(name)
    status, answer = without_files.post("/prompt", {"prompt": prompt})
    problems = {node["class_type"]: str(node["errors"]) for node in answer["node_errors"].values()}
    assert status == 400
    assert prompt[only(prompt, LOAD)]["inputs"]["model_name"] in problems[LOAD]
    assert "download" in problems["StyleSwap_LoadFaceAnalysis"]


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_the_target_becomes_the_source(runs, analyzer, name):
    run = runs[name]
    (source,), (target,), (result,) = (run.pixels(key) for key in ("source", "target", "swapped"))
    (person,), (face,) = analyzer.detect(source), analyzer.detect(target)
    after = analyzer.embed(result, face.points)
    assert float(after @ person.id_embedding) > float(face.id_embedding @ person.id_embedding) + 0.25
    outside = run.pixels("mask")[0, ..., 0] == 0
    assert outside.mean() > 0.3 and np.abs(result.astype(int) - target)[outside].max() <= 1


def test_a_network_of_another_program_runs_in_phases(runs):
    prompt = load_prompt(GUEST)
    (report,) = runs[GUEST].texts(only(prompt, "PreviewAny"))
    assert "resolution 1x" not in report and ", resolution " in report
    (saved,) = runs[GUEST].pictures(only(prompt, "StyleSwap_SaveImage"))
    assert saved.text["styleswap"].startswith("face swapped; model hyperswap_1a_256 (hyperswap) ")


def test_models_are_named_with_address_and_folder(without_files):
    folders = {folder["name"] for folder in without_files.get("/experiment/models")}
    for name in PHOTOGRAPHS:
        loaders = [node for node in load_workflow(name)["nodes"] if node["type"] == LOAD]
        for model in loaders[0]["properties"].get("models", ()):
            assert model["url"].startswith("https://huggingface.co/") and model["url"].endswith(model["name"])
            assert model["directory"] in folders
    chosen = next(node for node in load_workflow(GUEST)["nodes"] if node["type"] == LOAD)
    assert chosen["widgets_values"][0] in [model["name"] for model in chosen["properties"]["models"]]


def test_the_page_names_what_is_missing_and_where_to_get_it(browser, without_files, screenshots):
    with open_page(browser, without_files) as page:
        page.load(load_workflow(GUEST))
        page.page.locator(".p-dialog").get_by_text("hyperswap_1a_256.onnx").first.wait_for()
        page.screenshot().save(screenshots / "missing-models.png")
        assert "hyperswap / hyperswap_1a_256.onnx" in page.dialogs()[0]
        assert page.missing_types() == []
