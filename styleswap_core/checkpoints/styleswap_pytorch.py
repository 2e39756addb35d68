"""Importer of StyleSwap's public reimplementation in PyTorch (MingtaoGuo/StyleSwap), which is based on GPEN's code."""

from __future__ import annotations

from . import stylegan_names as names
from .foreign_format import ForeignFormat, InferredFields, Stated, Tensors
from .styleswap_paddle import PREFIX, common_statements, infer_swapper, swapper_links

MASK = ("to_mask1", "to_masks")


def _matches(tensors: Tensors) -> bool:
    return any(name.startswith(("generator.to_mask1.", "generator.to_masks.")) for name in tensors)


def _infer(tensors: Tensors) -> InferredFields:
    fields = infer_swapper(tensors)
    fields["mask_branch"] = True
    return fields


def _stated(fields: InferredFields) -> dict[str, Stated]:
    return common_statements(fields) | {
        "template": Stated("ffhq", "it was trained on FFHQ crops"),
        "recognizer": Stated(
            "glint360k_cosface_r50_fp16_0.1",
            "the arcface_torch network that it was trained with, on sources that were only resized",
        ),
    }


FORMAT = ForeignFormat(
    name="styleswap-pytorch",
    title="StyleSwap, the public re-implementation in PyTorch",
    matches=_matches,
    infer=_infer,
    stated=_stated,
    links=lambda config: swapper_links(config, MASK),
    kernels=lambda config: names.kernel_sums(config, PREFIX, MASK, encoder=True),
    license="that of the StyleSwap weights it was converted from; ask their authors",
)
