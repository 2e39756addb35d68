"""Nodes of other packs that one node of this pack can stand in for, for ComfyUI's own replacement of missing nodes.

ComfyUI replaces node by node and knows inputs and outputs only by name. What depends on values or takes several nodes
needs `migrate_workflow`.
"""

from dataclasses import dataclass, field
from typing import Any

from . import foreign_nodes as foreign
from .foreign_form import ForeignNode
from .mover import PACK
from .node_forms import (
    BLEND_WITH_MASK,
    LOAD_ANALYSIS,
    LOAD_IDENTITY,
    LOAD_MODEL,
    QUICK_SWAP,
    SAVE_IDENTITY,
    WITHOUT_ALPHA,
    NodeForm,
)


@dataclass(frozen=True)
class Replacement:
    """A node that stands in for one of another pack.

    Attributes:
        old: The other node.
        new: The node that stands in for it.
        inputs: Its input for each input of the other node.
        values: Its inputs with a fixed value.
        outputs: Its output for each output of the other node.
    """

    old: ForeignNode
    new: NodeForm
    inputs: dict[str, str]
    values: dict[str, Any] = field(default_factory=dict)
    outputs: dict[int, int] = field(default_factory=lambda: {0: 0})

    @property
    def widget_names(self) -> list[str]:
        """Widgets of the other node in the order in which graphs store them."""
        return [widget.name for widget in self.old.widgets]

    @property
    def input_mapping(self) -> list[dict[str, Any]]:
        """What each input gets, in ComfyUI's form."""
        connected = [{"new_id": new, "old_id": old} for old, new in self.inputs.items()]
        return connected + [{"new_id": name, "set_value": value} for name, value in self.values.items()]

    @property
    def output_mapping(self) -> list[dict[str, int]]:
        """Which output takes the place of which, in ComfyUI's form."""
        return [{"new_idx": new, "old_idx": old} for old, new in self.outputs.items()]


REPLACEMENTS = (
    Replacement(
        foreign.SWAP,
        QUICK_SWAP,
        {
            "input_image": "target",
            "source_image": "source",
            "face_model": "identity",
            "swap_model": "model_name",
            "input_faces_index": "index",
        },
        {"pack": PACK, "faces": "by index"},
        {0: 0, 1: 2},
    ),
    Replacement(foreign.LOAD_FACE_MODEL, LOAD_IDENTITY, {"face_model": "identity_file"}),
    Replacement(
        foreign.SAVE_FACE_MODEL,
        SAVE_IDENTITY,
        {"face_model": "identity", "face_model_name": "filename"},
        {"file_format": "ReActor face model", "if_exists": "overwrite"},
        {},
    ),
    Replacement(
        foreign.MASK_HELPER,
        BLEND_WITH_MASK,
        {"image": "target", "swapped_image": "swapped", "mask_optional": "mask"},
        outputs={0: 0, 1: 1},
    ),
    Replacement(foreign.RGB, WITHOUT_ALPHA, {"image": "image"}),
    Replacement(foreign.MTB_MODEL, LOAD_MODEL, {"faceswap_model": "model_name"}),
    Replacement(foreign.MTB_ANALYSIS, LOAD_ANALYSIS, {"faceswap_model": "pack"}),
)
"""The replacements."""
