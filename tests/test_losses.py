"""Each loss against values derived by hand, and against the failure that it prevents."""

import math

import pytest
import torch
import torch.nn.functional as F

from styleswap_core import losses


def test_adversarial_losses_by_hand():
    logits = torch.tensor([[0.0], [math.log(3.0)]])
    # softplus(-0) = ln 2; softplus(-ln 3) = ln(1 + 1/3) = ln 4/3
    assert losses.adversarial_loss(logits).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)
    # softplus(ln 3) = ln 4
    expected = (math.log(2) + math.log(4 / 3)) / 2 + (math.log(2) + math.log(4)) / 2
    assert losses.discriminator_loss(logits, logits).item() == pytest.approx(expected)


def test_r1_of_a_linear_discriminator_is_half_its_squared_slope():
    image = torch.rand(4, 3, 5, 5, requires_grad=True)
    slope = torch.randn(1, 3, 5, 5)
    penalty = losses.r1_penalty((image * slope).sum(dim=(1, 2, 3))[:, None], image)
    assert penalty.item() == pytest.approx(0.5 * slope.square().sum().item(), rel=1e-5)


def test_r1_has_gradients_for_the_discriminators_weights():
    image = torch.rand(2, 3, 4, 4, requires_grad=True)
    weight = torch.tensor(2.0, requires_grad=True)
    losses.r1_penalty((weight * image).sum(dim=(1, 2, 3))[:, None], image).backward()
    assert weight.grad.item() == pytest.approx(2.0 * 48)  # d/dw of 1/2 * w^2 * 48 pixels


def test_identity_loss_depends_on_the_angle_only():
    one, other = torch.tensor([[3.0, 0.0], [0.0, 5.0]]), torch.tensor([[0.1, 0.0], [7.0, 0.0]])
    assert losses.identity_loss(one, other).item() == pytest.approx(0.5)  # cosines 1 and 0


def test_rows_exclude_samples_and_terms_add_up():
    image, truth = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8)
    rows = torch.tensor([True, False, True, False])
    parts = losses.pixel_loss(image, truth, rows=rows) + losses.pixel_loss(image, truth, rows=~rows)
    assert torch.allclose(parts, losses.pixel_loss(image, truth))
    assert losses.pixel_loss(image, truth, rows=torch.zeros(4)).item() == 0


def test_pixel_weight_is_a_weighted_mean():
    image, truth = torch.zeros(1, 3, 1, 2), torch.tensor([1.0, 4.0]).expand(1, 3, 1, 2)
    weight = torch.tensor([3.0, 1.0]).reshape(1, 1, 1, 2)
    assert losses.pixel_loss(image, truth, weight).item() == pytest.approx((3 * 1 + 1 * 4) / 4)
    mask = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    assert losses.face_weight(mask, 3.0).flatten().tolist() == [3.0, 1.0]
    assert losses.pixel_loss(image, truth, torch.zeros_like(mask)).item() == 0


def test_gradient_loss_detects_blur_but_not_brightness():
    truth = torch.zeros(1, 3, 4, 4)
    truth[..., 2:] = 1.0
    assert losses.gradient_loss(truth + 0.3, truth).item() == pytest.approx(0, abs=1e-6)
    flat = torch.zeros_like(truth)
    assert losses.gradient_loss(flat, truth).item() == pytest.approx(1 / 3)  # one of three column steps is missed by 1
    turned = 1 - truth
    assert losses.gradient_loss(turned, truth).item() == pytest.approx(2 / 3)


def test_gradient_loss_restricted_to_a_mask():
    image, truth = torch.rand(2, 3, 6, 6), torch.rand(2, 3, 6, 6)
    mask = torch.zeros(2, 1, 6, 6)
    mask[..., :3] = 1
    image[..., :3] = truth[..., :3]
    assert losses.gradient_loss(image, truth, mask).item() < losses.gradient_loss(image, truth).item()


def test_laplacian_of_a_difference_is_the_difference_of_pyramids():
    image, truth = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)

    def pyramid(x):
        bands = []
        for _ in range(3):
            smaller = F.avg_pool2d(x, 2)
            bands.append(x - F.interpolate(smaller, scale_factor=2, mode="bilinear", align_corners=False))
            x = smaller
        return bands

    expected = sum((a - b).abs().mean() for a, b in zip(pyramid(image), pyramid(truth), strict=True))
    assert losses.laplacian_loss(image, truth).item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses.laplacian_loss(truth + 0.2, truth).item() == pytest.approx(0, abs=1e-6)


def test_perceptual_loss_is_independent_of_the_scale_of_layers():
    features, truth = [torch.rand(2, 4, 3, 3)], [torch.rand(2, 4, 3, 3) + 0.5]
    small = losses.perceptual_loss(features, truth)
    large = losses.perceptual_loss([100 * layer for layer in features], [100 * layer for layer in truth])
    assert torch.allclose(small, large)
    assert losses.perceptual_loss(truth, truth).item() == 0


@pytest.mark.parametrize("loss", [losses.perceptual_loss, losses.feature_matching_loss])
def test_truth_features_get_no_gradient(loss):
    features = [torch.rand(2, 4, 3, 3, requires_grad=True)]
    truth = [torch.rand(2, 4, 3, 3, requires_grad=True)]
    loss(features, truth).backward()
    assert features[0].grad is not None and truth[0].grad is None


def test_feature_matching_by_hand():
    features, truth = (
        [torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 1)],
        [torch.ones(1, 1, 2, 2), torch.full((1, 1, 1, 1), 3.0)],
    )
    assert losses.feature_matching_loss(features, truth).item() == pytest.approx(2.0)


def test_mask_loss_has_a_gradient_for_a_saturated_mask():
    """At "copy the target", a clamped sigmoid has no gradient, while the loss on logits has its full gradient."""
    logits = torch.full((1, 1, 4, 4), -40.0, requires_grad=True)
    losses.mask_loss(logits, torch.ones(1, 1, 4, 4)).backward()
    assert torch.allclose(logits.grad, torch.full_like(logits, -1 / 16))


def test_mask_loss_at_a_lower_resolution_uses_the_averaged_mask():
    mask = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).reshape(1, 1, 2, 2)
    logit = torch.tensor(math.log(0.25 / 0.75)).reshape(1, 1, 1, 1).requires_grad_()
    losses.mask_levels_loss([logit], mask).backward()
    assert logit.grad.item() == pytest.approx(0, abs=1e-6)  # sigmoid is a quarter, as is the mask's mean


def test_half_precision_pictures_are_compared_in_float32():
    truth = torch.full((1, 3, 4, 4), 0.5)
    image = (truth + 0.004).bfloat16()
    for loss in (losses.pixel_loss, losses.gradient_loss):
        assert loss(image, truth).dtype == torch.float32


def test_sharpness_loss_tolerates_a_moved_edge_but_not_a_missing_one():
    truth = torch.full((1, 3, 32, 32), -0.5)
    truth[..., 14:] = 0.5
    moved = torch.roll(truth, 1, dims=-1)
    moved[..., :2] = -0.5
    blurred = torch.nn.functional.avg_pool2d(truth, (1, 7), 1, (0, 3), count_include_pad=False)
    assert losses.sharpness_loss(truth, truth).item() == 0
    assert losses.sharpness_loss(moved, truth).item() < 0.2 * losses.sharpness_loss(blurred, truth).item()
    assert losses.pixel_loss(moved, truth) > 0.3 * losses.pixel_loss(blurred, truth)


def test_sharpness_loss_depends_on_weighted_pixels_only_and_has_finite_gradients():
    truth = torch.zeros(1, 3, 32, 32)
    image = truth.clone()
    image[..., :8, :] = torch.rand(3, 8, 32)
    weight = torch.zeros(1, 1, 32, 32)
    weight[..., 20:, :] = 1
    assert losses.sharpness_loss(image, truth, pixel_weight=weight).item() == pytest.approx(0, abs=1e-7)
    flat = truth.clone().requires_grad_(True)
    losses.sharpness_loss(flat, image).backward()
    assert torch.isfinite(flat.grad).all()
