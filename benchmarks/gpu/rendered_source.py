"""Training batches from faces that are rendered on the device while it trains; no set is stored, and none repeats.

A ring of columns lies in the device's memory. Every batch renders some new ones in place of the oldest, and draws its
pairs from the ring, so that a picture is used `reuse` times on average, each time with another partner. Columns come in
twos with the same people, so that every embedding is that of another photograph.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from time_share import time_limit

from styleswap_core.faces.alignment import estimate_similarity, recognizer_crop, template_points
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.synthetic.columns import ColumnPlan, RenderedColumns, render_columns
from styleswap_core.synthetic.kernels import EAGER, Kernels, fused
from styleswap_core.synthetic.parameters import IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import render
from styleswap_core.training.batches import Batch, step_rng


@dataclass(frozen=True)
class RingSettings:
    """Settings of a `RenderedSource`.

    Attributes:
        size: Side of the crops.
        batch: Pictures per batch.
        columns: Columns in the ring, an even number.
        members: People in a column.
        reuse: How often a picture is used on average.
        same_identity_share: Share of rows whose source is the target's own person.
        seed: Seed of people and draws.
        first_attribute: Number of the first attribute setting.
        chunk: Pictures that are rendered together.
    """

    size: int
    batch: int
    columns: int = 512
    members: int = 5
    reuse: float = 4.0
    same_identity_share: float = 0.2
    seed: int = 20261122
    first_attribute: int = 0
    chunk: int = 64


class RenderedSource:
    """A `DataSource` whose batches are to be taken in order, since each one renders columns for those after it.

    Attributes:
        rendered: Pictures rendered so far.
    """

    def __init__(
        self, settings: RingSettings, recognizer: TorchRecognizer, device: torch.device, kernels: Kernels = EAGER
    ) -> None:
        """Render the first columns."""
        self.settings, self.recognizer, self.device, self.kernels = settings, recognizer, device, kernels
        self.rendered = 0
        self._plan = ColumnPlan(
            columns=10_000_000 - settings.first_attribute,
            members=settings.members,
            size=settings.size,
            identities=len(IDENTITY_SEEDS["train"]),
            first_attribute=settings.first_attribute,
        )
        self._next = self._debt = 0
        shape = (settings.columns, settings.members)
        self._images = torch.empty(*shape, 3, settings.size, settings.size, dtype=torch.uint8, device=device)
        self._masks = torch.empty(*shape, settings.size, settings.size, dtype=torch.uint8, device=device)
        self._points = torch.empty(*shape, 5, 2, device=device)
        self._embeddings: torch.Tensor | None = None
        while self._next < settings.columns:
            self._renew()

    def batch(self, step: int, source_crop: bool = False) -> Batch:
        """See `DataSource`; a batch of an earlier step would be another one."""
        settings = self.settings
        self._debt += settings.batch / settings.reuse
        while self._debt >= self._columns_at_once * settings.members:
            self._debt -= self._columns_at_once * settings.members
            self._renew()
        rng = step_rng(settings.seed, step, stream=1)
        count, members = settings.batch, settings.members
        column = rng.integers(settings.columns, size=count)
        target = np.where(rng.random(count) < 0.5, 0, rng.integers(members, size=count))
        other = (target + 1 + rng.integers(members - 1, size=count)) % members
        source = np.where(rng.random(count) < settings.same_identity_share, target, other)
        places = torch.from_numpy(np.stack([column, target, source, column ^ 1])).to(self.device)
        return self._gathered(*places, source_crop=source_crop)

    def _gathered(
        self, column: torch.Tensor, target: torch.Tensor, source: torch.Tensor, twin: torch.Tensor, source_crop: bool
    ) -> Batch:
        assert self._embeddings is not None
        masks = torch.maximum(self._masks[column, target], self._masks[column, source])
        same = target == source
        return Batch(
            target=_picture(self._images[column, target]),
            id_embedding=self._embeddings[twin, source],
            target_embedding=self._embeddings[twin, target],
            truth=_picture(self._images[column, source]),
            truth_known=torch.ones_like(same),
            face_mask=masks.unsqueeze(1).float() / 255,
            same_identity=same,
            points=self._points[column, source],
            source_crop=_picture(self._images[twin, source]) if source_crop else None,
        )

    @property
    def _columns_at_once(self) -> int:
        """Columns rendered together, an even number of those in the ring."""
        wanted = max(2, self.settings.chunk // self.settings.members // 2 * 2)
        return min(wanted, self.settings.columns)

    @torch.no_grad()
    def _renew(self) -> None:
        count = self._columns_at_once
        numbers = np.arange(self._next, self._next + count)
        rng = np.random.default_rng([self.settings.seed, self._next])
        drawn = [rng.choice(self._plan.identities, self._plan.members, replace=False) for _ in range(count // 2)]
        rendered = render_columns(
            self._plan,
            numbers,
            np.stack(drawn).repeat(2, 0),
            self._align,
            self.device,
            self.kernels,
            self.settings.chunk,
        )
        place = torch.from_numpy(numbers % self.settings.columns).to(self.device)
        self._images[place], self._masks[place], self._points[place] = rendered.images, rendered.masks, rendered.points
        embeddings = self._embed(rendered)
        if self._embeddings is None:
            self._embeddings = torch.empty(self.settings.columns, *embeddings.shape[1:], device=self.device)
        self._embeddings[place] = embeddings
        self._next += count
        self.rendered += count * self._plan.members

    def _embed(self, rendered: RenderedColumns) -> torch.Tensor:
        """Embeddings (N, K, D), L2-normalized."""
        pictures = _picture(rendered.images.flatten(0, 1))
        crops = recognizer_crop(pictures, rendered.points.flatten(0, 1))
        return F.normalize(self.recognizer(crops).float(), dim=1).unflatten(0, rendered.images.shape[:2])

    def _align(self, points: torch.Tensor) -> torch.Tensor:
        return estimate_similarity(points, template_points("ffhq", self.settings.size))


def choose_kernels(device: torch.device, seconds: float) -> tuple[Kernels, str]:
    """Inner functions of the renderer: compiled on a GPU that can, within some seconds, and otherwise plain.

    Returns:
        The functions, and which ones they are.
    """
    if device.type != "cuda":
        return EAGER, "plain"
    try:
        with time_limit(seconds):
            people, attributes = Identities.from_seeds(range(16), device), Attributes.from_seeds(range(16), device)
            for size in (64, 128):
                render(people, attributes, size, kernels=fused())
    # Whatever is missing, such as a C compiler for Triton's launcher.
    except Exception as error:
        return EAGER, f"plain ({type(error).__name__}: {str(error)[:120]})"
    return fused(), "compiled"


def _picture(values: torch.Tensor) -> torch.Tensor:
    return values.float().mul_(2 / 255).sub_(1)
