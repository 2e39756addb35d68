"""The losses of the method, each a small pure function.

Images are (B, 3, H, W) RGB in -1..1, masks (B, 1, H, W) in 0..1, unless a docstring says otherwise. Every loss
returns a scalar: the mean over the batch of one figure per sample. `rows` (B,), 0 or 1, switches samples off
without changing the divisor, so that terms on different rows add up to one mean over the batch. Arithmetic is
float32 whatever the network ran in: differences of half-precision pictures lose the detail that is judged.

Sources: method.md section 3.2 (StyleSwap, Xu et al., ECCV 2022), and where the paper is silent the paper named at
the function.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class LossWeights:
    """The factor of every term; a term whose factor is 0 is not computed.

    The defaults keep the proportions of the public re-implementation quoted in method.md (adversarial 1,
    identity 20, reconstruction 100, feature matching 100), divided by ten, except that the mask counts more: it
    decides where everything else applies.
    """

    adversarial: float = 0.1
    r1: float = 10.0  # gamma of R1; belongs to the discriminator alone, hence not divided
    feature_matching: float = 0.0  # 10 is the paper's proportion; only felt once the discriminator runs
    identity: float = 2.0  # to the source photo's embedding
    truth_identity: float = 0.0  # to the exact swap's embedding: cannot overshoot the likeness
    reconstruction: float = 10.0  # L1, same identity
    perceptual: float = 1.0  # recognizer features, same identity
    mask: float = 1.0
    mask_levels: float = 0.0  # the same loss at every lower resolution; the paper judges the last mask alone
    swap_pixels: float = 10.0  # L1 to the exact swap, different identities
    swap_rgb: float = 5.0  # L1 of the unblended rgb inside the face, all samples that have a truth
    swap_gradients: float = 5.0
    swap_laplacian: float = 5.0
    swap_perceptual: float = 1.0
    swap_sharpness: float = 0.0  # as much detail as the exact swap has, wherever in a small window it lies


def adversarial_loss(fake_logits: Tensor) -> Tensor:
    """Generator's non-saturating logistic loss, mean softplus(-D(fake)) (Goodfellow 2014, as in StyleGAN2).

    Args:
        fake_logits: (B, 1).
    """
    return F.softplus(-fake_logits.float()).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Discriminator's logistic loss, mean softplus(-D(real)) + mean softplus(D(fake)).

    Args:
        real_logits, fake_logits: (B, 1).
    """
    return F.softplus(-real_logits.float()).mean() + F.softplus(fake_logits.float()).mean()


def r1_penalty(real_logits: Tensor, real_images: Tensor) -> Tensor:
    """R1 of Mescheder et al. 2018 without gamma: 1/2 E ||grad_x D(x)||^2 at real images.

    Lazy use (StyleGAN2, appendix B): every k-th step, times k.

    Args:
        real_logits: (B, 1), computed from `real_images`, which must require gradients.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real_images, create_graph=True)
    return 0.5 * gradient.float().square().sum(dim=(1, 2, 3)).mean()


def identity_loss(embedding: Tensor, id_embedding: Tensor, rows: Tensor | None = None) -> Tensor:
    """1 - cosine between recognizer embeddings (method.md 3.2: all pairs).

    Args:
        embedding: (B, 512) of the output, of any length.
        id_embedding: (B, 512) to be like, of any length.
    """
    return _batch_mean(1 - F.cosine_similarity(embedding.float(), id_embedding.float(), dim=1), rows)


def pixel_loss(image: Tensor, truth: Tensor, pixel_weight: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
    """L1 over pixels, weighted: sum(weight * |image - truth|) / sum(weight) in each sample.

    Args:
        pixel_weight: (B, 1, H, W) >= 0, see `face_weight`; a mask itself restricts the loss to the mask.
    """
    return _batch_mean(_weighted_mean((image.float() - truth.float()).abs(), pixel_weight), rows)


def face_weight(face_mask: Tensor, factor: float) -> Tensor:
    """Pixel weights: `factor` inside the face, 1 outside, mixed along soft edges. (B, 1, H, W)."""
    return 1 + (factor - 1) * face_mask


def feature_weight(points: Tensor, size: int, factor: float) -> Tensor:
    """Weight of a pixel near eyes or mouth: `factor` there, 1 far away, (B, 1, size, size).

    They are a small part of a face's area and most of its likeness and expression (DeepFaceLab's eyes and mouth
    priority). Bells about each eye and along the line of the mouth are as wide as a third of the eyes' distance, which
    takes in brows and lips; on a head turned to the side, of the distance from the eyes to the mouth.

    Args:
        points: (B, 5, 2) px of the picture: eyes, nose tip, corners of the mouth.
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
    """L1 between horizontal and vertical finite differences: edges where the truth has edges, else none.

    The gradient difference loss of Mathieu et al. 2016, signed (a line turned from dark to bright counts).
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
    """Sum over the finest `levels` of L1 between the bands of two Laplacian pyramids (Burt and Adelson 1983).

    Each band is averaged over its own pixels, so that every octave of detail counts the same. A pyramid is linear:
    that of the difference is the difference of the pyramids, and only one is built.

    Args:
        levels: number of bands; the picture's sides must be divisible by 2**levels.
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
    """L1 between the local contrasts of two pictures: root mean square of finite differences in each window.

    Where the exact place of an edge cannot be known, L1 on pixels or gradients is least for no edge at all. This loss
    asks for as much edge as the truth has nearby and leaves the place to the others (the contrast term of SSIM,
    Wang et al. 2004, on gradients).

    Args:
        window: side in px of the half-overlapping windows; at most the picture's side.
    """
    weight = None if pixel_weight is None else F.avg_pool2d(pixel_weight.float(), window, window // 2)
    difference = _local_contrast(image.float(), window) - _local_contrast(truth.float(), window)
    return _batch_mean(_weighted_mean(difference.abs(), weight), rows)


def _local_contrast(image: Tensor, window: int) -> Tensor:
    # (B, 3, H, W) -> (B, 1, h, w)
    across = F.pad((image[..., :, 1:] - image[..., :, :-1]).square().mean(dim=1, keepdim=True), (0, 1, 0, 0))
    down = F.pad((image[..., 1:, :] - image[..., :-1, :]).square().mean(dim=1, keepdim=True), (0, 0, 0, 1))
    # The constant keeps the root's slope finite where nothing changes: half a step of 8 bits.
    return (F.avg_pool2d(across + down, window, window // 2) + (1 / 255) ** 2).sqrt()


def perceptual_loss(features: Sequence[Tensor], truth_features: Sequence[Tensor], rows: Tensor | None = None) -> Tensor:
    """Mean over layers of |features - truth| / mean |truth|: a perceptual distance in the recognizer's own layers.

    After Johnson et al. 2016; divided by the truth's mean size, so that no layer rules by its scale. The truth's
    features get no gradient.

    Args:
        features, truth_features: lists of (B, C, h, w), the same shapes pairwise.
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
    """Mean over layers of L1 between discriminator features of output and target (GPEN, Yang et al. 2021).

    Args:
        features, truth_features: lists of (B, C, h, w), the same shapes pairwise; the truth's get no gradient.
    """
    distances = [
        (layer.float() - truth.detach().float()).abs().flatten(1).mean(dim=1)
        for layer, truth in zip(features, truth_features, strict=True)
    ]
    return _batch_mean(torch.stack(distances).mean(dim=0), rows)


def mask_loss(mask_logits: Tensor, face_mask: Tensor, rows: Tensor | None = None) -> Tensor:
    """Binary cross-entropy between the mask's LOGITS and the face mask.

    On logits, because a clamped sigmoid has no gradient once saturated: the mask then stays at "copy the target".

    Args:
        mask_logits: (B, 1, h, w) before the sigmoid; where smaller, the face mask is averaged down to it.
        face_mask: (B, 1, H, W) in 0..1, soft values allowed.
    """
    face_mask = face_mask.float()
    if mask_logits.shape[-2:] != face_mask.shape[-2:]:
        face_mask = F.adaptive_avg_pool2d(face_mask, mask_logits.shape[-2:])
    loss = F.binary_cross_entropy_with_logits(mask_logits.float(), face_mask, reduction="none")
    return _batch_mean(loss.flatten(1).mean(dim=1), rows)


def mask_levels_loss(mask_logits: Sequence[Tensor], face_mask: Tensor, rows: Tensor | None = None) -> Tensor:
    """Mean of `mask_loss` over masks of several resolutions, [(B, 1, h, w), ...]."""
    return torch.stack([mask_loss(logits, face_mask, rows) for logits in mask_logits]).mean()


def _weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    # (B, C, H, W), (B, 1, H, W) -> (B,)
    per_pixel = values.mean(dim=1, keepdim=True)
    if weight is None:
        return per_pixel.flatten(1).mean(dim=1)
    weight = weight.float()
    total = weight.flatten(1).sum(dim=1).clamp_min(1.0)  # an empty mask gives 0, not 0/0
    return (per_pixel * weight).flatten(1).sum(dim=1) / total


def _batch_mean(per_sample: Tensor, rows: Tensor | None) -> Tensor:
    return per_sample.mean() if rows is None else (per_sample * rows.to(per_sample.dtype)).mean()
