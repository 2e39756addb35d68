"""Importer of StyleSwap's released test code (Paddle): 256 px with a mask branch, 512 px without."""

from __future__ import annotations

import math
import re

from ..model import GeneratorConfig
from . import stylegan_names as names
from .foreign_format import ForeignFormat, InferredFields, Link, Stated, Tensors

PREFIX = "generator."
MASK = ("to_outtermask1", "to_outtermasks")
# Both recognizers in use end with batch normalization of 512 values, and their output is not L2-normalized.
RAW_EMBEDDING_NORM = round(math.sqrt(512), 3)
RAW_EMBEDDING_WHY = (
    "estimate: its input is the recognizer's raw output, 512 batch-normalized values with a norm of about sqrt(512)"
)


def infer_swapper(tensors: Tensors) -> InferredFields:
    """Fields of either StyleSwap network that follow from shapes."""
    fields = names.infer_synthesis(tensors, PREFIX, doubled=True)
    # Its final_linear is square.
    fields["style_dim"] = fields["w_dim"]
    return fields


def common_statements(fields: InferredFields) -> dict[str, Stated]:
    """Settings that both StyleSwap networks share."""
    masked = fields["mask_branch"]
    return {
        "attribute_injection": Stated("every_conv", "attributes are concatenated after every convolution"),
        "attribute_masking": Stated(
            "mean" if masked else "none",
            "inside the mask, attributes are replaced by their mean" if masked else "it has no mask",
        ),
        "masking_start": Stated(
            256 if masked else 8, "attributes are masked above 128 px only" if masked else "no effect without a mask"
        ),
        "mask_accumulation": Stated("sigmoid", "a sigmoid is applied to the mask at every level"),
        "mapping_lr_mul": Stated(0.01, "hard-coded in StyleGAN2"),
        "rgb_bound": Stated("none", "the output is not bounded"),
        "embedding_norm": Stated(RAW_EMBEDDING_NORM, RAW_EMBEDDING_WHY),
    }


def swapper_links(config: GeneratorConfig, mask: tuple[str, str]) -> dict[str, Link]:
    """Sources of all tensors of a StyleSwap network."""
    return {
        **names.identity_links(),
        **names.mapping_links(config, PREFIX),
        **names.encoder_links(config),
        **names.synthesis_links(config, PREFIX, mask if config.mask_branch else None),
    }


def is_without_mask(tensors: Tensors) -> bool:
    """Whether there is an encoder and no mask layer under any name."""
    return "ecd0.0.0.weight" in tensors and not any(re.match(r"generator\.to_\w*mask", name) for name in tensors)


def is_embedding_layer(tensors: Tensors) -> bool:
    """Whether the input of `final_linear` is an embedding (as long as w) instead of a feature map as in GPEN."""
    weight = tensors.get("final_linear.0.weight")
    return weight is not None and weight.ndim == 2 and weight.shape[0] == weight.shape[1]


def _matches(tensors: Tensors) -> bool:
    masked = any(name.startswith("generator.to_outtermask") for name in tensors)
    return masked or (is_without_mask(tensors) and is_embedding_layer(tensors))


def _infer(tensors: Tensors) -> InferredFields:
    fields = infer_swapper(tensors)
    fields["mask_branch"] = any(name.startswith("generator.to_outtermask") for name in tensors)
    return fields


def _stated(fields: InferredFields) -> dict[str, Stated]:
    return common_statements(fields) | {
        "template": Stated("arcface_128", "assumption: the released code does not tell how targets were cropped"),
        "recognizer": Stated("arcface_ir_se50", "the IR-SE50 ArcFace network that was released with it"),
    }


FORMAT = ForeignFormat(
    name="styleswap-paddle",
    title="StyleSwap, the released test code (Paddle)",
    matches=_matches,
    infer=_infer,
    stated=_stated,
    links=lambda config: swapper_links(config, MASK),
    kernels=lambda config: names.kernel_sums(config, PREFIX, MASK if config.mask_branch else None, encoder=True),
    license="that of the StyleSwap weights it was converted from; ask their authors",
)
