"""The pack in ComfyUI's page in a real browser. The screenshots are worth a look, too."""

import contextlib
import json

import pytest
from browser import HOW_TO_GET_A_BROWSER, find_chromium, open_page, vue_nodes
from comfy_server import PACK_NAME
from newcomer import first_swap
from template_layout import half_in_groups, overlaps
from workflow_files import (
    QUICK,
    SYNTHETIC,
    as_saved,
    load_prompt,
    load_workflow,
    self_contained,
    template_names,
)

pytest.importorskip("playwright.sync_api", reason=HOW_TO_GET_A_BROWSER)
pytestmark = pytest.mark.skipif(find_chromium() is None, reason=HOW_TO_GET_A_BROWSER)


@pytest.fixture(scope="module")
def page(browser, server):
    with open_page(browser, server) as opened:
        yield opened


@pytest.mark.parametrize("name", self_contained())
def test_a_template_opens_as_saved_and_runs(request, page, node_infos, screenshots, name):
    workflow = load_workflow(name)
    page.load(workflow)
    page.screenshot().save(screenshots / f"{name}-opened.png")
    assert page.missing_types() == []
    assert page.dialogs() == []
    assert page.error_texts() == []
    _assert_arranged(page, workflow)
    assert as_saved(page.prompt(), load_prompt(name), node_infos) == load_prompt(name)
    now = page.serialize()
    assert _links(now) == _links(workflow)
    saved = _widgets(workflow)
    # Newer versions of core nodes have further widgets, after those that were saved.
    assert {key: (kind, values[: len(saved[key][1])]) for key, (kind, values) in _widgets(now).items()} == saved
    entry = page.run()
    page.screenshot().save(screenshots / f"{name}.png")
    assert entry["status"]["status_str"] == "success"
    assert page.dialogs() == [] and page.errors == [] and page.error_texts() == []
    _assert_arranged(page, workflow)
    assert page.pictures_shown_twice() == []
    # The runs that tests of another file need reuse the results while they are in the server's cache.
    if any("template_runs" in item.fixturenames for item in request.session.items if item.path != request.path):
        request.getfixturevalue("template_runs")(name)


def test_a_newcomer_swaps_a_face_in_at_most_six_clicks(page, screenshots):
    clicks, entry = first_swap(page)
    page.screenshot().save(screenshots / "newcomer.png")
    assert clicks <= 6
    assert entry["status"]["status_str"] == "success"
    (saved,) = [node["id"] for node in page.serialize()["nodes"] if node["type"] == "StyleSwap_SaveImage"]
    assert entry["outputs"][str(saved)]["images"]
    assert page.dialogs() == [] and page.errors == []


def test_a_slider_compares_before_and_after(page, node_infos, screenshots):
    """Where the core has that widget; pages draw it with nodes that are elements only."""
    known = "compare" in node_infos[QUICK]["input"].get("optional", {})
    if not known or not vue_nodes():
        pytest.skip("no slider in this version of ComfyUI, or in this kind of nodes")
    workflow = load_workflow("16_quick_swap")
    (node,) = [node for node in workflow["nodes"] if node["type"] == QUICK]
    synthetic = next(node for node in workflow["nodes"] if node["type"] == SYNTHETIC)
    page.load(workflow)
    shown = []
    for setting in (76, 77, 76):
        synthetic["widgets_values"][3] = setting
        page.load(workflow)
        page.run()
        images = page.page.locator(f"[data-node-id='{node['id']}'] img")
        images.nth(1).wait_for()
        shown.append(images.evaluate_all("all => all.map(image => image.src)"))
        assert images.count() == 2
        assert "compare" not in page.prompt()[str(node["id"])]["inputs"], "what is shown must not run the node again"
    page.screenshot().save(screenshots / "compare.png")
    assert not set(shown[0]) & set(shown[1])
    assert len(shown) == 3, "a result from the cache shows its images again"


def test_the_template_browser_shows_the_thumbnails(page, screenshots):
    page.browse_templates(PACK_NAME)
    page.screenshot().save(screenshots / "template-browser.png")
    for name in template_names():
        assert page.thumbnail_width(name) > 0
    page.page.keyboard.press("Escape")


@pytest.mark.parametrize("locale", ["en", "ko", "zh", "ja"])
def test_nodes_and_help_are_translated(browser, page, server, screenshots, locale):
    texts = server.get("/i18n")[locale]["nodeDefs"]["StyleSwap_SwapFace"]
    # Opening a page is slow; the English one is open already.
    with contextlib.nullcontext(page) if locale == "en" else open_page(browser, server, locale) as page:
        page.load(load_workflow("01_first_swap"))
        shown = page.page.evaluate(
            "() => { const node = app.graph.nodes.find(n => n.type === 'StyleSwap_SwapFace');"
            " app.canvas.selectNode(node); return {title: node.constructor.title,"
            " inputs: node.inputs.map(i => i.localized_name ?? i.label ?? i.name),"
            " outputs: node.outputs.map(o => o.localized_name ?? o.label ?? o.name)} }"
        )
        assert shown["title"] == texts["display_name"]
        assert set(shown["inputs"]) == {entry["name"] for entry in texts["inputs"].values()}
        assert shown["outputs"] == [entry["name"] for entry in texts["outputs"].values()]
        # Not with the mouse: the bar that the button is in slides in, and follows its node while the page settles.
        page.page.get_by_test_id("info-button").dispatch_event("click")
        panel = page.page.locator(".node-help-content")
        panel.get_by_text(next(iter(texts["inputs"].values()))["name"]).first.wait_for()
        assert panel.locator("img").first.evaluate("async image => { await image.decode(); return image.naturalWidth }")
        page.screenshot().save(screenshots / f"help-{locale}.png")
        assert page.errors == []


def _assert_arranged(page, workflow):
    rectangles = page.rectangles()
    assert overlaps(rectangles) == []
    assert half_in_groups(rectangles, workflow["groups"]) == []


def _links(workflow):
    return sorted(json.dumps(link) for link in workflow["links"])


def _widgets(workflow):
    # Older pages save the file of a Load Video that has none as this word.
    return {
        node["id"]: (
            node["type"],
            ["" if value == "undefined" else value for value in node.get("widgets_values") or []],
        )
        for node in workflow["nodes"]
    }
