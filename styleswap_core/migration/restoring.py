"""Face restoration in graphs: crops of faces through an upscale model and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .graph import NodeId, Output, Reading
from .mover import Mover
from .node_forms import ALIGN_FACES, BLEND_IMAGES, LOAD_UPSCALER, PASTE_FACES, UPSCALE

_NONE = "none"
_SIZES = (1024, 2048)
_USUAL_SIZE = 512
# What ComfyUI's loader runs CodeFormer with.
_USUAL_WEIGHT = 0.5


@dataclass(frozen=True)
class Restorer:
    """A face restorer.

    Attributes:
        model: Its file.
        visibility: Share of the restored face in the result, 0..1, or the output that tells it.
        weight: Fidelity of CodeFormer, 0..1; None if it is connected.
    """

    model: str
    visibility: float | Output
    weight: float | None

    @classmethod
    def of(cls, reading: Reading, model: str, visibility: str) -> "Restorer | None":
        """The restorer that the widgets of a node name, or None.

        Args:
            reading: The node, with a value for `model`.
            model: Name of the widget with the file.
            visibility: Name of the widget with the share.
        """
        values = reading.values
        if values[model] == _NONE:
            return None
        share = reading.links[visibility] if visibility in reading.links else values[visibility]
        return cls(values[model], share, values.get("codeformer_weight"))

    @property
    def size(self) -> int:
        """Side of the crops that it takes, in pixels."""
        return next((size for size in _SIZES if str(size) in self.model), _USUAL_SIZE)

    @property
    def loads(self) -> bool:
        """Whether ComfyUI's loader for upscale models takes files of this kind."""
        return not self.model.lower().endswith(".onnx")


def add_restoration(
    mover: Mover,
    near: NodeId,
    image: Output | None,
    restorer: Restorer,
    *,
    faces: Output | None = None,
    analysis: Output | None = None,
    choice: Mapping[str, Any] | None = None,
    paste: NodeId | None = None,
) -> tuple[Output, list[NodeId]]:
    """Restore faces of an image: Align Faces, the restorer, Paste Faces.

    Args:
        mover: The work on the graph.
        near: The node whose work this is.
        image: The image.
        restorer: The restorer.
        faces: Where the faces are, if a node tells.
        analysis: Finds them otherwise.
        choice: Which of those are restored; by default all.
        paste: Node that becomes Paste Faces, instead of a new one.

    Returns:
        The restored image, and the new nodes that are not shared.
    """
    chosen = {} if faces is not None else dict(choice or {})
    size = {} if restorer.size == _USUAL_SIZE else {"size": restorer.size}
    align = mover.add(
        ALIGN_FACES, near, image=image, known_faces=faces, face_analysis=None if faces else analysis, **size, **chosen
    )
    added = [align]
    crops = restored = Output(align, 0)
    if restorer.loads:
        loader = mover.upscaler(LOAD_UPSCALER, restorer.model, near)
        upscale = mover.add(UPSCALE, near, upscale_model=loader, image=crops)
        added.append(upscale)
        restored = Output(upscale, 0)
        if restorer.visibility != 1.0:
            blend = mover.add(BLEND_IMAGES, near, image1=crops, image2=restored, blend_factor=restorer.visibility)
            added.append(blend)
            restored = Output(blend, 0)
    inputs = {"target": image, "crops": restored, "faces": Output(align, 1), "mask": Output(align, 2)}
    if paste is None:
        paste = mover.add(PASTE_FACES, near, **inputs)
        added.append(paste)
    else:
        mover.become(paste, PASTE_FACES, **inputs)
    _note_differences(mover, near, restorer)
    return Output(paste, 0), added


def _note_differences(mover: Mover, node: NodeId, restorer: Restorer) -> None:
    if not restorer.loads:
        mover.note(
            node,
            f"faces are no longer restored: ComfyUI's Load Upscale Model does not take {restorer.model}; connect"
            " another restorer between Align Faces and Paste Faces",
        )
        return
    mover.note(
        node,
        f"{restorer.model} must be in models/upscale_models (it was in models/facerestore_models)",
    )
    if "codeformer" in restorer.model.lower() and restorer.weight != _USUAL_WEIGHT:
        wanted = "the connected one" if restorer.weight is None else f"{restorer.weight:g}"
        mover.note(node, f"CodeFormer runs with the weight {_USUAL_WEIGHT:g} instead of {wanted}")
