"""Renderer: exact swap, crop windows, ground truth, determinism."""

import math

import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import estimate_similarity, template_points, transform_points
from styleswap_core.synthetic.camera import head_rotation, project
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import five_points, render

TEST_PEOPLE, TEST_SETTINGS = IDENTITY_SEEDS["test"].start, ATTRIBUTE_SEEDS["test"].start


@pytest.fixture(scope="module")
def pair():
    """Targets and their exact swaps as aligned crops of 96 px, and the crop windows."""
    people = Identities.from_seeds(range(TEST_PEOPLE, TEST_PEOPLE + 6))
    others = Identities.from_seeds(range(TEST_PEOPLE + 50, TEST_PEOPLE + 56))
    settings = Attributes.from_seeds(range(TEST_SETTINGS, TEST_SETTINGS + 6))
    window = estimate_similarity(five_points(people, settings, 256), template_points("ffhq", 96))
    target = render(people, settings, 96, window=window, frame_size=256)
    swap = render(others, settings, 96, window=window, frame_size=256, body=people)
    return target, swap, window


def test_exact_swap_equals_the_target_outside_both_faces(pair):
    target, swap, _ = pair
    outside = torch.maximum(target.face_mask, swap.face_mask) == 0
    difference = (target.image - swap.image).abs().amax(1, keepdim=True)[outside] * 127.5
    # Rays that graze the head may differ, since normals are computed from distances around a point.
    assert difference.mean() < 0.3
    assert (difference > 8).float().mean() < 0.01


def test_exact_swap_changes_the_face(pair):
    target, swap, _ = pair
    inside = torch.minimum(target.face_mask, swap.face_mask)
    error = ((target.image - swap.image) / 2).square() * inside
    psnr = -10 * torch.log10(error.sum((1, 2, 3)) / (3 * inside.sum((1, 2, 3))))
    assert psnr.mean() < 20


def test_rendering_does_not_depend_on_the_batch():
    people = Identities.from_seeds([1, 2, 3])
    settings = Attributes.from_seeds([4, 5, 6])
    together = render(people, settings, 48, chunk=3).image
    alone = torch.cat([render(people[i : i + 1], settings[i : i + 1], 48).image for i in range(3)])
    again = render(people, settings, 48, chunk=3).image
    assert torch.equal(together, again)
    assert (together - alone).abs().mean() < 1e-3


def test_a_window_shows_the_same_picture_as_the_full_frame():
    """A crop at twice the scale, averaged over 2 x 2 pixels, equals the center of the full frame (no sensor noise)."""
    people, settings = Identities.from_seeds([5]), Attributes.from_seeds([8], sensor_noise=0.0)
    window = torch.tensor([[[2.0, 0.0, -64.0], [0.0, 2.0, -64.0]]])
    large = render(people, settings, 128, window=window, frame_size=128)
    full = render(people, settings, 128)
    small = torch.nn.functional.avg_pool2d(large.image, 2)
    assert (small - full.image[..., 32:96, 32:96]).abs().mean() < 0.02
    assert torch.allclose(large.points, full.points * 2 - 64, atol=1e-3)


def test_rendered_points_agree_with_five_points(pair):
    target, _, window = pair
    people = Identities.from_seeds(range(TEST_PEOPLE, TEST_PEOPLE + 6))
    settings = Attributes.from_seeds(range(TEST_SETTINGS, TEST_SETTINGS + 6))
    assert torch.allclose(target.points, transform_points(window, five_points(people, settings, 256)), atol=1e-2)


def test_points_are_in_order_and_on_the_face():
    settings = Attributes.from_seeds(
        range(20), yaw=0.0, pitch=0.0, roll=0.0, occluder=0.0, glasses=0.0, frame_x=0.5, frame_y=0.46
    )
    shown = render(Identities.from_seeds(range(20)), settings, 64)
    left, right, nose, mouth_left, mouth_right = shown.points.unbind(1)
    assert (left[:, 0] < right[:, 0]).all() and (mouth_left[:, 0] < mouth_right[:, 0]).all()
    assert (left[:, 1] < nose[:, 1]).all() and (nose[:, 1] < mouth_left[:, 1]).all()
    for picture in range(20):
        for x, y in shown.points[picture].round().long().tolist():
            assert shown.face_mask[picture, 0, y, x] > 0.5


def test_projection_agrees_with_values_computed_by_hand():
    """The origin falls on (frame_x, frame_y); a point one unit to the right falls frame_scale farther right."""
    a = Attributes.from_seeds([0], frame_x=0.5, frame_y=0.4, frame_scale=0.25)
    points = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 4.0]]])
    expected = torch.tensor([[[50.0, 40.0], [75.0, 15.0], [50.0, 40.0]]])
    assert torch.allclose(project(points, a, 100), expected, atol=1e-4)


def test_positive_yaw_turns_right_and_positive_pitch_raises():
    forward = torch.tensor([0.0, 0.0, 1.0])
    turned = head_rotation(Attributes.from_seeds([0], yaw=30.0, pitch=0.0, roll=0.0))[0] @ forward
    assert torch.allclose(turned, torch.tensor([0.5, 0.0, math.sqrt(0.75)]), atol=1e-5)
    lifted = head_rotation(Attributes.from_seeds([0], yaw=0.0, pitch=30.0, roll=0.0))[0] @ forward
    assert torch.allclose(lifted, torch.tensor([0.0, 0.5, math.sqrt(0.75)]), atol=1e-5)


def test_depth_is_nearest_at_the_nose():
    settings = Attributes.from_seeds([0], yaw=0.0, pitch=0.0, roll=0.0, occluder=0.0, glasses=0.0)
    shown = render(Identities.from_seeds([4]), settings, 64)
    x, y = shown.points[0, 2].long().tolist()
    on_head = shown.depth[0, 0][shown.face_mask[0, 0] > 0.99]
    assert shown.depth[0, 0, y, x] - on_head.min() < 0.12
    assert shown.depth[0, 0, 0, 0] == 0


def test_glasses_and_occluder_are_not_face():
    bare = Attributes.from_seeds([3], occluder=0.0, glasses=0.0, yaw=0.0)
    covered = Attributes.from_seeds(
        [3], occluder=1.0, occluder_x=0.0, occluder_y=-0.2, occluder_width=0.15, glasses=1.0, yaw=0.0
    )
    person = Identities.from_seeds([2])
    assert render(person, covered, 64).face_mask.sum() < 0.9 * render(person, bare, 64).face_mask.sum()


def test_inconsistent_arguments_are_refused():
    people, settings = Identities.from_seeds([0, 1]), Attributes.from_seeds([0])
    with pytest.raises(StyleSwapError, match="as many attributes"):
        render(people, settings, 64)
    with pytest.raises(StyleSwapError, match="even size"):
        render(people[:1], settings, 63)
    with pytest.raises(StyleSwapError, match="window"):
        render(people[:1], settings, 64, window=torch.eye(3))
