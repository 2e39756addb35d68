"""ComfyUI's page in headless Chromium: load a workflow, take screenshots, run it."""

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

from comfy_server import ComfyServer
from PIL import Image

HOW_TO_GET_A_BROWSER = (
    "no browser: pip install playwright, and install Chromium (apt-get install chromium) or set CHROMIUM to its path"
)
# Most of these keep Chromium from contacting hosts on the network at every start.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PAGE_SECONDS = 180
# Nodes load their images when they are drawn, after the run. Videos are separate elements.
IMAGES_SHOWN = """only => {
    const images = node => window.LiteGraph.vueNodesMode
        ? [...document.querySelectorAll(`[data-node-id="${node.id}"] img`)] : node.imgs ?? [];
    const shown = all => all.length && all.every(image => image.complete && image.naturalWidth);
    return app.graph.nodes.every(node => (only && node.id !== only) || /Video/.test(node.type) ||
        !app.nodeOutputs[node.id]?.images?.length || shown(images(node)));
}"""
# Left, top, width and height of every node in the units of the graph, titles included.
RECTANGLES = """() => {
    const view = app.canvas.ds, frame = app.canvas.canvas.getBoundingClientRect();
    const element = node => {
        const box = document.querySelector(`[data-node-id="${node.id}"]`).getBoundingClientRect();
        return [(box.left - frame.left) / view.scale - view.offset[0],
            (box.top - frame.top) / view.scale - view.offset[1], box.width / view.scale, box.height / view.scale];
    };
    return Object.fromEntries(app.graph.nodes.map(
        node => [node.id, window.LiteGraph.vueNodesMode ? element(node) : [...node.boundingRect]]));
}"""
FIT = """() => {
    const boxes = [...app.graph.nodes, ...app.graph.groups].map(one => one.boundingRect ?? one._bounding);
    const left = Math.min(...boxes.map(box => box[0])), top = Math.min(...boxes.map(box => box[1]));
    const width = Math.max(...boxes.map(box => box[0] + box[2])) - left;
    const height = Math.max(...boxes.map(box => box[1] + box[3])) - top;
    const frame = app.canvas.canvas.getBoundingClientRect(), side = 70, foot = 70;
    // Newer pages have their toolbars over the canvas.
    const head = frame.top < 60 ? 70 : 20;
    const scale = Math.min((frame.width - 2 * side) / width, (frame.height - head - foot) / height, 1);
    const view = app.canvas.ds;
    view.scale = scale;
    view.offset[0] = (frame.width - width * scale) / 2 / scale - left;
    view.offset[1] = head / scale - top;
    app.canvas.setDirty(true, true);
}"""
# Dialogs, and messages about errors, of older and newer pages.
MESSAGES = (
    ".p-dialog, [role=dialog], .p-toast-message-error, .p-toast-message-warn,"
    " [data-sonner-toast]:is([data-type=error], [data-type=warning]), [data-testid=error-overlay]"
)
EMPTY = {"last_node_id": 0, "last_link_id": 0, "nodes": [], "links": [], "groups": [], "config": {}, "version": 0.4}
"""A workflow without nodes."""
# The page opens a workflow by itself, whose missing models it would list among those of the next one.
OPENED = """() => {
    const tracker = window.app?.graph && app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
    return !!tracker && !tracker.constructor.isLoadingGraph
        && !!window.LiteGraph?.registered_node_types['StyleSwap_SwapFace'];
}"""
SETTLED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def vue_nodes() -> bool:
    """Whether nodes are elements of the page ("Nodes 2.0") instead of drawn on the canvas: COMFYUI_NODES is `vue`."""
    return os.environ.get("COMFYUI_NODES", "canvas") == "vue"


def find_chromium() -> str | None:
    """Chromium's executable: CHROMIUM, or the first Chromium or Chrome on the path."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def open_browser() -> Iterator[Any]:
    """Playwright's `BrowserContext` in the installed Chromium; only one can be open at a time.

    Its pages share a cache, so that only the first one loads and compiles ComfyUI's scripts.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        try:
            yield browser.new_context()
        finally:
            browser.close()


@contextlib.contextmanager
def open_page(
    browser: Any,
    server: ComfyServer,
    locale: str = "en",
    width: int = 1920,
    height: int = 1080,
    vue: bool | None = None,
) -> Iterator["ComfyPage"]:
    """Open ComfyUI's page in a language, without the dialog of the first visit.

    Args:
        browser: Playwright's `BrowserContext`.
        server: The server.
        locale: Language of the page.
        width: Width of the page in pixels.
        height: Height of the page in pixels.
        vue: Whether nodes are elements of the page; None for `vue_nodes`.
    """
    settings = {
        "Comfy.TutorialCompleted": True,
        "Comfy.Locale": locale,
        "Comfy.Minimap.Visible": False,
        "Comfy.Graph.CanvasInfo": False,
        "Comfy.NodeBadge.NodeSourceBadgeMode": "None",
        "Comfy.VueNodes.Enabled": vue_nodes() if vue is None else vue,
    }
    for key, value in settings.items():
        server.post(f"/settings/{key}", value)
    page = browser.new_page()
    try:
        page.set_viewport_size({"width": width, "height": height})
        page.set_default_timeout(PAGE_SECONDS * 1000)
        opened = ComfyPage(page, server)
        page.goto(server.url)
        page.wait_for_function(OPENED)
        # In 0.3.64 the page raises an error while it opens, with and without this pack.
        opened.errors.clear()
        yield opened
    finally:
        page.close()


class ComfyPage:
    """ComfyUI's page.

    Attributes:
        page: Playwright's page.
        server: The server behind it.
        errors: Errors that the page's scripts have raised.
    """

    def __init__(self, page, server: ComfyServer) -> None:
        self.page, self.server = page, server
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def load(self, workflow: dict) -> None:
        """Load a UI-format workflow and fit it into the view."""
        self.page.evaluate("workflow => app.loadGraphData(workflow)", workflow)
        self.fit()

    def add(self, node_type: str) -> int:
        """Add a node to the workflow; returns its id."""
        return self.page.evaluate(
            "type => { const node = LiteGraph.createNode(type); app.graph.add(node);"
            " node.setSize([Math.max(node.size[0], 320), node.size[1]]); return node.id }",
            node_type,
        )

    def fit(self) -> None:
        """Zoom so that all nodes and groups are visible."""
        self.page.evaluate(FIT)
        self.page.evaluate(SETTLED)

    def rectangles(self) -> dict[int, tuple[float, ...]]:
        """Left, top, width and height of every node in the units of the graph, with its title, by the node's id."""
        self.page.evaluate(SETTLED)
        return {int(key): tuple(box) for key, box in self.page.evaluate(RECTANGLES).items()}

    def missing_types(self) -> list[str]:
        """Types of nodes that the page does not know."""
        return self.page.evaluate(
            "() => app.graph.nodes.filter(n => !LiteGraph.registered_node_types[n.type]).map(n => n.type)"
        )

    def replace_missing_nodes(self) -> None:
        """Replace all missing nodes that have a stand-in, through the page's list of errors (newer pages)."""
        # Not with the mouse: both buttons slide in.
        for button in (
            self.page.get_by_test_id("error-overlay-see-errors"),
            self.page.get_by_role("button", name="Replace All", exact=True),
        ):
            button.dispatch_event("click")
        button.wait_for(state="detached")

    def dialogs(self) -> list[str]:
        """Text of every open dialog and error message."""
        found = self.page.locator(MESSAGES)
        return [text for text in found.all_inner_texts() if text.strip()]

    def error_texts(self) -> list[str]:
        """Messages about errors in the nodes, such as about a video that cannot be loaded."""
        texts = self.page.locator("[data-node-id]").all_inner_texts()
        return [line for text in texts for line in text.splitlines() if line.lower().startswith("error")]

    def pictures_shown_twice(self) -> list[int]:
        """Nodes that show both the last picture of a run and its result. Only nodes that are elements can."""
        return self.page.evaluate(
            "() => app.graph.nodes.map(node => node.id).filter(id => window.LiteGraph.vueNodesMode"
            " && app.nodePreviewImages[id]?.length"
            " && document.querySelectorAll(`[data-node-id='${id}'] img`).length > 1)"
        )

    def serialize(self) -> dict:
        """The workflow as it would be saved."""
        # As text, because undefined values would arrive as null, while a saved file omits them.
        return json.loads(self.page.evaluate("() => JSON.stringify(app.graph.serialize())"))

    def prompt(self) -> dict:
        """The API-format prompt that the page would send."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def run(self, seconds: float = 600) -> dict:
        """Run the workflow and wait for its end; returns the history entry."""
        with self.queued() as response:
            self.page.evaluate("() => app.queuePrompt(0)")
        return self.await_pictures(response, seconds)

    def queued(self) -> Any:
        """Context in which the page queues a prompt; its value is for `await_pictures`."""
        return self.page.expect_response(lambda answer: answer.url.endswith("/prompt"))

    def await_pictures(self, response: Any, seconds: float = 600) -> dict:
        """Wait for the end of a run and its images in the nodes; returns the history entry."""
        entry = self.server.await_end(response.value.json()["prompt_id"], seconds)
        self.page.wait_for_function(IMAGES_SHOWN, arg=None)
        return entry

    def browse_templates(self, pack: str) -> None:
        """Open the template browser at a pack's page and wait for the thumbnails."""
        self.page.evaluate("() => app.extensionManager.command.execute('Comfy.BrowseTemplates')")
        self.page.get_by_role("dialog").get_by_text(pack, exact=True).first.click()
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(500)

    def thumbnail_width(self, template: str) -> int:
        """Width in pixels of a template's thumbnail in the template browser; 0 if it failed to load."""
        dialog = self.page.get_by_role("dialog")
        picture = dialog.locator(f"img[alt='{template}']")
        dialog.get_by_text(template, exact=True).scroll_into_view_if_needed()
        picture.wait_for()
        return picture.evaluate("async image => { await image.decode(); return image.naturalWidth }")

    def screenshot(self, clip: dict | None = None) -> Image.Image:
        """Screenshot of the page, or of a part of it in CSS pixels."""
        self.page.evaluate(SETTLED)
        return Image.open(io.BytesIO(self.page.screenshot(clip=clip)))

    def screenshot_of(self, node_id: int, margin: int = 12) -> Image.Image:
        """Screenshot of one node of the workflow at full size."""
        left, top = 360, 140
        width, height = self.page.evaluate(
            "([id, left, top]) => { const node = app.graph.getNodeById(id), view = app.canvas.ds;"
            " view.scale = 1; view.offset[0] = left - node.pos[0]; view.offset[1] = top - node.pos[1];"
            " node.title = node.constructor.title;"
            " app.canvas.setDirty(true, true); app.canvas.deselectAll(); return [node.size[0], node.size[1]] }",
            [node_id, left, top],
        )
        self.page.wait_for_function(IMAGES_SHOWN, arg=node_id)
        title = 30
        corner = self.page.locator("#graph-canvas").bounding_box()
        return self.screenshot(
            {
                "x": corner["x"] + left - margin,
                "y": corner["y"] + top - title - margin,
                "width": width + 2 * margin,
                "height": height + title + 2 * margin,
            }
        )
