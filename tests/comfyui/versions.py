"""Run the tests in ComfyUI's page in several versions, and write the table of results into the docs.

    python tests/comfyui/versions.py [--write] [--only TEXT] [PYTEST_ARGUMENT ...]

The settings are the lowest supported core (COMFYUI_PATH, or ~/comfy/ComfyUI), and a newer one (COMFYUI_NEWER, or
~/comfy/ComfyUI-0.25) with its own frontend and with the newest one (COMFYUI_NEWEST_FRONTEND, an unpacked
`comfyui-frontend-package`, or the last in ~/comfy/frontend), with nodes drawn on the canvas and as elements of the
page. Screenshots of each go to a folder of its name in COMFYUI_SCREENSHOTS, if that is set.

With --only, --write replaces the rows of the settings that ran and keeps the others.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))

from browser import open_browser, open_page, vue_nodes
from comfy_server import PACK, ComfyServer, link_pack

HERE = Path(__file__).resolve().parent
PAGE_TESTS = [HERE / "test_browser.py", HERE / "test_replaced_nodes.py"]
RESULT_TESTS = [HERE / "test_templates.py"]
PAGE = PACK / "docs" / "installation.md"
START, END = "<!-- versions -->", "<!-- /versions -->"
HEAD = "| ComfyUI | frontend | nodes | tests passed |\n| --- | --- | --- | --- |"
NODES = {"canvas": "canvas", "vue": "Nodes 2.0"}
Key = tuple[str, str, str]
"""Versions of ComfyUI and of its frontend, and the kind of nodes."""


@dataclass(frozen=True)
class Setting:
    """What the tests run in.

    Attributes:
        name: For `--only`.
        core: Folder of ComfyUI.
        frontend: Folder of the frontend; None for the one that ComfyUI brings.
        nodes: "canvas" or "vue", as in COMFYUI_NODES.
        results: Whether the results of the templates are evaluated too. They depend on the core alone.
    """

    name: str
    core: Path
    frontend: Path | None
    nodes: str
    results: bool = False

    def environment(self) -> dict[str, str]:
        """The variables that the tests read."""
        kept = {name: value for name, value in os.environ.items() if name not in ("COMFYUI_PYTHON", "COMFYUI_FRONTEND")}
        named = {"COMFYUI_PATH": str(self.core), "COMFYUI_NODES": self.nodes}
        if self.frontend:
            named["COMFYUI_FRONTEND"] = str(self.frontend)
        if screenshots := os.environ.get("COMFYUI_SCREENSHOTS"):
            named["COMFYUI_SCREENSHOTS"] = str(Path(screenshots).resolve() / self.name)
        return kept | named


def main() -> int:
    """Command line; returns 1 if a test failed in any setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.relative_to(PACK)}")
    parser.add_argument("--only", default="", metavar="TEXT", help="only settings whose names contain this")
    parser.add_argument("--versions", action="store_true", help=argparse.SUPPRESS)
    args, pytest_arguments = parser.parse_known_args()
    if args.versions:
        print(*_versions_here(), sep="\t")
        return 0
    rows, failures = rows_of(PAGE.read_text(encoding="utf-8")) if args.only else {}, 0
    for setting in filter(lambda setting: args.only in setting.name, _settings()):
        key, passed, run = _try(setting, pytest_arguments)
        rows[key] = f"{passed} of {run}"
        failures += run - passed
        # After each setting, since all of them together take long.
        if args.write:
            PAGE.write_text(with_rows(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")
    print(table_of(rows))
    return 1 if failures else 0


def rows_of(page: str) -> dict[Key, str]:
    """The table's last cell for each setting, from the text of the page; empty if the table has another head."""
    table = page.split(START)[1].split(END)[0].strip()
    if not table.startswith(HEAD):
        return {}
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
    return {(core, frontend, nodes): passed for core, frontend, nodes, passed in cells}


def table_of(rows: Mapping[Key, str]) -> str:
    """The table, from the oldest to the newest version."""

    def place(key: Key) -> tuple[list[int], list[int], bool]:
        core, frontend, nodes = key
        return _numbers(core), _numbers(frontend), nodes == NODES["vue"]

    return "\n".join([HEAD, *(f"| {' | '.join((*key, rows[key]))} |" for key in sorted(rows, key=place))])


def with_rows(page: str, rows: Mapping[Key, str]) -> str:
    """The text of the page with another table."""
    before, rest = page.split(START)
    return f"{before}{START}\n{table_of(rows)}\n{END}{rest.split(END)[1]}"


def _settings() -> list[Setting]:
    """The settings whose folders exist; the others are named on stderr."""

    def folder(variable: str, default: str) -> Path:
        return Path(os.environ.get(variable) or default).expanduser().resolve()

    lowest, newer = folder("COMFYUI_PATH", "~/comfy/ComfyUI"), folder("COMFYUI_NEWER", "~/comfy/ComfyUI-0.25")
    places = Path("~/comfy/frontend").expanduser().glob("*/comfyui_frontend_package")
    unpacked = sorted(places, key=lambda path: _numbers(path.parent.name))
    newest = folder("COMFYUI_NEWEST_FRONTEND", str(unpacked[-1]) if unpacked else "~/comfy/frontend")
    found = []
    for setting in (
        Setting("lowest", lowest, None, "canvas", results=True),
        Setting("newer-canvas", newer, None, "canvas", results=True),
        Setting("newer-vue", newer, None, "vue"),
        Setting("newest-canvas", newer, newest, "canvas"),
        Setting("newest-vue", newer, newest, "vue"),
    ):
        missing = [path for path in (setting.core, setting.frontend) if path is not None and not path.is_dir()]
        if missing:
            print(f"NOT RUN: {setting.name}; there is no {missing[0]}", file=sys.stderr)
        else:
            found.append(setting)
    return found


def _numbers(version: str) -> list[int]:
    """Numbers in a version, or in the name of an unpacked package, by which versions are ordered."""
    return [int(part) for part in version.replace("-", ".").split(".") if part.isdigit()]


def _try(setting: Setting, arguments: Sequence[str]) -> tuple[Key, int, int]:
    """Versions and kind of nodes, and how many tests passed and ran."""
    environment = setting.environment()
    asked = subprocess.run(
        [sys.executable, __file__, "--versions"], env=environment, capture_output=True, text=True, check=True
    )
    core, frontend = asked.stdout.split("\t")
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        tests = PAGE_TESTS + (RESULT_TESTS if setting.results else [])
        command = [sys.executable, "-m", "pytest", "-p", "no:randomly", f"--junit-xml={results}", *arguments]
        command += map(str, tests)
        subprocess.run(command, cwd=PACK, env=environment)
        suite = ElementTree.parse(results).getroot().find("testsuite")
    assert suite is not None
    run, failed = int(suite.get("tests", 0)), int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    run -= int(suite.get("skipped", 0))
    return (core, frontend.strip(), NODES[setting.nodes]), run - failed, run


def _versions_here() -> tuple[str, str]:
    """Versions of ComfyUI and its frontend that the environment variables name."""
    with tempfile.TemporaryDirectory() as base:
        link_pack(Path(base))
        with (
            ComfyServer(Path(base)) as server,
            open_browser() as browser,
            open_page(browser, server, vue=vue_nodes()) as page,
        ):
            frontend = page.page.evaluate("() => window.__COMFYUI_FRONTEND_VERSION__")
            return server.get("/system_stats")["system"]["comfyui_version"], frontend


if __name__ == "__main__":
    sys.exit(main())
