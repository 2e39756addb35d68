"""Identities: checked and normalized on construction."""

import pytest
import torch
from toy_identities import identity

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity


def test_embedding_is_normalized_on_construction():
    made = Identity(torch.full((512,), 3.0, dtype=torch.float64), RecognizerId("r"))
    assert made.id_embedding.dtype == torch.float32
    assert float(made.id_embedding.norm()) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    "embedding",
    [
        torch.zeros(512),
        torch.full((512,), float("nan")),
        torch.full((512,), float("inf")),
        torch.ones(128),
        torch.ones(1, 512),
    ],
)
def test_unusable_embeddings_are_refused(embedding):
    with pytest.raises(StyleSwapError, match="embedding"):
        Identity(embedding, RecognizerId("r"))


def test_w_plus_requires_its_generator():
    with pytest.raises(StyleSwapError, match="generator"):
        identity(w_plus=torch.zeros(6, 32))
    with pytest.raises(StyleSwapError, match="num_ws"):
        identity(w_plus=torch.zeros(6), generator_sha256="c" * 64)
    assert identity(generator_sha256="c" * 64).generator_sha256 == ""
