"""What `w_plus` is judged by: its sources' own pictures, and swaps onto guides.

Everything that does not depend on `w_plus` is computed once: the attributes of sources and guides, and the sources'
recognizer features. So a step runs the synthesis network and the recognizer, forward and backward, and nothing else;
and neither computes a gradient that does not lead to `w_plus`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ..faces.alignment import recognizer_crop
from ..faces.arcface import TorchRecognizer
from ..losses import perceptual_loss, pixel_loss
from ..model import FrozenSynthesis, Generator, GeneratorOutput
from .aligned_faces import AlignedFaces, Canceled
from .inversion_settings import InversionSettings

# How the recognizer's crops differ from view to view: what a detector and another picture would change too.
VIEW_SHIFT = 0.03  # of the eye-mouth distance, standard deviation
VIEW_LOG_SCALE = 0.03
VIEW_ROTATION = math.radians(2.0)
VIEW_LOG_CONTRAST = 0.1
VIEW_LOG_TINT = 0.04
VIEW_BRIGHTNESS = 0.08  # of the range -1..1
# Where the L1 of the preservation term becomes a square: at the start both pictures are equal but for rounding, and the
# sign of that must not steer.
PRESERVATION_BEND = 0.05
VIEW_DRAWS = 9
"""Random numbers that describe one view."""


@dataclass(frozen=True, eq=False)
class EncodedFaces:
    """Faces, and the attributes of each: one map (1, C, R, R) per resolution, in the type the network runs in."""

    faces: AlignedFaces
    attributes: list[list[Tensor]]

    def rows(self, rows: list[int], device: torch.device) -> tuple[Tensor, list[Tensor], Tensor]:
        """Crops, attributes and points of some faces, on the device."""
        picked = self.faces[rows].to(device)
        levels = zip(*(self.attributes[row] for row in rows), strict=True)
        return picked.crops, [torch.cat(maps).to(device) for maps in levels], picked.points


class Objective:
    """The losses of an inversion and their gradients.

    Args:
        generator, recognizer: frozen, on one device.
        sources: the person; guides: other faces, the held-out ones among them.
        target: (512,), L2-normalized: the identity that swaps are held to.
        canceled: asked before every part of every run of the networks and of each way back; True raises `Canceled`.
    """

    def __init__(
        self,
        generator: Generator,
        recognizer: TorchRecognizer,
        sources: AlignedFaces,
        guides: AlignedFaces,
        target: Tensor,
        settings: InversionSettings,
        canceled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.generator, self.recognizer, self.settings = generator, recognizer, settings
        # No method of this object, which would then live on in a circle with all that it holds.
        self._check = partial(_raise_if, canceled)
        self.device = next(generator.parameters()).device
        self.bf16 = settings.runs_bf16(self.device)
        self.frozen = FrozenSynthesis(
            generator.synthesis,
            torch.bfloat16 if self.bf16 else torch.float32,
            checkpointing=settings.low_memory,
            before_each=self._check,
        )
        self.target = F.normalize(target.to(self.device)[None].float(), dim=1)  # (1, 512)
        self.sources, self.guides = self._encoded(sources), self._encoded(guides)
        self._truth: list[list[Tensor]] = []
        self._face: Tensor | None = None
        self._plain: dict[int, Tensor] = {}

    @torch.no_grad()
    def prepare(self, w_plus: Tensor, guides: list[int]) -> None:
        """Fix what steps are held to: w_plus (num_ws, w_dim) is where the inversion starts, guides those it will use.

        The sources' face region is that of the start for good: a mask that came with the w_plus it judges could shrink
        instead of painting the face.
        """
        masks = []
        for part in self._parts(list(range(len(self.sources.faces)))):
            output, points = self._run(w_plus, self.sources, part)
            masks.append(output.mask)
            crops = recognizer_crop(self.sources.faces.crops[part].to(self.device), points, self.recognizer.input_size)
            layers = [layer.float() for layer in self._features(crops)]
            self._truth += [[layer[index : index + 1] for layer in layers] for index in range(len(part))]
        self._face = torch.cat(masks)
        if self.settings.weights.preservation:
            for part in self._parts(guides):
                images = self._run(w_plus, self.guides, part)[0].image.to(self.guides.faces.crops.device)
                self._plain.update(zip(part, images.split(1), strict=True))

    def reconstruct(self, w_plus: Tensor, rows: list[int]) -> tuple[float, Tensor]:
        """Self-reconstruction of sources: adds the gradient to `w_plus` (num_ws, w_dim); loss, and the first picture."""
        total, shown = 0.0, None
        for part in self._parts(rows):
            image, loss = self._reconstruction(w_plus, part)
            self._descend(loss * (len(part) / len(rows)))
            total += float(loss.detach()) * len(part) / len(rows)
            shown = image[0] if shown is None else shown
        return total, shown

    @torch.no_grad()
    def reconstruction_loss(self, w_plus: Tensor) -> tuple[float, Tensor]:
        """The same over all sources without gradients."""
        total, shown, count = 0.0, None, len(self.sources.faces)
        for part in self._parts(list(range(count))):
            image, loss = self._reconstruction(w_plus, part)
            total += float(loss) * len(part) / count
            shown = image[0] if shown is None else shown
        return total, shown

    def swap(self, w_plus: Tensor, rows: list[int], random: torch.Generator) -> float:
        """Swaps onto guides, held to the source's identity: adds the gradient to `w_plus` (num_ws, w_dim); the loss."""
        total = 0.0
        # Drawn for all rows at once, so that working face by face gives the same views.
        draws = torch.randn(len(rows), self.settings.views, VIEW_DRAWS, generator=random)
        parts = self._parts(rows)
        for part, looks in zip(parts, draws.split(len(parts[0])), strict=True):
            output, points = self._run(w_plus, self.guides, part)
            loss = self._swap_loss(output.image, points, looks, part) * (len(part) / len(rows))
            self._descend(loss)
            total += float(loss.detach())
        return total

    def _swap_loss(self, image: Tensor, points: Tensor, looks: Tensor, rows: list[int]) -> Tensor:
        weights = self.settings.weights
        crops = look(image, points, looks, self.recognizer.input_size)
        loss = weights.identity * (1.0 - self._likeness(crops)).mean()
        if weights.preservation:
            plain = torch.cat([self._plain[row] for row in rows]).to(self.device)
            loss = loss + weights.preservation * F.smooth_l1_loss(image, plain, beta=PRESERVATION_BEND)
        return loss

    @torch.no_grad()
    def likeness(self, w_plus: Tensor, rows: list[int]) -> tuple[float, Tensor]:
        """Mean cosine of swaps onto guides to the source, as they are; and the first such picture (3, S, S)."""
        cosines, shown = [], None
        for part in self._parts(rows):
            output, points = self._run(w_plus, self.guides, part)
            cosines.append(self._likeness(recognizer_crop(output.image, points, self.recognizer.input_size)))
            shown = output.image[0] if shown is None else shown
        return float(torch.cat(cosines).mean()), shown

    def _parts(self, rows: list[int]) -> list[list[int]]:
        # No pass is larger than that of a guided step.
        size = 1 if self.settings.low_memory else self.settings.guide_batch
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _reconstruction(self, w_plus: Tensor, rows: list[int]) -> tuple[Tensor, Tensor]:
        weights = self.settings.weights
        (image, rgb, *_), points = self._run(w_plus, self.sources, rows)
        truth = self.sources.faces.crops[rows].to(self.device)
        loss = weights.reconstruction * pixel_loss(rgb, truth, self._face[rows])
        if weights.perceptual:
            features = self._features(recognizer_crop(image, points, self.recognizer.input_size))
            loss = loss + weights.perceptual * perceptual_loss(features, self._truth_of(rows))
        return image.detach(), loss

    def _truth_of(self, rows: list[int]) -> list[Tensor]:
        return [torch.cat(layers) for layers in zip(*(self._truth[row] for row in rows), strict=True)]

    def _likeness(self, crops: Tensor) -> Tensor:
        self._check()
        with self._precision():
            embedding = self.recognizer(crops)
        return F.cosine_similarity(embedding.float(), self.target, dim=1)

    def _features(self, crops: Tensor) -> list[Tensor]:
        self._check()
        with self._precision():
            return self.recognizer.features(crops)

    def _run(self, w_plus: Tensor, among: EncodedFaces, rows: list[int]) -> tuple[GeneratorOutput, Tensor]:
        crops, attributes, points = among.rows(rows, self.device)
        return self.frozen(w_plus, attributes, crops), points

    @torch.no_grad()
    def _encoded(self, faces: AlignedFaces) -> EncodedFaces:
        # Where memory is short, attributes wait beside the device; in the type that they are used in, either way.
        keep = torch.device("cpu") if self.settings.low_memory else self.device
        encoded = []
        for part in self._parts(list(range(len(faces)))):
            self._check()
            with self._precision():
                levels = [maps.to(keep) for maps in self.generator.encode(faces[part].to(self.device).crops)]
            encoded += zip(*(maps.split(1) for maps in levels), strict=True)
        return EncodedFaces(faces.to(keep), encoded)

    def _descend(self, loss: Tensor) -> None:
        # The way back takes longer than the way there: asked again between the two.
        self._check()
        loss.backward()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)


def _raise_if(canceled: Callable[[], bool]) -> None:
    if canceled():
        raise Canceled


def look(image: Tensor, points: Tensor, draws: Tensor, size: int) -> Tensor:
    """The recognizer's crops of faces, each seen several times, placed and lit a little differently.

    A w_plus that pleases the recognizer in one exact crop alone pleases no other recognizer.

    Args:
        image: (B, 3, S, S) -1..1; points: (B, 5, 2) pixels; draws: (B, V, VIEW_DRAWS) standard normal; size: of the crops.

    Returns:
        (B * V, 3, size, size), the views of each picture side by side.
    """
    count, views, _ = draws.shape
    draws = draws.to(image.device).view(count * views, VIEW_DRAWS)
    points = points.repeat_interleave(views, dim=0)  # (BV, 5, 2)
    center = points.mean(dim=1, keepdim=True)
    reach = (points[:, :2].mean(dim=1) - points[:, 3:].mean(dim=1)).norm(dim=1)  # eyes to mouth
    angle, scale = draws[:, 0] * VIEW_ROTATION, (draws[:, 1] * VIEW_LOG_SCALE).exp()
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2) * scale[:, None, None]
    shift = draws[:, 2:4] * VIEW_SHIFT * reach[:, None]
    moved = (points - center) @ turn.transpose(1, 2) + center + shift[:, None]
    crops = recognizer_crop(image.repeat_interleave(views, dim=0), moved, size)
    gain = (draws[:, 4:5] * VIEW_LOG_CONTRAST + draws[:, 5:8] * VIEW_LOG_TINT).exp()[..., None, None]
    offset = draws[:, 8] * VIEW_BRIGHTNESS
    # Gains act on light, which is zero at -1.
    return (crops + 1.0) * gain - 1.0 + offset[:, None, None, None]
