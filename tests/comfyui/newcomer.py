"""A newcomer's way from an empty canvas to a swapped picture, click by click, as `docs/quick-start.md` describes it."""

from collections.abc import Callable, Iterator
from typing import Any

from browser import EMPTY, ComfyPage
from comfy_server import PACK_NAME

TEMPLATE = "16_quick_swap"
# Pages move things into place for a moment.
SETTLE_MS = 700


def first_swap(
    page: ComfyPage, on_click: Callable[[tuple[float, float]], None] = lambda place: None
) -> tuple[int, dict]:
    """Go that way with the mouse, and wait for the pictures.

    Args:
        page: ComfyUI's page; its workflow is replaced by an empty one first.
        on_click: Called before each click with its place in CSS pixels.

    Returns:
        The number of clicks, and the history entry of the run.
    """
    page.page.evaluate("workflow => app.loadGraphData(workflow)", EMPTY)
    clicks = 0
    with page.queued() as answer:
        for button in _buttons(page.page):
            button.wait_for()
            button.scroll_into_view_if_needed()
            page.page.wait_for_timeout(SETTLE_MS)
            box = button.bounding_box()
            # On the text, which a wide button has at its left.
            place = box["x"] + min(box["width"] / 2, 40), box["y"] + box["height"] / 2
            on_click(place)
            page.page.mouse.click(*place)
            clicks += 1
    return clicks, page.await_pictures(answer)


def _buttons(page: Any) -> Iterator[Any]:
    dialog = page.get_by_role("dialog")
    yield page.locator(".templates-tab-button").first
    yield dialog.get_by_text(PACK_NAME, exact=True).first
    yield dialog.get_by_text(TEMPLATE, exact=True).first
    yield page.get_by_role("button", name="Run", exact=True).first
