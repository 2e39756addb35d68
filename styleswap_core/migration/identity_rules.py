"""Nodes that load, save, build, mix and compare face models, as nodes for identities."""

from typing import Any

from .foreign_nodes import FACE_MODEL_BATCH
from .graph import NodeId, Output, Reading
from .mover import Mover, Rule, Stays
from .node_forms import (
    BLEND_IDENTITIES,
    COMPARE_IDENTITY,
    EXTRACT,
    IDENTITY_LIST,
    LOAD_IDENTITY,
    SAVE_IDENTITY,
)

_FORMAT = "ReActor face model"
# Those nodes take faces in the order in which the detector reports them.
_DETECTED = "confidence"
_PER_LIST = 8
_PER_BLEND = 4


def _plan_load(mover: Mover, node: NodeId) -> Reading:
    reading = mover.read(node)
    if reading.values.get("face_model") == "none":
        raise Stays("no face model is chosen in it; choose one, or remove it")
    if mover.graph.uses(Output(node, 1)):
        raise Stays("its output FACE_MODEL_NAME is in use, which Load Identity does not have")
    return reading


def _move_load(mover: Mover, node: NodeId, reading: Reading) -> None:
    name = reading.links.get("face_model", reading.values.get("face_model"))
    mover.become(node, LOAD_IDENTITY, identity_file=name)
    mover.renamed[node, "face_model"] = (node, "identity_file")


def _plan_save(mover: Mover, node: NodeId) -> Reading:
    reading = mover.read(node)
    mover.fixed(reading, "save_mode", "select_face_index")
    if not reading.values["save_mode"]:
        raise Stays("save_mode is off, so it does nothing")
    return reading


def _move_save(mover: Mover, node: NodeId, reading: Reading) -> None:
    identity = reading.links.get("face_model")
    if (picture := reading.links.get("image")) is not None:
        index = reading.values["select_face_index"]
        identity = mover.extract(node, picture, mover.analysis(node), index, _DETECTED)
    name = reading.links.get("face_model_name", reading.values.get("face_model_name"))
    mover.become(node, SAVE_IDENTITY, identity=identity, **_saved_as(name))
    mover.renamed[node, "face_model_name"] = (node, "filename")


def _plan_build(mover: Mover, node: NodeId) -> Reading:
    reading = mover.read(node)
    mover.fixed(reading, "save_mode", "send_only", "compute_method")
    batch = reading.links.get("face_models")
    if "images" in reading.links:
        return reading
    if batch is None:
        raise Stays("neither images nor face_models are connected")
    origin = mover.graph.through(batch).node
    if mover.graph.kind(origin) != FACE_MODEL_BATCH.node_id:
        raise Stays(f"face_models does not come from a {FACE_MODEL_BATCH.node_id} in the same graph")
    return reading


def _move_build(mover: Mover, node: NodeId, reading: Reading) -> None:
    if "images" in reading.links:
        mover.become(
            node,
            EXTRACT,
            face_analysis=mover.analysis(node),
            image=reading.links["images"],
            faces="by index",
            order=_DETECTED,
        )
    else:
        batch = mover.take_over(mover.graph.through(reading.links["face_models"]).node)
        _become_mean(mover, node, list(batch.links.values()))
    values = reading.values
    if values["save_mode"] and not values["send_only"]:
        name = reading.links.get("face_model_name", values.get("face_model_name"))
        save = mover.add(SAVE_IDENTITY, node, identity=Output(node, 0), **_saved_as(name))
        mover.renamed[node, "face_model_name"] = (save, "filename")
    if values["compute_method"] != "Mean":
        mover.note(node, f"the mean of the faces is taken instead of their {values['compute_method'].lower()}")


def _become_mean(mover: Mover, node: NodeId, models: list[Output]) -> None:
    """Turn a node into the mean of face models."""
    if 1 < len(models) <= _PER_BLEND:
        inputs = {f"identity_{number}": model for number, model in enumerate(models, start=1)}
        mover.become(node, BLEND_IDENTITIES, **inputs)
        return
    listed = models
    while len(listed) > 1:
        inputs = {f"identity_{number}": model for number, model in enumerate(listed[:_PER_LIST], start=1)}
        listed = [Output(mover.add(IDENTITY_LIST, node, **inputs), 0), *listed[_PER_LIST:]]
    # A list that enters Blend Identities is averaged, with equal weights.
    mean = listed[0] if listed else None
    mover.become(node, BLEND_IDENTITIES, identity_1=mean, identity_2=mean)


def _plan_weight(mover: Mover, node: NodeId) -> Reading:
    reading = mover.read(node)
    mover.fixed(reading, "faceswap_weight")
    if "input_image" not in reading.links and mover.graph.uses(Output(node, 0)):
        raise Stays("its output INPUT_IMAGE is in use, and no picture is connected to it")
    try:
        _share(reading.values["faceswap_weight"], "face_model" in reading.links)
    except ValueError:
        raise Stays(f"{reading.values['faceswap_weight']!r} is no weight") from None
    return reading


def _move_weight(mover: Mover, node: NodeId, reading: Reading) -> None:
    graph = mover.graph
    pictures, mixed = (graph.uses(Output(node, slot)) for slot in range(2))
    target = reading.links.get("input_image")
    analysis = mover.analysis(node)
    source = reading.links.get("face_model")
    if source is None:
        source = mover.extract(node, reading.links.get("source_image"), analysis, 0, _DETECTED)
    share = _share(reading.values["faceswap_weight"], "face_model" in reading.links)
    mover.become(
        node,
        BLEND_IDENTITIES,
        identity_1=source,
        identity_2=mover.extract(node, target, analysis, 0, _DETECTED),
        weight_1=share,
        weight_2=round(1.0 - share, 4),
    )
    graph.redirect(pictures, target)
    graph.redirect(mixed, Output(node, 0))


def _share(weight: str, of_model: bool) -> float:
    """Share of the source in the mixture.

    The node averages copies of one identity and one of the other, so that 62.5% is in fact 2 of 3 for a picture, and
    3 of 4 for a face model, of which it takes one copy more.

    Args:
        weight: The widget, such as "62.5%".
        of_model: Whether the source is a face model.

    Raises:
        ValueError: No percentage.
    """
    percent = float(weight.removesuffix("%"))
    if not 0.0 <= percent <= 100.0:
        raise ValueError(weight)
    if percent in (0.0, 100.0):
        return percent / 100.0
    if percent > 50.0:
        return round(1.0 - 1.0 / (round(100.0 / (100.0 - percent)) + of_model), 4)
    return round(1.0 / round(100.0 / percent), 4)


def _plan_compare(mover: Mover, node: NodeId) -> Reading:
    return mover.read(node)


def _move_compare(mover: Mover, node: NodeId, reading: Reading) -> None:
    analysis = mover.analysis(node)
    first, second = (
        mover.extract(node, reading.links.get(name), analysis, 0, _DETECTED) for name in ("image1", "image2")
    )
    mover.become(node, COMPARE_IDENTITY, identity_a=first, identity_b=second)
    mover.note(node, "the similarity may be negative, and a picture without a face stops the run")


def _saved_as(name: Any) -> dict[str, Any]:
    return {"filename": name, "file_format": _FORMAT, "if_exists": "overwrite"}


LOAD = Rule(_plan_load, _move_load)
SAVE = Rule(_plan_save, _move_save)
BUILD = Rule(_plan_build, _move_build)
WEIGHT = Rule(_plan_weight, _move_weight)
COMPARE = Rule(_plan_compare, _move_compare)
