"""Before and after in a node: a slider over two images, in versions of ComfyUI that have that widget."""

import torch
from comfy_api.latest import io, ui
from torch.nn import functional

from ..styleswap_core.io.images import bchw_to_bhwc, bhwc_to_bchw
from .host import is_watched

# Each image is a file in ComfyUI's temporary folder, and the slider is as wide as a node.
_MAX_IMAGES, _MAX_SIDE = 4, 1280


def compare_inputs() -> list[io.Input]:
    """The slider, without a socket; none in versions that have no such widget."""
    slider = getattr(io, "ImageCompare", None)
    if slider is None:
        return []
    return [slider.Input("compare", optional=True, tooltip="The image before and after the swap.")]


def compared(node: type[io.ComfyNode], before: torch.Tensor, after: torch.Tensor) -> dict[str, list] | None:
    """The first images of two batches (B, H, W, 3 or 4) for the slider; None if there is no slider or nobody looks."""
    if not compare_inputs() or not is_watched():
        return None
    return {"a_images": _files(node, before), "b_images": _files(node, after)}


def _files(node: type[io.ComfyNode], images: torch.Tensor) -> list:
    images = images[:_MAX_IMAGES, ..., :3].float().cpu()
    scale = _MAX_SIDE / max(images.shape[1:3])
    if scale < 1:
        # The size is given, because a scale rounds down to 0 pixels in very long images.
        height, width = (max(1, round(side * scale)) for side in images.shape[1:3])
        images = bchw_to_bhwc(functional.interpolate(bhwc_to_bchw(images), (height, width), mode="area"))
    return list(ui.PreviewImage(images, cls=node).as_dict()["images"])
