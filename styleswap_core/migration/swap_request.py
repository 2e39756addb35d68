"""What the swap nodes of other packs ask for, in one form."""

from dataclasses import dataclass
from typing import NamedTuple

from .foreign_nodes import FACE_BOOST, OPTIONS, SWAP_WITH_OPTIONS
from .graph import NodeId, Output, Reading
from .mover import PACK, Mover, Stays
from .restoring import Restorer

_ORDERS = {
    "large-small": "largest",
    "small-large": "smallest",
    "left-right": "left-right",
    "right-left": "right-left",
    "top-bottom": "top-bottom",
    "bottom-top": "bottom-top",
}
_ROOP_ORDERS = {
    ("left to right", False): "left-right",
    ("left to right", True): "right-left",
    ("up to down", False): "top-bottom",
    ("up to down", True): "bottom-top",
    ("largest to smallest", False): "largest",
    ("largest to smallest", True): "smallest",
}
_GENDERS = {"no": "any", "female": "female", "male": "male"}
_USUAL_INTERPOLATION = "Bicubic"
_FIXED_OPTIONS = ("input_faces_order", "detect_gender_input", "source_faces_order", "detect_gender_source")


@dataclass(frozen=True)
class SwapRequest:
    """What a swap node asks for.

    Attributes:
        model: The network, or the output that names or loads it.
        target: The pictures.
        picture: Picture of the source, or None.
        face_model: Face model of the source if there is no picture.
        indices: Numbers of the faces to swap, or the output that names them.
        order: How they are numbered.
        sources: Numbers of the source faces, dealt out to the faces, or the output that names them.
        source_order: How they are numbered.
        gender: Only faces of this gender.
        source_gender: Only sources of this gender.
        boost: Restores the faces before they are pasted.
        restorer: Restores the faces of the result.
        restores_all: It restores all faces, not only the swapped ones.
        enabled: Whether anything is done.
        analysis: The face analysis, or None for buffalo_l.
        model_is_loaded: Whether `model` is a network.
        in_turn: Whether a face that is missing leaves its source to the next one, and a missing source is passed over.
        notes: What is read differently.
    """

    model: str | Output
    target: Output | None
    picture: Output | None
    face_model: Output | None
    indices: tuple[int, ...] | Output
    order: str = "largest"
    sources: tuple[int, ...] | Output = (0,)
    source_order: str = "largest"
    gender: str = "any"
    source_gender: str = "any"
    boost: Restorer | None = None
    restorer: Restorer | None = None
    restores_all: bool = False
    enabled: bool = True
    analysis: Output | None = None
    model_is_loaded: bool = False
    in_turn: bool = False
    notes: tuple[str, ...] = ()

    @property
    def pack(self) -> str:
        """Name of the face analysis if it is not connected."""
        return PACK

    def check(self, mover: Mover, node: NodeId) -> "SwapRequest":
        """The request itself, if it can be moved.

        Raises:
            Stays: Several sources are paired with faces that are not known, a source is needed that is not known, or a
                picture is in use that is not connected.
        """
        if self.target is None and mover.graph.uses(Output(node, 2)):
            raise Stays("its output ORIGINAL_IMAGE is in use, and no picture is connected to it")
        if isinstance(self.indices, Output) and not self.in_turn and self.several:
            raise Stays("the numbers of the faces are connected, so several sources cannot be dealt out to them")
        if isinstance(self.sources, Output) and mover.graph.uses(Output(node, 1)):
            raise Stays("its output FACE_MODEL is in use, and the number of the source is connected")
        return self

    @property
    def several(self) -> bool:
        """Whether there may be several sources."""
        return isinstance(self.sources, Output) or len(self.sources) > 1


def reactor_request(mover: Mover, node: NodeId) -> SwapRequest:
    """Request of ReActor's swap nodes.

    Raises:
        Stays: A value that must be known is connected, or the options are not those of a node in this graph.
    """
    reading = mover.read(node)
    mover.fixed(reading, "enabled", "face_restore_model")
    options = reading
    if mover.graph.kind(node) == SWAP_WITH_OPTIONS.node_id:
        options = _connected(mover, reading, "options", OPTIONS.node_id)
    mover.fixed(options, *_FIXED_OPTIONS)
    values = options.values
    linked_index = options.links.get("input_faces_index")
    indices, notes = _numbers(str(values.get("input_faces_index", "0")))
    sources, source_notes = _numbers(str(values.get("source_faces_index", "0")))
    linked_sources = options.links.get("source_faces_index")
    picture = reading.links.get("source_image")
    face_model = reading.links.get("face_model") if picture is None else None
    model = reading.links.get("swap_model", reading.values.get("swap_model", ""))
    boost = _boost(mover, reading, model)
    restorer = Restorer.of(reading, "face_restore_model", "face_restore_visibility")
    source_gender = _GENDERS[values["detect_gender_source"]]
    if face_model is not None and source_gender != "any":
        notes = [*notes, f"the gender of the face model is not checked (it had to be {source_gender})"]
    return SwapRequest(
        model=model,
        target=reading.links.get("input_image"),
        picture=picture,
        face_model=face_model,
        indices=linked_index or indices,
        order=_ORDERS[values.get("input_faces_order", "large-small")],
        sources=(0,) if picture is None else linked_sources or _dealt(indices, sources),
        source_order=_ORDERS[values.get("source_faces_order", "large-small")],
        gender=_GENDERS[values["detect_gender_input"]],
        source_gender=source_gender if picture is not None else "any",
        boost=boost.restorer,
        restorer=restorer if boost.is_followed else None,
        restores_all=not values.get("restore_swapped_only", True),
        enabled=reading.values["enabled"],
        in_turn=True,
        notes=(*notes, *source_notes, *boost.notes),
    ).check(mover, node)


def mtb_request(mover: Mover, node: NodeId) -> SwapRequest:
    """Request of comfy_mtb's swap node, which numbers faces from the left and takes the leftmost source.

    Raises:
        Stays: Its loaders are not connected.
    """
    reading = mover.read(node)
    for name in ("faceanalysis_model", "faceswap_model"):
        if name not in reading.links:
            raise Stays(f"{name} is not connected")
    indices, notes = _numbers(str(reading.values.get("faces_index", "0")))
    return SwapRequest(
        model=reading.links["faceswap_model"],
        model_is_loaded=True,
        analysis=reading.links["faceanalysis_model"],
        target=reading.links.get("image"),
        picture=reading.links.get("reference"),
        face_model=None,
        indices=reading.links.get("faces_index", indices),
        order="left-right",
        source_order="left-right",
        notes=tuple(notes),
    ).check(mover, node)


def roop_request(mover: Mover, node: NodeId) -> SwapRequest:
    """Request of ComfyUI_roop's swap nodes.

    Raises:
        Stays: A value that must be known is connected.
    """
    reading = mover.read(node)
    orders = ("face_order", "reverse_order", "reference_order", "reverse_reference_order")
    mover.fixed(reading, "reference_faces_index", *orders)
    values = reading.values
    indices, notes = _numbers(str(values.get("faces_index", "0")))
    sources, source_notes = _numbers(str(values["reference_faces_index"]))
    left = "left to right"
    return SwapRequest(
        model=reading.links.get("swap_model", values.get("swap_model", "")),
        target=reading.links.get("image"),
        picture=reading.links.get("reference_image"),
        face_model=None,
        indices=reading.links.get("faces_index", indices),
        order=_ROOP_ORDERS[values.get("face_order", left), values.get("reverse_order", False)],
        sources=sources if "faces_index" in reading.links else _paired(indices, sources),
        source_order=_ROOP_ORDERS[values.get("reference_order", left), values.get("reverse_reference_order", False)],
        notes=(*notes, *source_notes),
    ).check(mover, node)


def _connected(mover: Mover, reading: Reading, name: str, kind: str) -> Reading:
    """Values of the node of a kind that is connected to an input; its defaults if there is none."""
    output = reading.links.get(name)
    origin = None if output is None else mover.graph.through(output).node
    if origin is not None and mover.graph.kind(origin) != kind:
        raise Stays(f"{name} does not come from a {kind} in the same graph, so its values are not known")
    if origin is None or mover.graph.is_inactive(origin):
        if origin is not None:
            mover.take_over(origin)
        defaults = OPTIONS if kind == OPTIONS.node_id else FACE_BOOST
        return Reading(values={widget.name: widget.default for widget in defaults.widgets})
    return mover.take_over(origin)


class _Boost(NamedTuple):
    """A face boost: its restorer, whether the other restorer follows, and what is read differently."""

    restorer: Restorer | None = None
    is_followed: bool = True
    notes: tuple[str, ...] = ()


def _boost(mover: Mover, reading: Reading, model: str | Output) -> _Boost:
    """The connected face boost."""
    if "face_boost" not in reading.links:
        return _Boost()
    boost = _connected(mover, reading, "face_boost", FACE_BOOST.node_id)
    mover.fixed(boost, "enabled", "boost_model", "restore_with_main_after")
    if not boost.values["enabled"]:
        return _Boost()
    is_followed = boost.values["restore_with_main_after"]
    restorer = Restorer.of(boost, "boost_model", "visibility")
    if isinstance(model, str) and "hyperswap" in model:
        return _Boost(None, is_followed, ("the face boost had no effect with this network, and has none now",))
    if restorer is None:
        return _Boost()
    interpolation = boost.values.get("interpolation", _USUAL_INTERPOLATION)
    if interpolation != _USUAL_INTERPOLATION:
        return _Boost(restorer, is_followed, (f"the interpolation {interpolation} of the face boost does not count",))
    return _Boost(restorer, is_followed)


def _numbers(text: str) -> tuple[tuple[int, ...], list[str]]:
    """Face numbers as those packs read them: what is no plain number between commas is skipped."""
    parts = [part for part in text.strip(",").split(",") if part.isascii() and part.isdigit()]
    numbers = tuple(int(part) for part in parts) or (0,)
    if ",".join(map(str, numbers)) == text:
        return numbers, []
    return numbers, [f"of the face numbers {text!r} only {','.join(map(str, numbers))} counted, and counts now"]


def _paired(indices: tuple[int, ...], sources: tuple[int, ...]) -> tuple[int, ...]:
    """The source of each face; of a face that is named twice, the second swap is what shows."""
    paired = {face: sources[place % len(sources)] for place, face in enumerate(indices)}
    return _once(tuple(paired.values()))


def _dealt(indices: tuple[int, ...], sources: tuple[int, ...]) -> tuple[int, ...]:
    """The sources in the order in which faces get them."""
    return _once(sources) if len(set(indices)) == len(indices) else _paired(indices, sources)


def _once(sources: tuple[int, ...]) -> tuple[int, ...]:
    """Sources that start again after the last one, without their repetitions."""
    lengths = (length for length in range(1, len(sources)) if len(sources) % length == 0)
    parts = ((sources[:length], len(sources) // length) for length in lengths)
    return next((part for part, times in parts if part * times == sources), sources)
