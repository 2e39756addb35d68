"""Geometry: pixel centers, similarity transforms, resampling, recognizer crops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from insightface.utils import face_align

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces import alignment
from styleswap_core.faces.alignment import (
    TEMPLATES,
    crop_box,
    estimate_similarity,
    eye_mouth_distance,
    invert_affine,
    matrix_scale,
    opencv_template,
    recognizer_crop,
    shift_origin,
    template_points,
    transform_points,
    warp,
)
from styleswap_core.io.images import from_uint8

POINTS = torch.tensor([[[40.0, 52.0], [88.0, 48.0], [66.0, 80.0], [50.0, 100.0], [86.0, 97.0]]])


def similarity(angle, scale, x, y):
    c, s = scale * math.cos(math.radians(angle)), scale * math.sin(math.radians(angle))
    return torch.tensor([[[c, -s, x], [s, c, y]]])


def ramp(height, width):
    """Each pixel holds its own center: channel 0 x, channel 1 y, in continuous coordinates."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)])[None]


def smooth_picture(height, width, seed=0):
    coarse = torch.rand(1, 3, height // 16 + 1, width // 16 + 1, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1) * 2 - 1


def test_templates_are_the_published_numbers():
    assert template_points("arcface_112", 112)[0].tolist() == pytest.approx([38.2946, 51.6963])
    assert template_points("arcface_128", 128)[4].tolist() == pytest.approx([78.7299, 92.2041])
    assert template_points("ffhq", 256)[2].tolist() == pytest.approx([128.317, 157.0097], abs=1e-3)
    assert template_points("gpen", 100)[1].tolist() == pytest.approx([60.4356, 47.3223])
    for points in TEMPLATES.values():
        assert points[0][0] < points[2][0] < points[1][0] and points[0][1] < points[2][1] < points[3][1]
    with pytest.raises(StyleSwapError, match="ffhq"):
        template_points("unknown", 64)


def test_similarity_transform_of_a_quarter_turn():
    # (x, y) -> (-2y + 10, 2x + 1)
    points = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    moved = torch.tensor([[10.0, 1.0], [10.0, 3.0], [8.0, 1.0]])
    expected = torch.tensor([[[0.0, -2.0, 10.0], [2.0, 0.0, 1.0]]])
    assert torch.allclose(estimate_similarity(points, moved), expected, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.floats(-180, 180), st.floats(0.05, 20), st.floats(-500, 500), st.floats(-500, 500))
def test_similarity_transforms_are_recovered(angle, scale, x, y):
    matrix = similarity(angle, scale, x, y)
    found = estimate_similarity(POINTS, transform_points(matrix, POINTS))
    assert torch.allclose(transform_points(found, POINTS), transform_points(matrix, POINTS), atol=2e-3 * max(scale, 1))


@pytest.mark.filterwarnings("ignore:`estimate` is deprecated")
def test_similarity_agrees_with_insightface_and_never_reflects():
    noisy = POINTS + torch.randn(1, 5, 2, generator=torch.Generator().manual_seed(1)) * 4
    theirs = torch.tensor(face_align.estimate_norm(noisy[0].numpy(), 112))
    ours = estimate_similarity(noisy, template_points("arcface_112", 112))[0]
    assert torch.allclose(ours, theirs.float(), atol=1e-4)
    mirrored = POINTS * torch.tensor([-1.0, 1.0])
    linear = estimate_similarity(mirrored, template_points("ffhq", 128))[0, :, :2]
    assert torch.det(linear) > 0 and torch.allclose(linear[0, 0], linear[1, 1])


def test_similarity_is_least_squares():
    noisy = POINTS + torch.randn(1, 5, 2, generator=torch.Generator().manual_seed(2)) * 3
    template = template_points("ffhq", 128)
    best = estimate_similarity(noisy, template)

    def error(matrix):
        return float((transform_points(matrix, noisy) - template).square().sum())

    for nudge in ([[0.01, 0, 0], [0, 0.01, 0]], [[0, -0.01, 0], [0.01, 0, 0]], [[0, 0, 0.3], [0, 0, 0]]):
        for sign in (1, -1):
            assert error(best) < error(best + sign * torch.tensor([nudge]))


@pytest.mark.parametrize(
    "points",
    [
        torch.full((1, 5, 2), 7.0),
        torch.full((1, 5, 2), float("nan")),
        torch.full((1, 5, 2), float("inf")),
        torch.zeros(5, 2),
    ],
)
def test_unusable_points_are_refused(points):
    with pytest.raises(StyleSwapError):
        estimate_similarity(points, template_points("ffhq", 128))


def test_inverse_and_origin():
    matrix = similarity(33, 0.7, 5, -8)
    there = transform_points(matrix, POINTS)
    assert torch.allclose(transform_points(invert_affine(matrix), there), POINTS, atol=1e-4)
    part = shift_origin(matrix, torch.tensor([[30, 20]]))
    assert torch.allclose(transform_points(part, POINTS - torch.tensor([30.0, 20.0])), there, atol=1e-4)
    assert float(matrix_scale(matrix)) == pytest.approx(0.7)


@pytest.mark.parametrize(("angle", "scale"), [(0, 1), (0, 2), (0, 0.5), (20, 1.7), (-35, 0.6), (10, 0.31), (45, 0.12)])
def test_warp_samples_where_the_matrix_points(angle, scale):
    """A picture of its own coordinates shows any drift; half a pixel would be 50 times the tolerance."""
    picture = ramp(400, 400)
    size = max(8, int(120 * scale))
    center = transform_points(similarity(angle, scale, 0, 0), torch.tensor([[[200.0, 200.0]]]))[0, 0]
    matrix = similarity(angle, scale, size / 2 - float(center[0]), size / 2 - float(center[1]))
    crop = warp(picture, matrix, size)
    expected = transform_points(invert_affine(matrix), ramp(size, size)[0, :2].flatten(1).T[None])[0].T
    assert torch.allclose(crop[0, :2].flatten(1), expected, atol=0.01)


def test_warping_by_the_identity_changes_nothing():
    picture = smooth_picture(40, 64)
    assert torch.allclose(warp(picture, similarity(0, 1, 0, 0), (40, 64)), picture, atol=1e-5)


def test_shrinking_averages_fine_texture():
    rows, columns = torch.meshgrid(torch.arange(400), torch.arange(400), indexing="ij")
    stripes = ((rows // 2 + columns // 2) % 2 * 2.0 - 1).expand(1, 3, -1, -1)
    matrix = similarity(7, 0.11, 2, 3)
    assert warp(stripes, matrix, 32)[..., 4:-4, 4:-4].abs().max() < 0.2
    assert warp(stripes, matrix, 32, antialias=False)[..., 4:-4, 4:-4].abs().max() > 0.9


def test_each_picture_of_a_batch_is_filtered_for_its_scale():
    pictures = torch.cat([smooth_picture(200, 160, seed) for seed in range(3)])
    matrices = torch.cat([similarity(5, 0.2, 4, 4), similarity(-9, 1.3, -30, -40), similarity(0, 0.5, 0, 0)])
    together = warp(pictures, matrices, 48)
    for i in range(3):
        assert torch.allclose(together[i : i + 1], warp(pictures[i : i + 1], matrices[i : i + 1], 48), atol=1e-6)


def test_warp_is_differentiable():
    picture = smooth_picture(60, 60).requires_grad_()
    warp(picture, similarity(10, 0.4, 3, 3), 24).sum().backward()
    assert picture.grad.abs().sum() > 0


@pytest.mark.parametrize(("x", "y"), [(-40, -40), (500, 500), (-500, 20)])
def test_crops_beyond_the_picture_are_finite(x, y):
    assert torch.isfinite(warp(smooth_picture(80, 70), similarity(5, 1.0, -x, -y), 64)).all()


def test_crop_boxes_surround_the_crops_within_the_picture():
    matrix = torch.cat([similarity(0, 2.0, -20, -40), similarity(0, 1.0, 20, 0), similarity(0, 1.0, 500, 0)])
    # The crops span (10..34, 20..44), (-20..28, 0..48) and (-500..-452, 0..48); the picture is 120 x 90.
    assert crop_box(matrix[:1], 48, (90, 120)).tolist() == [[10, 20, 34, 44]]
    assert crop_box(matrix[:1], 48, (90, 120), margin=3).tolist() == [[7, 17, 37, 47]]
    assert crop_box(matrix[:1], 48, (90, 120), part=(8, 0, 16, 48)).tolist() == [[14, 20, 18, 44]]
    boxes = crop_box(matrix, 48, (90, 120))
    assert (boxes[:, 2:] - boxes[:, :2] == torch.tensor([28, 48])).all(), "all of one size"
    assert boxes.min() >= 0 and (boxes[:, 2] <= 120).all() and (boxes[:, 3] <= 90).all()


@pytest.mark.filterwarnings("ignore:`estimate` is deprecated")
@pytest.mark.parametrize("size", [112, 128, 224])
@pytest.mark.parametrize("seed", range(3))
def test_recognizer_crop_agrees_with_insightface(seed, size):
    generator = np.random.default_rng(seed)
    picture = generator.integers(0, 256, (150, 170, 3), dtype=np.uint8)
    scale, angle = generator.uniform(0.7, 1.6), generator.uniform(-40, 40)
    points = transform_points(similarity(angle, scale, 30, 10), POINTS)[0] * 0.8
    theirs = face_align.norm_crop(picture, points.numpy() - 0.5, image_size=size)
    ours = (recognizer_crop(from_uint8(picture), points[None], size)[0].permute(1, 2, 0) + 1) * 127.5
    # OpenCV may quantize interpolation weights to 1/32, which amounts to a few levels on noise.
    difference = (ours - torch.from_numpy(theirs).float()).abs()
    assert difference.mean() < 1.0 and difference.max() < 12


def test_recognizer_crop_is_differentiable_and_checks_its_size():
    picture = torch.zeros(1, 3, 128, 128, requires_grad=True)
    recognizer_crop(picture, POINTS).sum().backward()
    assert picture.grad.abs().sum() > 0
    with pytest.raises(StyleSwapError, match="112"):
        recognizer_crop(picture, POINTS, 100)


@pytest.mark.parametrize(("shrink", "mode"), [(1.0, "bicubic"), (1.4, "bilinear"), (3.3, "bilinear")])
def test_crops_do_not_depend_on_the_number_of_rows_sampled_at_once(monkeypatch, shrink, mode):
    picture = torch.rand(2, 3, 90, 110, generator=torch.Generator().manual_seed(0), requires_grad=True)
    matrix = torch.tensor([[0.9, 0.2, 3.0], [-0.2, 0.9, 9.0]]).expand(2, 2, 3) / shrink
    whole = warp(picture, matrix, (33, 40), mode=mode)
    monkeypatch.setattr(alignment, "_MAX_GRID_POINTS", 600)
    bands = warp(picture, matrix, (33, 40), mode=mode)
    torch.testing.assert_close(bands, whole, atol=1e-6, rtol=0)
    gradients = [torch.autograd.grad(crop.square().sum(), picture)[0] for crop in (whole, bands)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=0)


def test_templates_of_other_programs_have_the_half_pixel_of_their_size():
    plain = template_points("arcface_128", 128)
    assert torch.allclose(template_points("arcface_128@128", 128), plain + 0.5)
    assert torch.allclose(template_points("arcface_128@256", 256), plain * 2 + 0.5, atol=1e-4)
    # A crop of several times the size shows the same part of the picture.
    assert torch.allclose(template_points("arcface_128@128", 512), (plain + 0.5) * 4, atol=1e-4)
    assert opencv_template("mtcnn_512", 256) == "mtcnn_512@256"
    for name in ("other@128", "ffhq@", "ffhq@0", "ffhq@x", "@128"):
        with pytest.raises(StyleSwapError, match="crop template"):
            template_points(name, 128)


def test_eye_mouth_distance_agrees_with_values_computed_by_hand():
    points = torch.tensor([[0.0, 0.0], [4.0, 0.0], [9.0, 9.0], [1.0, 7.0], [3.0, 7.0]])
    assert float(eye_mouth_distance(points)) == 7.0
