"""Routes that the browser requests: node definitions, templates, translations, help pages."""

import io
import json
import urllib.error
import urllib.parse

import pytest
from comfy_server import PACK, PACK_NAME
from PIL import Image
from workflow_files import TEMPLATES, template_names

from styleswap_core.faces.choice import FaceChoice
from styleswap_core.faces.detected import FACE_ORDERS

LANGUAGES = ("en", "ko", "zh", "ja")
THUMBNAIL_SIDE = 400


def test_every_node_is_documented(own_nodes):
    assert len(own_nodes) >= 13
    for name, info in own_nodes.items():
        assert info["category"].startswith("StyleSwap/"), name
        assert len(info["description"]) > 30, name
        assert info["display_name"] != name
        assert info["python_module"] == f"custom_nodes.{PACK_NAME}"
        for group in ("required", "optional"):
            for key, (kind, *options) in info["input"].get(group, {}).items():
                assert options and options[0].get("tooltip"), f"{name}.{key} has no tooltip"
                if kind in ("INT", "FLOAT"):
                    assert options[0]["min"] < options[0]["max"], f"{name}.{key}"
        assert all(info["output_tooltips"]), f"{name}: an output has no tooltip"


def test_faces_are_numbered_as_in_the_core(own_nodes):
    orders = [
        info["input"]["required"]["order"][1] for info in own_nodes.values() if "order" in info["input"]["required"]
    ]
    assert len(orders) >= 4
    for order in orders:
        assert order["default"] == FaceChoice().order == "largest"
        assert sorted(order["options"]) == sorted(FACE_ORDERS)


def test_templates_are_listed(server):
    listed = server.get("/api/workflow_templates")
    assert sorted(listed[PACK_NAME]) == template_names()
    assert len(template_names()) >= 6


@pytest.mark.parametrize("name", template_names())
def test_templates_and_thumbnails_are_served(server, name):
    folder = f"/api/workflow_templates/{PACK_NAME}/{urllib.parse.quote(name)}"
    assert server.get(f"{folder}.json") == json.loads((TEMPLATES / f"{name}.json").read_text(encoding="utf-8"))
    with Image.open(io.BytesIO(server.fetch(f"{folder}.jpg"))) as picture:
        assert picture.format == "JPEG"
        assert min(picture.size) >= THUMBNAIL_SIDE


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_are_complete(server, own_nodes, language):
    texts = server.get("/i18n")[language]
    expected = {name: _texts_of(info) for name, info in own_nodes.items()}
    for name, keys in expected.items():
        given = texts["nodeDefs"][name]
        assert given["display_name"] and given["description"]
        assert set(given["inputs"]) == set(keys["inputs"]), name
        assert set(given["outputs"]) == set(keys["outputs"]), name
        for entry in [*given["inputs"].values(), *given["outputs"].values()]:
            assert entry["name"].strip() and entry["tooltip"].strip(), name
    own = {name for name in texts["nodeDefs"] if name.startswith("StyleSwap_")}
    assert own == set(expected)
    assert {part for info in own_nodes.values() for part in info["category"].split("/")} <= (
        set(texts["nodeCategories"]) | {"loaders", "image"}
    )


def test_english_texts_equal_those_of_the_nodes(server, own_nodes):
    texts = server.get("/i18n")["en"]["nodeDefs"]
    for name, info in own_nodes.items():
        assert texts[name]["display_name"] == info["display_name"]
        assert texts[name]["description"] == info["description"]
        for key, entry in _texts_of(info)["inputs"].items():
            assert texts[name]["inputs"][key]["tooltip"] == entry, f"{name}.{key}"
        for key, entry in _texts_of(info)["outputs"].items():
            assert texts[name]["outputs"][key]["tooltip"] == entry, f"{name} output {key}"


def test_every_language_is_translated(server):
    texts = server.get("/i18n")
    for name, english in texts["en"]["nodeDefs"].items():
        for language in LANGUAGES[1:]:
            other = texts[language]["nodeDefs"][name]
            assert other["description"] != english["description"], f"{name} is not translated to {language}"


@pytest.mark.parametrize("page", ["{}.md", "{}/ko.md", "{}/zh.md", "{}/ja.md"])
def test_help_pages_and_their_images_are_served(server, own_nodes, page):
    for name in own_nodes:
        text = server.fetch(f"/extensions/{PACK_NAME}/docs/" + page.format(name)).decode()
        # The browser requests the images beside the English page in every language.
        picture = f"images/{name}.jpg"
        assert f"]({picture})" in text
        with Image.open(io.BytesIO(server.fetch(f"/extensions/{PACK_NAME}/docs/{picture}"))) as opened:
            assert opened.width >= 300


def test_no_help_page_is_obsolete(own_nodes):
    docs = PACK / "web" / "docs"
    pages = {path.stem for path in docs.glob("*.md")} | {path.name for path in docs.iterdir() if path.is_dir()}
    assert pages == set(own_nodes) | {"images"}


def test_only_the_web_folder_is_served(server):
    for path in ("__init__.py", "pyproject.toml", "../pyproject.toml", "%2e%2e/pyproject.toml"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            server.fetch(f"/extensions/{PACK_NAME}/{path}")
        assert refused.value.code in (403, 404)


def _texts_of(info):
    """Tooltips by the keys of the translations: input ids and output numbers."""
    inputs = {
        key: options[0]["tooltip"]
        for group in ("required", "optional")
        for key, (kind, *options) in info["input"].get(group, {}).items()
        # The slider of newer versions shows no text.
        if kind != "IMAGECOMPARE"
    }
    outputs = {str(number): tooltip for number, tooltip in enumerate(info["output_tooltips"])}
    return {"inputs": inputs, "outputs": outputs}
