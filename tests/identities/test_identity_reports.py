"""Reports on identities."""

import pytest
import torch
from toy_identities import identity

from styleswap_core.errors import StyleSwapError
from styleswap_core.identities.averaging import blend_identities
from styleswap_core.identities.identity_reports import (
    describe_blend,
    describe_identity,
    describe_likeness,
    identity_card,
)

W_PLUS = {"w_plus": torch.ones(6, 32), "generator_sha256": "c" * 64}


def test_what_an_identity_holds():
    plain = identity(1)
    assert describe_identity(plain) == [
        "recognizer w600k_r50 (sha256 aaaaaaaaaaaaaaaa)",
        "sources: not recorded",
        f"identity {plain.fingerprint}",
        "length of the embedding before normalization: unknown",
        "no portrait",
    ]
    picture = torch.zeros(3, 512, 512, dtype=torch.uint8)
    full = identity(1, sources=("s", "t"), embedding_norm=21.456, portrait=picture, **W_PLUS)
    assert describe_identity(full)[1:] == [
        "sources: 2",
        f"identity {plain.fingerprint}",
        "length of the embedding before normalization: 21.46",
        "portrait of 512 px",
        "inverted for the model cccccccccccccccc",
    ]
    assert identity_card(full) == {
        "identity": plain.fingerprint,
        "recognizer": "w600k_r50",
        "recognizer_sha256": "a" * 64,
        "dimension": 512,
        "sources": ["s", "t"],
        "embedding_norm": 21.456,
        "portrait": True,
        "inverted_for": "c" * 64,
    }
    assert identity_card(plain)["embedding_norm"] is None and identity_card(plain)["inverted_for"] is None


def test_likeness_and_blend():
    a, b = identity(1, **W_PLUS), identity(2)
    assert describe_likeness(a, a).startswith("likeness 1.000 by the recognizer w600k_r50")
    with pytest.raises(StyleSwapError, match="do not mix"):
        describe_likeness(a, identity(1, "other", "b" * 64))
    lines = describe_blend(blend_identities([a, b], [3, 1]), [("anna", a, 3.0), ("bert", b, 1.0)])
    assert lines[0] == "blend of 2 identities, recognizer w600k_r50 (sha256 aaaaaaaaaaaaaaaa)"
    assert lines[1].startswith("anna: weight 3, likeness to the blend 0.9") and "w_plus was dropped" in lines[3]
