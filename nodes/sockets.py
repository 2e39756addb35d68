"""The pack's socket types, and schemas that load in every supported version of ComfyUI."""

from dataclasses import fields
from typing import Any

from comfy_api.latest import io

Model = io.Custom("STYLESWAP_MODEL")
"""A `generator.LoadedGenerator`."""

FaceAnalysis = io.Custom("STYLESWAP_FACE_ANALYSIS")
"""An `analysis.LoadedAnalysis`."""

Identity = io.Custom("STYLESWAP_IDENTITY")
"""A `styleswap_core.identities.identity.Identity`, or a list of them: one for each face."""

_FOREIGN_ANALYSES = [io.Custom("INSIGHTFACE"), io.Custom("FACEANALYSIS")]
_FOREIGN_IDENTITIES = [io.Custom("FACE_MODEL")]


def make_schema(**options: Any) -> io.Schema:
    """An `io.Schema` without the options that this version of ComfyUI does not know."""
    known = {field.name for field in fields(io.Schema)}
    return io.Schema(**{name: value for name, value in options.items() if name in known})


def unknown_choice(node: type[io.ComfyNode], **chosen: str | None) -> str | None:
    """A sentence for the first value that its combo does not offer, or None; ComfyUI 0.3.64 lets every value pass.

    A value of None comes from another node and is not known yet.
    """
    options = {
        choice.id: choice.options for choice in node.define_schema().inputs if isinstance(choice, io.Combo.Input)
    }
    for name, value in chosen.items():
        if value is not None and value not in options[name]:
            return f"expected {name} out of {', '.join(map(str, options[name]))}; got {value!r}"
    return None


def face_analysis_input() -> io.Input:
    """Takes this pack's face analysis, and the insightface objects of other packs."""
    return io.MultiType.Input(
        "face_analysis",
        [FaceAnalysis, *_FOREIGN_ANALYSES],
        tooltip="Finds the faces: from Load Face Analysis, or the insightface loader of another pack",
    )


def identity_input(name: str, tooltip: str, optional: bool = False) -> io.Input:
    """Takes this pack's identities, and ReActor's face models."""
    return io.MultiType.Input(name, [Identity, *_FOREIGN_IDENTITIES], tooltip=tooltip, optional=optional)


def order_input(tooltip: str) -> io.Input:
    """How the faces of a picture are numbered."""
    orders = ["left-right", "right-left", "top-bottom", "bottom-top", "largest", "confidence"]
    return io.Combo.Input("order", options=orders, default="left-right", tooltip=tooltip)
