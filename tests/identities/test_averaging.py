"""Averages and mixtures of identities: weights, outliers, recognizers."""

import pytest
import torch
from toy_identities import identity, vector

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.averaging import (
    average_embeddings,
    average_faces,
    blend_identities,
    cosine_similarity,
    find_outliers,
)
from styleswap_core.identities.portraits import Portrait


def test_weighted_average():
    axes = torch.eye(512)
    mean = average_embeddings([axes[0] * 7, axes[1]], [3.0, 1.0])
    assert mean[:2].tolist() == pytest.approx([3 / 10**0.5, 1 / 10**0.5])
    for weights in ([0, 0], [1], [-1, 1], [float("nan"), 1], [float("inf"), 1]):
        with pytest.raises(StyleSwapError, match="weights"):
            average_embeddings([axes[0], axes[1]], weights)
    with pytest.raises(StyleSwapError, match="cancel"):
        average_embeddings([axes[0], -axes[0]])


@pytest.mark.parametrize("distance", [0.4, 1.0])
def test_another_person_among_the_pictures_is_an_outlier(distance):
    person = vector(0)
    pictures = [vector(10 + i, near=person, distance=distance) for i in range(5)]
    cosines, outliers = find_outliers([*pictures, vector(99)])
    assert outliers == [False] * 5 + [True] and cosines[5] < min(cosines[:5])
    assert find_outliers(pictures)[1] == [False] * 5
    assert find_outliers([pictures[0]]) == ([1.0], [False])
    assert find_outliers([pictures[0], vector(99)])[1] == [False, False]


def test_blends_lie_between_the_identities():
    a, b = identity(1), identity(2)
    blended = blend_identities([a, b], [0.8, 0.2])
    assert cosine_similarity(blended, a) > 0.9 > 0.4 > cosine_similarity(blended, b) > 0.1
    assert torch.allclose(blend_identities([a, b], [1, 0]).id_embedding, a.id_embedding, atol=1e-6)
    with pytest.raises(StyleSwapError, match="at least one"):
        blend_identities([])


def test_blending_keeps_w_plus_only_within_one_generator():
    ones, threes = torch.ones(6, 32), torch.full((6, 32), 3.0)
    a = identity(1, w_plus=ones, generator_sha256="c" * 64, sources=("s", "t"))
    b = identity(2, w_plus=threes, generator_sha256="c" * 64, sources=("t", "u"))
    blended = blend_identities([a, b], [1, 3])
    assert torch.allclose(blended.w_plus, torch.full((6, 32), 2.5)) and blended.generator_sha256 == "c" * 64
    assert blended.sources == ("s", "t", "u")
    assert blend_identities([a, identity(3)]).w_plus is None
    alone = blend_identities([a, identity(3, sources=("x",))], [1, 0])
    assert torch.equal(alone.w_plus, ones) and alone.sources == ("s", "t"), "what has no weight leaves no trace"
    assert blend_identities([a, identity(2, w_plus=threes, generator_sha256="d" * 64)]).w_plus is None


def test_norms_and_portraits_of_several_faces():
    person = vector(0)
    near = [vector(10 + i, near=person, distance=0.4) for i in range(3)]

    def portrait(level, detail):
        return Portrait(torch.full((3, 512, 512), level, dtype=torch.uint8), torch.full((5, 2), float(level)), detail)

    shown = [portrait(1, 0.4), portrait(2, 0.9), portrait(3, 0.5), portrait(4, 1.0)]
    faces = [*near, vector(99)]
    made, _, outliers = average_faces(
        faces, list("abcd"), RecognizerId("r"), drop_outliers=True, norms=[18.0, 21.0, 24.0, 9.0], portraits=shown
    )
    assert outliers == [False, False, False, True] and made.embedding_norm == pytest.approx(21.0)
    assert int(made.portrait[0, 0, 0]) == 2 and float(made.portrait_points[0, 0]) == 2, "the most detailed that is kept"
    unknown, _, _ = average_faces(faces, list("abcd"), RecognizerId("r"), norms=[18.0, 0.0, 24.0, 9.0])
    assert unknown.embedding_norm == 0.0 and unknown.portrait is None


def test_blends_have_the_mean_norm_and_the_portrait_of_the_larger_share():
    picture = torch.zeros(3, 512, 512, dtype=torch.uint8)
    a, b = identity(1, embedding_norm=20.0, portrait=picture), identity(2, embedding_norm=24.0, portrait=picture + 9)
    blended = blend_identities([a, b], [1, 3])
    assert blended.embedding_norm == pytest.approx(23.0) and torch.equal(blended.portrait, b.portrait)
    assert blend_identities([a, b]).portrait.max() == 0
    assert blend_identities([a, identity(3)], [1, 1]).embedding_norm == 0.0
    assert blend_identities([a, identity(3)], [1, 0]).embedding_norm == pytest.approx(20.0), "without a share, no say"


def test_recognizers_do_not_mix():
    a = identity(1)
    for other in (identity(2, "glintr100", "f" * 64), identity(2, "w600k_r50", "f" * 64), identity(2, "glintr100", "")):
        for mix in (lambda x, y: blend_identities([x, y]), cosine_similarity):
            with pytest.raises(StyleSwapError, match="recognizers"):
                mix(a, other)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_order_of_identities_does_not_matter(reverse):
    # An identity from another program knows only the recognizer's name.
    by_name, by_hash, other_file = identity(2, sha=""), identity(1), identity(3, sha="f" * 64)
    pair = [by_name, by_hash][:: -1 if reverse else 1]
    assert blend_identities(pair).recognizer == RecognizerId("w600k_r50", "a" * 64)
    assert -1 < cosine_similarity(*pair) < 1
    # Both files match the name, yet they differ.
    for position in range(3):
        mixed = [by_hash, other_file][:: -1 if reverse else 1]
        mixed.insert(position, by_name)
        with pytest.raises(StyleSwapError, match="recognizers"):
            blend_identities(mixed)
