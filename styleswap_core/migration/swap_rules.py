"""Swap nodes of other packs as Quick Face Swap, or as Swap Face with its loaders."""

from collections.abc import Sequence
from typing import Any

from .graph import NodeId, Output
from .mover import Mover, Rule
from .node_forms import IDENTITY_LIST, QUICK_SWAP, SWAP_FACE
from .restoring import add_restoration
from .swap_request import SwapRequest, mtb_request, reactor_request, roop_request

_PER_LIST = 8


def _move(mover: Mover, node: NodeId, request: SwapRequest) -> None:
    graph = mover.graph
    used = [graph.uses(Output(node, slot)) for slot in range(3)]
    _note_differences(mover, node, request)
    if _is_quick(request):
        image, identity, nodes = _quick(mover, node, request)
    else:
        image, identity, nodes = _composed(mover, node, request)
    if not request.enabled:
        image = _switched_off(mover, node, nodes, request, image)
    for uses, output in zip(used, (image, identity, request.target), strict=True):
        graph.redirect(uses, output)


def _is_quick(request: SwapRequest) -> bool:
    """Whether Quick Face Swap can do what is asked: one source, and no crops to restore."""
    return (
        not request.several
        and request.source_order == "largest"
        and request.gender == request.source_gender == "any"
        and request.boost is None
        and request.restorer is None
        and not request.model_is_loaded
    )


def _quick(mover: Mover, node: NodeId, request: SwapRequest) -> tuple[Output, Output, list[NodeId]]:
    mover.become(
        node,
        QUICK_SWAP,
        target=request.target,
        source=mover.first_of(node, request.picture),
        identity=request.face_model,
        model_name=request.model,
        pack=request.pack,
        source_face=request.sources[0] or None,
        **_choice(request.indices, request.order),
    )
    mover.renamed[node, "swap_model"] = (node, "model_name")
    _rename_index(mover, node)
    mover.masks[Output(node, 0)] = Output(node, 1)
    return Output(node, 0), Output(node, 2), [node]


def _composed(mover: Mover, node: NodeId, request: SwapRequest) -> tuple[Output, Output, list[NodeId]]:
    analysis = request.analysis or mover.analysis(node, request.pack)
    loaded = request.model if isinstance(request.model, Output) and request.model_is_loaded else None
    model = loaded or mover.model(request.model, node)
    identity = _identity(mover, node, request, analysis)
    swap: dict[str, Any] = _choice(request.indices, request.order)
    if request.gender != "any":
        swap["gender"] = request.gender
    if request.in_turn and request.several:
        swap["in_turn"] = True
    mover.become(
        node,
        SWAP_FACE,
        model=model,
        face_analysis=analysis,
        identity=identity,
        image=request.target,
        **swap,
    )
    if not loaded:
        mover.renamed[node, "swap_model"] = (model.node, "model_name")
    _rename_index(mover, node)
    nodes, image = [node], Output(node, 0)
    for restorer in (request.boost, request.restorer):
        if restorer is not None:
            everyone = request.restores_all and restorer is request.restorer
            faces = None if everyone else Output(node, 5)
            image, added = add_restoration(mover, node, image, restorer, faces=faces, analysis=analysis)
            nodes += added
    mover.masks[image] = Output(node, 1)
    return image, _first_identity(mover, node, request, analysis, identity), nodes


def _identity(mover: Mover, node: NodeId, request: SwapRequest, analysis: Output) -> Output:
    """The identity of the source, or a list of the identities that are dealt out."""
    if request.face_model is not None:
        return request.face_model

    def extract(index: int | str | Output) -> Output:
        return mover.extract(node, request.picture, analysis, index, request.source_order, request.source_gender)

    sources = request.sources
    if not isinstance(sources, Output) and len(sources) == 1:
        return extract(sources[0])
    if isinstance(sources, Output) or request.in_turn:
        identities = extract(sources if isinstance(sources, Output) else ",".join(map(str, sources)))
        mover.renamed[node, "source_faces_index"] = (identities.node, "indices")
        return identities
    extracted = {source: extract(source) for source in dict.fromkeys(sources)}
    return _listed(mover, node, [extracted[source] for source in sources])


def _first_identity(mover: Mover, node: NodeId, request: SwapRequest, analysis: Output, identity: Output) -> Output:
    """The identity of the first source, for what takes a single one."""
    if isinstance(request.sources, Output) or len(request.sources) == 1 or not mover.graph.uses(Output(node, 1)):
        return identity
    first, order = request.sources[0], request.source_order
    return mover.extract(node, request.picture, analysis, first, order, request.source_gender)


def _listed(mover: Mover, node: NodeId, identities: Sequence[Output]) -> Output:
    """The identities as one, through Identity List nodes; a list that is longer than a node continues in the next."""
    listed = list(identities)
    while len(listed) > 1:
        part = listed[:_PER_LIST]
        inputs = {f"identity_{number}": identity for number, identity in enumerate(part, start=1)}
        listed = [Output(mover.add(IDENTITY_LIST, node, **inputs), 0), *listed[_PER_LIST:]]
    return listed[0]


def _choice(indices: tuple[int, ...] | Output, order: str) -> dict[str, Any]:
    """Widgets that choose faces by number."""
    chosen: dict[str, Any] = {"faces": "by index"}
    if isinstance(indices, Output):
        chosen["index"] = indices
    else:
        chosen["index"] = ",".join(map(str, dict.fromkeys(indices)))
    if order != "largest":
        chosen["order"] = order
    return chosen


def _rename_index(mover: Mover, node: NodeId) -> None:
    for name in ("input_faces_index", "faces_index"):
        mover.renamed[node, name] = (node, "index")


def _switched_off(mover: Mover, node: NodeId, nodes: list[NodeId], request: SwapRequest, image: Output) -> Output:
    """What takes the place of the result of a node that was off."""
    if mover.graph.can_bypass:
        for each in nodes:
            mover.graph.bypass(each)
        mover.note(node, "enabled was off: its nodes are bypassed")
        return image
    mover.note(node, "enabled was off: its nodes are in the prompt, but what follows takes the picture before them")
    return request.target or image


def _note_differences(mover: Mover, node: NodeId, request: SwapRequest) -> None:
    for text in request.notes:
        mover.note(node, text)
    if request.picture is None and request.face_model is None:
        mover.note(node, "no source is connected in the file; connect a picture or an identity")
    if request.in_turn and request.several and _may_be_batch(mover, request) and _may_skip(request):
        mover.note(
            node,
            "the sources are dealt out in each frame of a batch by itself: a face that only some frames lack leaves"
            " its source to the next one there, unless tracking is on",
        )
    orders = {request.order} | ({request.source_order} if request.picture else set())
    if orders - {"largest", "smallest"}:
        mover.note(node, "faces are ordered by the center of their boxes, not by the edge")


def _may_be_batch(mover: Mover, request: SwapRequest) -> bool:
    return request.target is not None and not mover.is_single(request.target)


def _may_skip(request: SwapRequest) -> bool:
    """Whether a frame may lack a face and have one that comes after it: by gender, or if numbers are not ascending."""
    indices = request.indices
    return request.gender != "any" or isinstance(indices, Output) or list(indices) != sorted(indices)


def _loaders(mover: Mover, node: NodeId) -> list[tuple[str, NodeId]]:
    """Loaders of a node, whose types only nodes of its pack take."""
    links = mover.read(node).links
    return [(name, mover.graph.through(links[name]).node) for name in ("faceanalysis_model", "faceswap_model")]


REACTOR_SWAP = Rule(reactor_request, _move)
MTB_SWAP = Rule(mtb_request, _move, _loaders)
ROOP_SWAP = Rule(roop_request, _move)
