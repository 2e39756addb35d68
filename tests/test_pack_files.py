"""Files that ship with the node pack: templates, thumbnails, help pages, translations, README."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS, DOCS, LOCALES = ROOT / "workflows", ROOT / "web" / "docs", ROOT / "locales"
LANGUAGES = ("en", "ko", "zh", "ja")
TEMPLATES = sorted(path.stem for path in WORKFLOWS.glob("*.json"))
# Folders that ComfyUI searches for templates; a second one would list templates twice.
TEMPLATE_FOLDERS = ("example_workflows", "example", "examples", "workflow", "workflows")
MAX_PICTURE_BYTES = 300_000


def _load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_there_is_one_template_folder():
    assert [name for name in TEMPLATE_FOLDERS if (ROOT / name).is_dir()] == ["workflows"]
    assert len(TEMPLATES) >= 6


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_has_a_thumbnail_and_an_api_workflow(name):
    with Image.open(WORKFLOWS / f"{name}.jpg") as picture:
        assert picture.size == (512, 512)
    workflow, prompt = _load(WORKFLOWS / f"{name}.json"), _load(WORKFLOWS / "api" / f"{name}.json")
    assert {str(node["id"]) for node in workflow["nodes"]} >= set(prompt)
    assert all(node["class_type"] for node in prompt.values())


def test_template_folder_has_no_leftovers():
    files = {path.name for path in WORKFLOWS.iterdir() if path.is_file()}
    assert files == {f"{name}.{suffix}" for name in TEMPLATES for suffix in ("json", "jpg")}
    assert {path.stem for path in (WORKFLOWS / "api").iterdir()} == set(TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
def test_nodes_in_templates_name_their_pack(name):
    """ComfyUI uses the name to suggest the pack to people who do not have it."""
    for node in _load(WORKFLOWS / f"{name}.json")["nodes"]:
        if node["type"].startswith("StyleSwap_"):
            assert node["properties"]["cnr_id"] == "styleswap"


@pytest.mark.parametrize("path", sorted((ROOT / "subgraphs").glob("*.json")), ids=lambda path: path.stem)
def test_a_blueprint_is_one_node_with_its_graph(path):
    """The form of those that ComfyUI ships."""
    blueprint = _load(path)
    (node,), (graph,) = blueprint["nodes"], blueprint["definitions"]["subgraphs"]
    assert node["type"] == graph["id"] and node["title"] == graph["name"] == path.stem
    for kind in ("inputs", "outputs"):
        assert [slot["name"] for slot in node[kind]] == [slot["name"] for slot in graph[kind]]
    inner = {one["id"]: one for one in graph["nodes"]}
    assert all(one["properties"]["cnr_id"] == "styleswap" for one in inner.values())
    links = {link["id"]: link for link in graph["links"]}
    for one in inner.values():
        for place, slot in enumerate(one["inputs"]):
            if slot["link"] is not None:
                link = links[slot["link"]]
                assert (link["target_id"], link["target_slot"], link["type"]) == (one["id"], place, slot["type"])
    for key, widget in node["properties"]["proxyWidgets"]:
        assert widget in {slot["name"] for slot in inner[int(key)]["inputs"] if "widget" in slot}


@pytest.mark.parametrize("file", ["nodeDefs.json", "main.json"])
@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_translations_have_the_same_keys(language, file):
    def keys(value, path=""):
        if not isinstance(value, dict):
            assert isinstance(value, str) and value.strip(), path
            return {path}
        return set().union(*(keys(entry, f"{path}/{name}") for name, entry in value.items()))

    assert keys(_load(LOCALES / language / file)) == keys(_load(LOCALES / "en" / file))


@pytest.mark.parametrize("node", sorted(_load(LOCALES / "en" / "nodeDefs.json")))
def test_every_node_has_help_in_every_language_with_a_picture(node):
    pages = [DOCS / f"{node}.md", *(DOCS / node / f"{language}.md" for language in LANGUAGES[1:])]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.startswith("# ") and len(text) > 200
        for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
            # Paths are relative to the English page, whatever the language.
            assert (DOCS / picture).is_file(), f"{page.relative_to(ROOT)}: {picture}"


def test_pictures_are_small():
    pictures = [*WORKFLOWS.glob("*.jpg"), *DOCS.rglob("*.jpg"), *(ROOT / "docs").rglob("*.jpg")]
    assert pictures
    large = [str(path.relative_to(ROOT)) for path in pictures if path.stat().st_size > MAX_PICTURE_BYTES]
    assert not large


def test_readme_lists_every_template_and_its_pictures_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in TEMPLATES:
        assert f"`{name}`" in text
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file(), picture


def test_registry_package_contains_what_users_need():
    patterns = (ROOT / ".comfyignore").read_text(encoding="utf-8").splitlines()
    ignored = {line.strip("/").split("/")[0] for line in patterns if line and not line.startswith("#")}
    needed = {"__init__.py", "nodes", "styleswap_core", "workflows", "web", "locales", "requirements.txt", "LICENSE"}
    assert not ignored & needed
    assert {".*", "tests", "benchmarks", "docs", "mkdocs.yml", "CONTRIBUTING.md"} <= ignored
