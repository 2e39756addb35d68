"""The text that marks a picture as a swap."""

import torch

from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.identities.provenance import swap_facts


def test_the_mark_names_model_identities_and_strength():
    torch.manual_seed(0)
    anna, bert = (Identity(torch.randn(512), RecognizerId("any")) for _ in range(2))
    mark = swap_facts("0123456789abcdef" + "0" * 48, [anna, bert, anna], 0.5).text
    assert (
        mark == f"face swapped; model 0123456789abcdef; identity {anna.fingerprint}, {bert.fingerprint}; strength 0.5"
    )
    assert anna.fingerprint != bert.fingerprint and len(anna.fingerprint) == 16


def test_the_fingerprint_depends_on_the_embedding_alone():
    torch.manual_seed(0)
    values = torch.randn(512)
    assert (
        Identity(values, RecognizerId("any")).fingerprint
        == Identity(3 * values, RecognizerId("other", "a" * 64), ("b" * 64,)).fingerprint
    )
