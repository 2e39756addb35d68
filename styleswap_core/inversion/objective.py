"""Objective of an inversion: reconstruction of the source pictures, and swaps onto guides.

Everything that does not depend on the code (for our generator, `w_plus`) is computed once: what the network makes of
the crops of sources and guides, and the recognizer features of the sources. A step only runs the rest of the network
and the recognizer, forward and backward, and computes only gradients that lead to the code.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ..faces.alignment import eye_mouth_distance, recognizer_crop
from ..faces.arcface import TorchRecognizer
from ..losses import perceptual_loss, pixel_loss
from ..masking.face_masks import FaceMasks
from .aligned_faces import AlignedFaces, Canceled
from .inversion_settings import InversionSettings
from .invertible import InvertibleNetwork, Prepared, Rendered

# Standard deviations of the recognizer's views: what another detector or another picture would vary as well.
VIEW_SHIFT = 0.03  # of the distance between eyes and mouth
VIEW_LOG_SCALE = 0.03
VIEW_ROTATION = math.radians(2.0)
VIEW_LOG_CONTRAST = 0.1
VIEW_LOG_TINT = 0.04
VIEW_BRIGHTNESS = 0.08  # in pixel values, -1..1
VIEW_PARAMETERS = 9
"""Number of random values that describe a view."""
# Difference below which the L1 of the preservation term turns quadratic. At the start, both pictures are equal except
# for rounding, whose sign must not steer the optimization.
PRESERVATION_BETA = 0.05


@dataclass(frozen=True, eq=False)
class PreparedFaces:
    """Faces and what the network has computed of them.

    Attributes:
        faces: The faces.
        prepared: For each face, tensors of batch size 1 in the precision of the network.
    """

    faces: AlignedFaces
    prepared: list[Prepared]

    def select(self, rows: list[int], device: torch.device) -> tuple[Tensor, list[Tensor], Tensor]:
        """Crops, prepared values and points of some faces, on a device."""
        picked = self.faces[rows].to(device)
        levels = zip(*(self.prepared[row] for row in rows), strict=True)
        joined = [values[0] if len(values) == 1 else torch.cat(values) for values in levels]
        return picked.crops, [value.to(device) for value in joined], picked.points


@dataclass(frozen=True, eq=False)
class References:
    """What the steps compare with; computed from the code that the inversion starts from.

    Attributes:
        face: (N, 1, S, S), 0..1, the face region of each source. It is fixed, since a mask made by the code that it
            judges could shrink instead of painting the face.
        features: For each source, the recognizer's feature maps, (1, ...) each.
        plain_swaps: Guide -> (1, 3, S, S), the swap onto it; empty if there is no preservation term.
    """

    face: Tensor
    features: list[list[Tensor]]
    plain_swaps: dict[int, Tensor]


class Objective:
    """Losses of an inversion and their gradients.

    Args:
        network: Frozen.
        recognizer: Frozen, on the network's device.
        sources: Pictures of the person.
        guides: Faces to swap onto, including the held-out ones.
        target: (D,), L2-normalized: the embedding that swaps are compared with.
        start: (rows, width), the code that the inversion starts from.
        train_guides: Guides that `swap_step` may use.
        settings: Loss weights, precision and memory.
        canceled: Called before each part of a network's forward pass and before each backward pass.

    Raises:
        Canceled: `canceled` returned true, here or in any method.
    """

    def __init__(
        self,
        network: InvertibleNetwork,
        recognizer: TorchRecognizer,
        sources: AlignedFaces,
        guides: AlignedFaces,
        target: Tensor,
        start: Tensor,
        train_guides: list[int],
        settings: InversionSettings,
        canceled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.network, self.recognizer, self.settings = network, recognizer, settings
        # A bound method would create a reference cycle, which keeps everything held here alive.
        self._check = partial(_raise_if, canceled)
        self.device, self._precision = network.device, network.precision(settings)
        self._renderer = network.open(self._precision, settings.low_memory, self._check)
        self.target = F.normalize(target.to(self.device)[None].float(), dim=1)  # (1, D)
        self.sources, self.guides = self._prepare(sources), self._prepare(guides)
        self._references = self._make_references(start, train_guides)

    def reconstruction_step(self, code: Tensor, rows: list[int]) -> float:
        """Reconstruct sources and add the gradient to that of `code` (rows, width); returns the loss."""
        total = 0.0
        for part in self._micro_batches(rows):
            _, loss = self._reconstruct(code, part)
            self._backward(loss * (len(part) / len(rows)))
            total += float(loss.detach()) * len(part) / len(rows)
        return total

    @torch.no_grad()
    def reconstruction_loss(self, code: Tensor) -> tuple[float, Tensor]:
        """Reconstruction loss over all sources, and the reconstruction of the first one (3, S, S)."""
        total, pictures, count = 0.0, [], len(self.sources.faces)
        for part in self._micro_batches(list(range(count))):
            image, loss = self._reconstruct(code, part)
            total += float(loss) * len(part) / count
            pictures.append(image[0].clone())
        return total, pictures[0]

    def swap_step(self, code: Tensor, rows: list[int], random: torch.Generator) -> float:
        """Swap onto guides and add the gradient to that of `code` (rows, width); returns the loss."""
        total = 0.0
        # Drawn for all rows at once, so that the size of the micro-batches does not change the views.
        draws = torch.randn(len(rows), self.settings.views, VIEW_PARAMETERS, generator=random)
        parts = self._micro_batches(rows)
        for part, part_draws in zip(parts, draws.split(len(parts[0])), strict=True):
            output, points = self._render(code, self.guides, part)
            loss = self._swap_loss(output.image, points, part_draws, part) * (len(part) / len(rows))
            self._backward(loss)
            total += float(loss.detach())
        return total

    @torch.no_grad()
    def likeness(self, code: Tensor, rows: list[int]) -> tuple[float, Tensor]:
        """Mean cosine similarity of swaps onto guides to the source, and the first of these swaps (3, S, S)."""
        cosines, pictures = [], []
        for part in self._micro_batches(rows):
            output, points = self._render(code, self.guides, part)
            cosines.append(self._similarity(recognizer_crop(output.image, points, self.recognizer.input_size)))
            pictures.append(output.image[0].clone())
        return float(torch.cat(cosines).mean()), pictures[0]

    @torch.no_grad()
    def _make_references(self, start: Tensor, guides: list[int]) -> References:
        masks, features = [], []
        plain_swaps: dict[int, Tensor] = {}
        for part in self._micro_batches(list(range(len(self.sources.faces)))):
            output, points = self._render(start, self.sources, part)
            pictures = self.sources.faces.crops[part].to(self.device)
            masks.append(output.mask if self.network.has_mask else FaceMasks().mask(pictures, points, None))
            crops = recognizer_crop(pictures, points, self.recognizer.input_size)
            layers = [layer.float() for layer in self._features(crops)]
            features += [[layer[index : index + 1] for layer in layers] for index in range(len(part))]
        if self.settings.weights.preservation:
            for part in self._micro_batches(guides):
                images = self._render(start, self.guides, part)[0].image.to(self.guides.faces.crops.device)
                plain_swaps.update(zip(part, images.split(1), strict=True))
        return References(torch.cat(masks), features, plain_swaps)

    def _reconstruct(self, code: Tensor, rows: list[int]) -> tuple[Tensor, Tensor]:
        weights = self.settings.weights
        output, points = self._render(code, self.sources, rows)
        truth = self.sources.faces.crops[rows].to(self.device)
        loss = weights.reconstruction * pixel_loss(output.rgb, truth, self._references.face[rows])
        if weights.perceptual:
            features = self._features(recognizer_crop(output.image, points, self.recognizer.input_size))
            levels = zip(*(self._references.features[row] for row in rows), strict=True)
            loss = loss + weights.perceptual * perceptual_loss(features, [torch.cat(maps) for maps in levels])
        return output.image.detach(), loss

    def _swap_loss(self, image: Tensor, points: Tensor, draws: Tensor, rows: list[int]) -> Tensor:
        weights = self.settings.weights
        crops = varied_views(image, points, draws, self.recognizer.input_size)
        loss = weights.identity * (1.0 - self._similarity(crops)).mean()
        if weights.preservation:
            plain = torch.cat([self._references.plain_swaps[row] for row in rows]).to(self.device)
            loss = loss + weights.preservation * F.smooth_l1_loss(image, plain, beta=PRESERVATION_BETA)
        return loss

    def _micro_batches(self, rows: list[int]) -> list[list[int]]:
        # No pass is larger than that of a guided step.
        size = self.network.batch_size(1 if self.settings.low_memory else self.settings.guide_batch)
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _similarity(self, crops: Tensor) -> Tensor:
        self._check()
        with self._precision.autocast(self.device):
            embedding = self.recognizer(crops)
        return F.cosine_similarity(embedding.float(), self.target, dim=1)

    def _features(self, crops: Tensor) -> list[Tensor]:
        self._check()
        with self._precision.autocast(self.device):
            return self.recognizer.features(crops)

    def _render(self, code: Tensor, faces: PreparedFaces, rows: list[int]) -> tuple[Rendered, Tensor]:
        crops, prepared, points = faces.select(rows, self.device)
        return self._renderer.render(code, prepared, crops), points

    @torch.no_grad()
    def _prepare(self, faces: AlignedFaces) -> PreparedFaces:
        # With low memory, what is prepared is kept on the CPU, in the precision that it is used in.
        storage = torch.device("cpu") if self.settings.low_memory else self.device
        prepared: list[Prepared] = []
        for part in self._micro_batches(list(range(len(faces)))):
            values = [value.to(storage) for value in self._renderer.prepare(faces[part].to(self.device).crops)]
            if len(part) == 1:
                prepared.append(tuple(values))
            else:
                prepared += zip(*(value.split(1) for value in values), strict=True)
        return PreparedFaces(faces.to(storage), prepared)

    def _backward(self, loss: Tensor) -> None:
        # The backward pass takes longer than the forward pass, hence another check between them.
        self._check()
        loss.backward()


def _raise_if(canceled: Callable[[], bool]) -> None:
    if canceled():
        raise Canceled


def varied_views(image: Tensor, points: Tensor, draws: Tensor, size: int) -> Tensor:
    """Recognizer crops of faces, each several times with random variation of position and light.

    A code that satisfies the recognizer in a single exact crop satisfies no other recognizer.

    Args:
        image: (B, 3, S, S), -1..1.
        points: (B, 5, 2), pixels.
        draws: (B, V, VIEW_PARAMETERS), standard normal.
        size: Size of the crops.

    Returns:
        (B * V, 3, size, size), the views of each picture in consecutive rows.
    """
    count, views, _ = draws.shape
    draws = draws.to(image.device).view(count * views, VIEW_PARAMETERS)
    points = points.repeat_interleave(views, dim=0)  # (BV, 5, 2)
    center = points.mean(dim=1, keepdim=True)
    distance = eye_mouth_distance(points)
    angle, scale = draws[:, 0] * VIEW_ROTATION, (draws[:, 1] * VIEW_LOG_SCALE).exp()
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2) * scale[:, None, None]
    shift = draws[:, 2:4] * VIEW_SHIFT * distance[:, None]
    moved = (points - center) @ turn.transpose(1, 2) + center + shift[:, None]
    crops = recognizer_crop(image.repeat_interleave(views, dim=0), moved, size)
    gain = (draws[:, 4:5] * VIEW_LOG_CONTRAST + draws[:, 5:8] * VIEW_LOG_TINT).exp()[..., None, None]
    offset = draws[:, 8] * VIEW_BRIGHTNESS
    # Gains multiply light, which is zero at -1.
    return (crops + 1.0) * gain - 1.0 + offset[:, None, None, None]
