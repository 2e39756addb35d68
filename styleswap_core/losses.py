"""Loss functions of training and inversion.

Conventions, unless a docstring says otherwise:

- Images are (B, 3, H, W) RGB in -1..1, masks (B, 1, H, W) in 0..1.
- Each loss returns a scalar, the mean over the batch of one value per sample.
- `rows` (B,), 0 or 1, excludes samples without changing the divisor, so that terms for disjoint samples add up to one
  mean over the batch.
- `pixel_weight` (B, 1, H, W) >= 0 turns means over pixels into weighted means; a mask restricts a loss to the mask.
- Arithmetic is float32 regardless of the networks' precision, since differences of half-precision images lose the
  detail that the losses measure.

Sources: StyleSwap section 3.2 (Xu et al. 2022), and the papers named in the docstrings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss term; a term with weight 0 is not computed.

    The defaults have the proportions of the public re-implementation (adversarial 1, identity 20, reconstruction 100,
    feature matching 100), divided by ten. The mask has a larger weight, since it decides where all other terms apply.
    """

    adversarial: float = 0.1
    r1: float = 10.0  # gamma of R1, a loss of the discriminator, therefore not divided by ten
    feature_matching: float = 0.0  # 10 in the paper's proportion; needs the discriminator
    identity: float = 2.0  # cosine distance to the source photo's embedding
    truth_identity: float = 0.0  # cosine distance to the exact swap's embedding, which cannot be overshot
    reconstruction: float = 10.0  # L1, same identity
    perceptual: float = 1.0  # recognizer features, same identity
    mask: float = 1.0
    mask_levels: float = 0.0  # the mask loss at all lower resolutions; the paper applies it to the last mask only
    swap_pixels: float = 10.0  # L1 to the exact swap, different identities
    swap_rgb: float = 5.0  # L1 of the uncomposited rgb inside the face, for all samples with an exact swap
    swap_gradients: float = 5.0
    swap_laplacian: float = 5.0
    swap_perceptual: float = 1.0
    swap_sharpness: float = 0.0  # local contrast, compared with that of the exact swap


def adversarial_loss(fake_logits: Tensor) -> Tensor:
    """Non-saturating logistic loss of the generator, mean softplus(-D(fake)), for logits (B, 1).

    Source: Goodfellow et al. 2014, as in StyleGAN2.
    """
    return F.softplus(-fake_logits.float()).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Logistic loss of the discriminator, mean softplus(-D(real)) + mean softplus(D(fake)), for logits (B, 1)."""
    return F.softplus(-real_logits.float()).mean() + F.softplus(fake_logits.float()).mean()


def r1_penalty(real_logits: Tensor, real_images: Tensor) -> Tensor:
    """R1 gradient penalty without gamma, 1/2 E ||grad_x D(x)||^2 at real images (Mescheder et al. 2018).

    With lazy regularization (StyleGAN2, appendix B) it is computed in every k-th step and multiplied by k.

    Args:
        real_logits: (B, 1), computed from `real_images`.
        real_images: (B, 3, H, W); must require gradients.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real_images, create_graph=True)
    return 0.5 * gradient.float().square().sum(dim=(1, 2, 3)).mean()


def identity_loss(embedding: Tensor, id_embedding: Tensor, rows: Tensor | None = None) -> Tensor:
    """1 - cosine similarity of recognizer embeddings (B, D) of any norm: those of the output and the wanted ones."""
    return _batch_mean(1 - F.cosine_similarity(embedding.float(), id_embedding.float(), dim=1), rows)


def pixel_loss(image: Tensor, truth: Tensor, pixel_weight: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
    """L1 distance of images: sum(pixel_weight * |image - truth|) / sum(pixel_weight) for each sample."""
    return _batch_mean(_weighted_mean((image.float() - truth.float()).abs(), pixel_weight), rows)


def face_weight(face_mask: Tensor, factor: float) -> Tensor:
    """Pixel weights (B, 1, H, W): `factor` inside the face, 1 outside, interpolated along soft edges."""
    return 1 + (factor - 1) * face_mask


def feature_weight(points: Tensor, size: int, factor: float) -> Tensor:
    """Pixel weights (B, 1, size, size): `factor` at the eyes and the mouth, falling to 1 away from them.

    These regions are a small part of a face's area but account for most of its likeness and expression (compare
    DeepFaceLab's "eyes and mouth priority"). Gaussians are centered on each eye and along the line of the mouth. Their
    width is a third of the distance between the eyes, which covers eyebrows and lips, or, if that is larger, as on
    heads turned to the side, a third of the distance between eyes and mouth.

    Args:
        points: (B, 5, 2) landmarks in pixels: eyes, tip of the nose, corners of the mouth.
        size: Edge length of the images in pixels.
        factor: Weight at the centers.
    """
    axis = torch.arange(size, device=points.device, dtype=torch.float32) + 0.5
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)[None, None]  # (1, 1, size, size, 2)
    eyes, mouth = points[:, :2].float(), points[:, 3:].float()
    along = torch.linspace(0, 1, 5, device=points.device)[None, :, None]
    centers = torch.cat([eyes, torch.lerp(mouth[:, :1], mouth[:, 1:], along)], dim=1)  # (B, 7, 2)
    apart = (eyes[:, 1] - eyes[:, 0]).norm(dim=1)
    width = torch.maximum(apart, (mouth.mean(dim=1) - eyes.mean(dim=1)).norm(dim=1)) / 3
    distance = (grid - centers[:, :, None, None]).square().sum(dim=-1)  # (B, 7, size, size)
    bells = torch.exp(-distance / (2 * (width / 2).square()[:, None, None, None]))
    return 1 + (factor - 1) * bells.amax(dim=1, keepdim=True)


def gradient_loss(
    image: Tensor, truth: Tensor, pixel_weight: Tensor | None = None, rows: Tensor | None = None
) -> Tensor:
    """L1 distance of horizontal and vertical finite differences: edges must be exactly where the truth has them.

    Gradient difference loss of Mathieu et al. 2016, but on signed differences: a dark line instead of a bright one is
    an error.
    """
    difference = image.float() - truth.float()
    across = (difference[..., :, 1:] - difference[..., :, :-1]).abs()
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs()
    if pixel_weight is None:
        return _batch_mean(_weighted_mean(across, None) + _weighted_mean(down, None), rows)
    per_sample = _weighted_mean(across, pixel_weight[..., :, 1:]) + _weighted_mean(down, pixel_weight[..., 1:, :])
    return _batch_mean(per_sample, rows)


def laplacian_loss(
    image: Tensor, truth: Tensor, levels: int = 3, pixel_weight: Tensor | None = None, rows: Tensor | None = None
) -> Tensor:
    """Sum of the L1 distances of the `levels` finest bands of two Laplacian pyramids (Burt and Adelson 1983).

    Each band is averaged over its own pixels, so that all octaves of detail have the same weight. Height and width must
    be divisible by 2**levels. Since the pyramid is linear, one pyramid of the difference is enough.
    """
    coarse, weight = image.float() - truth.float(), pixel_weight
    per_sample = coarse.new_zeros(len(coarse))
    for _ in range(levels):
        smaller = F.avg_pool2d(coarse, 2)
        band = coarse - F.interpolate(smaller, scale_factor=2, mode="bilinear", align_corners=False)
        per_sample = per_sample + _weighted_mean(band.abs(), weight)
        coarse, weight = smaller, None if weight is None else F.avg_pool2d(weight, 2)
    return _batch_mean(per_sample, rows)


def sharpness_loss(
    image: Tensor, truth: Tensor, window: int = 8, pixel_weight: Tensor | None = None, rows: Tensor | None = None
) -> Tensor:
    """L1 distance of local contrasts, the root mean square of finite differences in each window.

    Where the exact position of an edge cannot be predicted, L1 on pixels or gradients is minimal without any edge. This
    loss requires as much contrast as the truth has within a window and leaves the position to the other terms (compare
    the contrast term of SSIM, Wang et al. 2004). Windows of `window` pixels overlap by half.
    """
    weight = None if pixel_weight is None else F.avg_pool2d(pixel_weight.float(), window, window // 2)
    difference = _local_contrast(image.float(), window) - _local_contrast(truth.float(), window)
    return _batch_mean(_weighted_mean(difference.abs(), weight), rows)


def _local_contrast(image: Tensor, window: int) -> Tensor:
    """Root mean square of the finite differences of image (B, 3, H, W) in each window: (B, 1, h, w)."""
    across = F.pad((image[..., :, 1:] - image[..., :, :-1]).square().mean(dim=1, keepdim=True), (0, 1, 0, 0))
    down = F.pad((image[..., 1:, :] - image[..., :-1, :]).square().mean(dim=1, keepdim=True), (0, 0, 0, 1))
    # The constant, half a step of 8 bits, keeps the gradient of the root finite in flat regions.
    return (F.avg_pool2d(across + down, window, window // 2) + (1 / 255) ** 2).sqrt()


def perceptual_loss(features: Sequence[Tensor], truth_features: Sequence[Tensor], rows: Tensor | None = None) -> Tensor:
    """Perceptual distance in the layers of the recognizer: mean over layers of mean |features - truth| / mean |truth|.

    After Johnson et al. 2016. The division keeps layers of a larger scale from dominating. Both arguments are lists of
    feature maps (B, C, h, w) with pairwise equal shapes; no gradient flows into `truth_features`.
    """
    distances = []
    for layer, truth in zip(features, truth_features, strict=True):
        layer, truth = layer.float().flatten(1), truth.detach().float().flatten(1)
        scale = truth.abs().mean(dim=1).clamp_min(1e-6)
        distances.append((layer - truth).abs().mean(dim=1) / scale)
    return _batch_mean(torch.stack(distances).mean(dim=0), rows)


def feature_matching_loss(
    features: Sequence[Tensor], truth_features: Sequence[Tensor], rows: Tensor | None = None
) -> Tensor:
    """Mean over layers of the L1 distance of discriminator features (GPEN, Yang et al. 2021).

    Both arguments are lists of feature maps (B, C, h, w) with pairwise equal shapes, those of the output and those of
    the target; no gradient flows into `truth_features`.
    """
    distances = [
        (layer.float() - truth.detach().float()).abs().flatten(1).mean(dim=1)
        for layer, truth in zip(features, truth_features, strict=True)
    ]
    return _batch_mean(torch.stack(distances).mean(dim=0), rows)


def mask_loss(mask_logits: Tensor, face_mask: Tensor, rows: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of mask logits and the face mask.

    Computed on logits, because a clamped sigmoid has no gradient once it is saturated: the mask would stay at "copy the
    target".

    Args:
        mask_logits: (B, 1, h, w), before the sigmoid.
        face_mask: (B, 1, H, W) in 0..1, soft values allowed; averaged down to the size of the logits.
        rows: See the module docstring.
    """
    face_mask = face_mask.float()
    if mask_logits.shape[-2:] != face_mask.shape[-2:]:
        height, width = mask_logits.shape[-2:]
        face_mask = F.adaptive_avg_pool2d(face_mask, (height, width))
    loss = F.binary_cross_entropy_with_logits(mask_logits.float(), face_mask, reduction="none")
    return _batch_mean(loss.flatten(1).mean(dim=1), rows)


def mask_levels_loss(mask_logits: Sequence[Tensor], face_mask: Tensor) -> Tensor:
    """Mean of `mask_loss` over the mask logits [(B, 1, h, w), ...] of several resolutions."""
    return torch.stack([mask_loss(logits, face_mask) for logits in mask_logits]).mean()


def _weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of values (B, C, H, W) over channels and pixels, weighted by (B, 1, H, W) -> (B,)."""
    per_pixel = values.mean(dim=1, keepdim=True)
    if weight is None:
        return per_pixel.flatten(1).mean(dim=1)
    weight = weight.float()
    total = weight.flatten(1).sum(dim=1).clamp_min(1.0)  # an empty mask gives 0 instead of 0/0
    return (per_pixel * weight).flatten(1).sum(dim=1) / total


def _batch_mean(per_sample: Tensor, rows: Tensor | None) -> Tensor:
    return per_sample.mean() if rows is None else (per_sample * rows.to(per_sample.dtype)).mean()
