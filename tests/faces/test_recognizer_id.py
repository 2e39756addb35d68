"""Recognizer ids: hashes take precedence over names, and the order does not matter."""

import itertools

import pytest

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.recognizer_id import RecognizerId, check_recognizer, common_recognizer

A, B = "a" * 64, "b" * 64
FULL, NAME, HASH = RecognizerId("w600k_r50", A), RecognizerId("w600k_r50"), RecognizerId("", A)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (FULL, FULL, True),
        (FULL, RecognizerId("renamed", A), True),
        (FULL, RecognizerId("w600k_r50", B), False),
        (FULL, NAME, True),
        (FULL, RecognizerId("glintr100"), False),
        (FULL, HASH, True),
        (NAME, HASH, False),
        (RecognizerId(), FULL, False),
        (RecognizerId(), RecognizerId(), False),
        (FULL, RecognizerId("w600k_r50", A, dimension=256), False),
    ],
)
def test_matches_is_symmetric(one, other, same):
    assert one.matches(other) is same and other.matches(one) is same


def test_a_known_recognizer_bridges_name_and_hash():
    assert NAME.matches(HASH, bridge=FULL) and HASH.matches(NAME, bridge=FULL)
    assert not NAME.matches(HASH, bridge=RecognizerId("w600k_r50", B))
    assert not NAME.matches(HASH, bridge=RecognizerId("glintr100", A))
    assert not NAME.matches(RecognizerId("glintr100"), bridge=FULL)


def test_ids_as_text_and_truth_values():
    assert str(FULL) == "w600k_r50 (sha256 aaaaaaaaaaaaaaaa)"
    assert str(NAME) == "w600k_r50" and str(HASH) == "sha256 aaaaaaaaaaaaaaaa" and str(RecognizerId()) == "unknown"
    assert FULL and NAME and HASH and not RecognizerId()


def test_a_model_without_a_recognizer_takes_any():
    check_recognizer(RecognizerId(), FULL, "the identity was made with", "extract it again")
    check_recognizer(HASH, NAME, "the identity was made with", "extract it again", bridge=FULL)
    with pytest.raises(StyleSwapError, match=r"sha256 a+, the identity was made with w600k_r50; extract it again"):
        check_recognizer(HASH, NAME, "the identity was made with", "extract it again")


@pytest.mark.parametrize("ids", list(itertools.permutations([FULL, NAME, HASH, RecognizerId("w600k_r50")])))
def test_common_recognizer_combines_what_is_known(ids):
    assert common_recognizer(ids) == FULL


@pytest.mark.parametrize("ids", list(itertools.permutations([FULL, NAME, RecognizerId("w600k_r50", B)])))
def test_two_files_of_one_name_have_no_common_recognizer(ids):
    with pytest.raises(StyleSwapError, match=r"do not mix: w600k_r50 .sha256 a+. and w600k_r50 .sha256 b+."):
        common_recognizer(ids)
