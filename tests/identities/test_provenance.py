"""The text that marks a picture as a swap."""

import pytest
import torch

from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.identities.provenance import EDITED, EditFacts, SwapFacts


def test_the_mark_names_model_identities_and_strength():
    torch.manual_seed(0)
    anna, bert = (Identity(torch.randn(512), RecognizerId("any")) for _ in range(2))
    mark = SwapFacts.of("0123456789abcdef" + "0" * 48, [anna, bert, anna], 0.5).text
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


@pytest.mark.parametrize("model", ["", "inswapper_128", "a; model b 0123456789abcdef"])
def test_the_text_is_read_again(model):
    facts = SwapFacts("0123456789abcdef", ("a" * 16, "b" * 16), 0.25, model)
    assert SwapFacts.parse(facts.text) == facts
    assert SwapFacts.parse(f"{facts.text}\nand more") is None and SwapFacts.parse("face swapped; model x") is None


def test_an_edit_keeps_what_was_stated_before():
    assert EditFacts.of([]).text == EDITED and not EditFacts.of([]).swapped
    swap = SwapFacts("0123456789abcdef", ("a" * 16,), 1.0).text
    once = EditFacts.of([swap, "", swap])
    assert once.text == f"{swap} | {EDITED}" and once.swapped
    assert EditFacts.of([once.text, "other", once.text]).text == f"{swap} | other | {EDITED}"
    assert len(EditFacts.of(["x" * 100_000]).text) < 2000
