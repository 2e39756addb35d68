"""Filters, duplicates and people, compared with results known by construction."""

import cv2
import numpy as np
import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.preparation import hashing
from styleswap_core.preparation.face_quality import Quality, blur, outside_share, quality_problem
from styleswap_core.preparation.hashing import HashIndex, perceptual_hash
from styleswap_core.preparation.people import by_folder, cluster
from styleswap_core.preparation.preparation_settings import PreparationSettings

GOOD = {"score": 0.9, "side": 300.0, "outside": 0.0, "yaw": 5.0, "pitch": -5.0, "roll": 40.0, "blur": 0.4}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"score": 0.3}, "unsure"),
        ({"side": 100.0}, "small"),
        ({"outside": 0.4}, "cut off"),
        ({"yaw": -70.0}, "turned away"),
        ({"pitch": 60.0}, "turned away"),
        ({"blur": 0.9}, "blurred"),
    ],
)
def test_each_limit_has_a_reason(change, reason):
    problem = quality_problem(Quality(**{**GOOD, **change}), PreparationSettings(size=256))
    assert (problem and problem[0]) == reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 4),
        ("template", "square"),
        ("people", "guess"),
        ("likeness", 2.0),
        ("image_format", "gif"),
        ("shard_pictures", 0),
    ],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(StyleSwapError, match=name):
        PreparationSettings(**{name: value})


def test_blur_is_measured_independently_of_contrast(pictures):
    mask = np.zeros(pictures.shape[1:3], np.uint8)
    mask[30:100, 30:100] = 255
    for picture in pictures[:4]:
        values = [blur(cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture, mask) for sigma in (0, 1, 2, 4)]
        assert values == sorted(values) and values[0] < 0.55 < 0.65 < values[-1]
        assert blur(picture // 2 + 64, mask) == pytest.approx(values[0], abs=0.05)
    # Motion blurs only one direction.
    assert blur(cv2.blur(pictures[0], (15, 1)), mask) > 0.65
    assert blur(np.zeros((64, 64, 3), np.uint8), np.full((64, 64), 255, np.uint8)) == 1.0


def test_share_of_a_crop_outside_the_picture():
    # The crop of 100 px covers the square from (-50, 0) to (50, 100) of the picture.
    matrix = torch.tensor([[[1.0, 0.0, 50.0], [0.0, 1.0, 0.0]]])
    assert outside_share(matrix, 100, 200, 200) == pytest.approx(0.5, abs=0.02)
    assert outside_share(matrix, 100, 200, 50) == pytest.approx(0.75, abs=0.02)


def test_hashes_of_copies_are_similar_and_of_others_different(pictures):
    hashes = [perceptual_hash(picture) for picture in pictures]
    for picture, value in zip(pictures, hashes, strict=True):
        jpeg = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], cv2.IMREAD_COLOR)
        small = cv2.resize(picture, (80, 80), interpolation=cv2.INTER_AREA)
        for copy in (jpeg, small):
            assert (perceptual_hash(copy) ^ value).bit_count() <= 6
    distances = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(distances) > 8


@pytest.mark.parametrize("has_bit_count", [True, False])
def test_the_index_finds_exactly_the_similar_hashes(has_bit_count, monkeypatch):
    if not has_bit_count:
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    random = np.random.default_rng(0)
    known = random.integers(0, 1 << 63, 3000, dtype=np.uint64)
    index = HashIndex(known[:1500])
    for value in known[1500:]:  # grows beyond its initial capacity
        index.add(int(value))
    query = int(known[2000]) ^ 0b1011
    known[7] = query  # not in the index
    expected = [i for i in range(3000) if i != 7 and (int(known[i]) ^ query).bit_count() <= 20]
    found = index.near(query, 20)
    assert sorted(found) == expected and found[0] == 2000
    assert index.near(query, 2) == []
    assert hashing.HashIndex(np.zeros(0, np.uint64)).near(5, 64) == []


def test_people_are_clustered_in_any_order(tmp_path):
    random = np.random.default_rng(1)
    people, pictures, width = 60, 7, 512
    means = random.standard_normal((people, width))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    owner = random.permutation(np.repeat(np.arange(people), pictures))
    # The cosine similarity of two pictures of a person is about 1 / (1 + 0.8).
    noise = random.standard_normal((len(owner), width)) * np.sqrt(0.8 / width)
    embeddings = (means[owner] + noise).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = cluster(embeddings, 0.5, tmp_path)
    assert found.dtype == np.int32 and found.max() + 1 == people
    assert np.array_equal(found, by_folder(owner))
    assert list(tmp_path.iterdir()) == []


def test_one_picture_is_one_person(tmp_path):
    assert cluster(np.eye(1, 512, dtype=np.float32), 0.5, tmp_path).tolist() == [0]


def test_people_by_folder_are_numbered_in_order_of_their_first_pictures():
    assert by_folder(np.array([7, 7, 2, 9, 2])).tolist() == [0, 0, 1, 2, 1]
