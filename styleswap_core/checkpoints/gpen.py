"""GPEN (face restoration): StyleSwap's generator without masks and without a source, a prior to start training from."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import StyleSwapError
from ..model import GeneratorConfig
from . import stylegan_names as names
from .foreign_format import ForeignFormat, Link, Stated, Tensors
from .styleswap_paddle import PREFIX, is_embedding_layer, is_without_mask

PRIOR_SETTABLE = ("template", "recognizer", "attribute_masking", "masking_start", "mask_accumulation", "mask_branch")


def prior_statements() -> dict[str, Stated]:
    """What is chosen for a prior, which has neither a source nor a mask."""
    return {
        "style_dim": Stated(512, "the length of ArcFace embeddings; the layer that reads them starts fresh"),
        "mask_branch": Stated(True, "it has none; ToMask starts fresh"),
        "attribute_masking": Stated("none", "a mask that is not trained yet would spoil what the prior draws"),
        "masking_start": Stated(8, "no effect without masking"),
        "mask_accumulation": Stated("logits", "the paper's"),
        "mapping_lr_mul": Stated(0.01, "StyleGAN2's, fixed in its code"),
        "rgb_bound": Stated("none", "the picture is not bounded"),
        "embedding_norm": Stated(1.0, "the layer that reads embeddings starts fresh"),
        "recognizer": Stated("", "any; training decides"),
    }


def _infer(tensors: Tensors) -> dict[str, object]:
    fields = names.infer_synthesis(tensors, PREFIX, doubled=True)
    size, reads = fields["size"], names.infer_encoder_size(tensors)
    first = tensors.get("ecd0.0.0.weight")
    # With a level merely missing, the first one would still have the generator's last number of channels.
    if reads < size and first is not None and len(first) != GeneratorConfig(**fields).channels_at(size):
        raise StyleSwapError(
            f"the encoder reads {reads} px and the generator draws {size} px, GPEN's form for super-resolution; "
            "use a checkpoint that restores at its own size, such as GPEN-BFR-512"
        )
    return fields


def _stated(fields: Mapping[str, object]) -> dict[str, Stated]:
    return prior_statements() | {
        "attribute_injection": Stated("every_conv", "features of the encoder are concatenated after every convolution"),
        "template": Stated("gpen", "GPEN's own crop"),
    }


def _links(config: GeneratorConfig) -> dict[str, Link]:
    return {
        **names.mapping_links(config, PREFIX),
        **names.encoder_links(config),
        **names.synthesis_links(config, PREFIX, mask=None),
    }


FORMAT = ForeignFormat(
    name="gpen",
    title="GPEN, face restoration",
    matches=lambda tensors: is_without_mask(tensors) and not is_embedding_layer(tensors),
    infer=_infer,
    stated=_stated,
    links=_links,
    kernels=lambda config: names.kernel_sums(config, PREFIX, None, encoder=True),
    # Takes the encoder's last feature map, where our mapping takes an embedding.
    unused=re.compile(r"final_linear\.0\.(weight|bias)$"),
    settable=PRIOR_SETTABLE,
    starting_point=True,
    license="that of the GPEN weights this was converted from; ask whoever made them",
)
