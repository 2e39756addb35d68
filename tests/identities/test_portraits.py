"""Portraits: where the face lies in them, how they are cut, and that extraction keeps one."""

import numpy as np
import pytest
import torch

from styleswap_core.faces.alignment import estimate_similarity, template_points, warp
from styleswap_core.faces.detected import DetectedFace
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.extraction import extract_identity
from styleswap_core.identities.portraits import cut_portrait
from styleswap_core.io.images import from_uint8, save_image

# A face turned by some degrees, in a picture of 400 x 300.
POINTS = np.float32([[160, 120], [221, 131], [190, 160], [160, 185], [210, 193]])


def picture():
    y, x = np.mgrid[:300, :400]
    return np.stack([x * 0.6, y * 0.8, 128 + 60 * np.sin(x / 17) * np.cos(y / 23)], 2).astype(np.uint8)


def test_a_portrait_is_the_crop_of_the_whole_picture():
    portrait = cut_portrait(picture(), POINTS)
    matrix = estimate_similarity(torch.from_numpy(POINTS)[None], template_points("ffhq", 512))
    expected = (warp(from_uint8(picture()), matrix, 512, padding="border")[0] + 1) * 127.5
    assert portrait.picture.dtype == torch.uint8
    assert (portrait.picture.float() - expected).abs().max() < 0.51
    assert (portrait.points - template_points("ffhq", 512)).abs().max() < 40, "near the template's points"
    assert portrait.detail == pytest.approx(0.5, abs=0.1), "the face is shown at about half the size of the portrait"


def test_portraits_of_small_and_large_faces():
    large = np.repeat(np.repeat(picture(), 12, 0), 12, 1)
    cut = cut_portrait(large, POINTS * 12)
    small = cut_portrait(picture(), POINTS)
    assert cut.detail == 1.0 and small.detail < 1.0
    inner = (slice(None), slice(100, 400), slice(100, 400))
    assert (cut.picture[inner].float() - small.picture[inner].float()).abs().mean() < 3


class OneFace:
    recognizer = RecognizerId("known", "b" * 64)

    def __init__(self, norms):
        self.norms = iter(norms)

    def detect(self, picture, order="largest", embed=True):
        embedding = np.ones(512, dtype=np.float32) / 512**0.5
        box = np.float32([100, 60, 280, 260])
        return [DetectedFace(0, 0.9, box, POINTS * picture.shape[0] / 300, embedding, next(self.norms))]


def test_extraction_keeps_the_norm_and_the_most_detailed_portrait(tmp_path):
    save_image(tmp_path / "small.png", picture()[::3, ::3])
    save_image(tmp_path / "large.png", picture()[:, :, ::-1])
    made, _ = extract_identity([tmp_path / "small.png", tmp_path / "large.png"], OneFace([20.0, 22.0]))
    assert made.embedding_norm == 21.0
    expected = cut_portrait(np.ascontiguousarray(picture()[:, :, ::-1]), POINTS)
    assert torch.equal(made.portrait, expected.picture) and torch.equal(made.portrait_points, expected.points)
