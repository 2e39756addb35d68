"""Widgets of the loaders, which Quick Face Swap has too."""

from comfy_api.latest import io

from ..styleswap_core.faces.opencv_zoo import ZOO_LICENSE
from ..styleswap_core.faces.pack_licenses import DEMO_LICENSE, INSIGHTFACE_TERMS
from .analysis import PROVIDERS
from .folders import DEMO, generator_names, pack_names
from .loading import AUTOMATIC

_SIZES = ("160", "256", "320", "480", "640", "800", "1024", "1280")


def model_name_input() -> io.Input:
    """Which network swaps."""
    return io.Combo.Input(
        "model_name",
        options=generator_names(),
        default=DEMO,
        tooltip="The built-in demo model was trained on rendered faces only. Files from models/styleswap,"
        " and swapping networks from models/insightface, models/reswapper and models/hyperswap. Weights"
        " keep the license of their authors.",
    )


def pack_input() -> io.Input:
    """Which networks find and recognize faces."""
    return io.Combo.Input(
        "pack",
        options=pack_names(),
        default=DEMO,
        tooltip=f"The built-in pack belongs to the demo model (license: {DEMO_LICENSE}). opencv_zoo is for"
        f" photographs (license: {ZOO_LICENSE}). Note: {INSIGHTFACE_TERMS}.",
    )


def detection_inputs() -> list[io.Input]:
    """How faces are detected, and where."""
    return [
        io.Combo.Input(
            "detection_size",
            options=[AUTOMATIC, *_SIZES],
            default=AUTOMATIC,
            tooltip="Input size of the detector in pixels. automatic runs it at 640 and 256, and at finer scales for "
            "images over 2048 px or with small faces; it never enlarges the image. Other sizes apply to every "
            "image.",
        ),
        io.Float.Input(
            "detection_threshold",
            default=0.5,
            min=0.05,
            max=0.95,
            step=0.05,
            tooltip="Minimum confidence of the detector. Lower values find more faces, but also more false positives.",
        ),
        io.Combo.Input(
            "run_on",
            options=list(PROVIDERS),
            default="CPU",
            tooltip="CUDA needs the onnxruntime-gpu package and reports an error if it cannot run; its memory"
            " is freed after each node. opencv_zoo runs on the CPU only.",
        ),
    ]


def download_input() -> io.Input:
    """Whether a missing pack is downloaded."""
    return io.Boolean.Input(
        "download",
        default=False,
        tooltip="Downloads the pack if it is missing: opencv_zoo from its repository, the others through"
        f" insightface. {INSIGHTFACE_TERMS.capitalize()}.",
    )
