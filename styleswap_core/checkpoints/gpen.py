"""Importer of GPEN (face restoration), a generator without masks and source identity, as a training prior."""

from __future__ import annotations

import re

from ..errors import StyleSwapError
from ..model import GeneratorConfig
from . import stylegan_names as names
from .foreign_format import ForeignFormat, InferredFields, Link, Stated, Tensors
from .styleswap_paddle import PREFIX, is_embedding_layer, is_without_mask

PRIOR_SETTABLE = ("template", "recognizer", "attribute_masking", "masking_start", "mask_accumulation", "mask_branch")


def prior_statements() -> dict[str, Stated]:
    """Settings for a prior, which has neither a source identity nor a mask."""
    return {
        "style_dim": Stated(512, "the length of ArcFace embeddings; their input layer is initialized randomly"),
        "mask_branch": Stated(True, "the prior has no masks; ToMask is initialized randomly"),
        "attribute_masking": Stated("none", "an untrained mask would spoil the pictures of the prior"),
        "masking_start": Stated(8, "no effect without masking"),
        "mask_accumulation": Stated("logits", "as in the paper"),
        "mapping_lr_mul": Stated(0.01, "hard-coded in StyleGAN2"),
        "rgb_bound": Stated("none", "the output is not bounded"),
        "embedding_norm": Stated(1.0, "the input layer for embeddings is initialized randomly"),
        "recognizer": Stated("", "determined by training"),
    }


def _infer(tensors: Tensors) -> InferredFields:
    fields = names.infer_synthesis(tensors, PREFIX, doubled=True)
    size, reads = fields["size"], names.infer_encoder_size(tensors)
    first = tensors.get("ecd0.0.0.weight")
    # If only a level were missing, the first one would still have the channels of the generator's last.
    if reads < size and first is not None and len(first) != GeneratorConfig.from_dict(fields).channels_at(size):
        raise StyleSwapError(
            f"the encoder takes {reads} px and the generator returns {size} px, GPEN's form for super-resolution; "
            "use a checkpoint with equal input and output sizes, such as GPEN-BFR-512"
        )
    return fields


def _stated(_: InferredFields) -> dict[str, Stated]:
    return prior_statements() | {
        "attribute_injection": Stated("every_conv", "encoder features are concatenated after every convolution"),
        "template": Stated("gpen", "GPEN's crop template"),
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
    # Its input is the encoder's last feature map; the input of our mapping is an embedding.
    unused=re.compile(r"final_linear\.0\.(weight|bias)$"),
    settable=PRIOR_SETTABLE,
    starting_point=True,
    license="that of the GPEN weights it was converted from; ask their authors",
)
