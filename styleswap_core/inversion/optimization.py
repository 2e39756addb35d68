"""The optimization: self-reconstruction and swap-guided steps by turns, until the held-out guides stop gaining."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import StyleSwapError
from ..faces.arcface import TorchRecognizer
from ..model import Generator
from .aligned_faces import AlignedFaces, Canceled
from .guides import shuffled_batches, split_held_out
from .inversion_settings import InversionSettings
from .objective import Objective
from .trust_region import TrustRegion

BETAS = (0.9, 0.99)
# Sources per self-reconstruction step: many photos of a person make a step no dearer than a few.
SOURCE_BATCH = 4

ENDED = "all steps done"
PLATEAU = "no more gain on held-out guides"
CANCELED = "canceled"
NOT_FINITE = "a loss was not a finite number"
NO_STEPS = "no steps asked for"


@dataclass(frozen=True, eq=False)
class Progress:
    """What a caller can show after a step.

    Attributes:
        step, steps: done and planned.
        likeness: last mean cosine of swaps onto held-out guides to the source; NaN without guides.
        best: the best so far.
        distance: of `w_plus` from where it began, in the units of `TrustRegion`.
        seconds_left: at the pace so far, were all steps needed.
        pictures: (source, reconstruction, swap onto a held-out guide), each (3, S, S) RGB -1..1, right after a look at
            the held-out guides; None in between.
    """

    step: int
    steps: int
    likeness: float
    best: float
    distance: float
    seconds_left: float
    pictures: tuple[Tensor, ...] | None = None


@dataclass(frozen=True)
class Callbacks:
    """progress: called after each step and before the first; canceled: asked several times per step, True stops."""

    progress: Callable[[Progress], None] = lambda progress: None
    canceled: Callable[[], bool] = lambda: False


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an optimization found.

    Attributes:
        w_plus: (num_ws, w_dim) float32 on the CPU, the best state.
        ended: one of this module's reasons.
        steps_done, best_step: 0 is the start, plain W.
        likeness_before, likeness: mean cosine of swaps onto held-out guides to the source; NaN without guides.
        curve: (step, likeness) of every look; the reconstruction loss instead of the likeness without guides.
        distance: of the best state, in the units of `TrustRegion`; distance_limit: what it was held to, may be inf.
        guides, held_out: how many were optimized on, and how many only looked at.
        seconds: wall time. bf16: whether the networks ran in bfloat16.
        pictures: (source, reconstruction, swap onto a held-out guide) of the best state, each (3, S, S) RGB -1..1;
            without guides the reconstruction stands twice; empty where it was canceled before the first look.
    """

    w_plus: Tensor
    ended: str
    steps_done: int
    best_step: int
    likeness_before: float
    likeness: float
    curve: list[tuple[int, float]]
    distance: float
    distance_limit: float
    guides: int
    held_out: int
    seconds: float
    bf16: bool
    pictures: tuple[Tensor, ...] = ()


def optimize(
    generator: Generator,
    recognizer: TorchRecognizer,
    sources: AlignedFaces,
    id_embedding: Tensor,
    guides: AlignedFaces | None,
    settings: InversionSettings = InversionSettings(),
    callbacks: Callbacks = Callbacks(),
) -> Outcome:
    """Find `w_plus` of one person for one generator. The same seed on the same machine gives the same result.

    Args:
        generator, recognizer: on one device; their weights are not touched.
        sources: one or several pictures of the person.
        id_embedding: (512,), L2-normalized; where the search begins, and what swaps are held to.
        guides: other people, at least two; None only where `settings.guided` is false.

    Raises:
        StyleSwapError: no source, or fewer than two guides.
    """
    if len(sources) == 0:
        raise StyleSwapError("expected at least one source face, got none")
    if settings.guided and (guides is None or len(guides) < 2):
        raise StyleSwapError(
            f"expected two guides or more, got {0 if guides is None else len(guides)}; give more pictures"
        )
    start = time.perf_counter()
    region = TrustRegion.around(generator, id_embedding, settings.trust)
    search = _Search(region, settings, callbacks, len(guides) if settings.guided else 0)
    ended = search.run(generator, recognizer, sources, guides if settings.guided else sources[[]], id_embedding)
    return search.outcome(ended, time.perf_counter() - start)


@dataclass
class _Search:
    """The state of one optimization."""

    region: TrustRegion
    settings: InversionSettings
    callbacks: Callbacks
    guide_count: int
    steps_done: int = 0
    best_step: int = 0
    best: float = -math.inf  # a look's score, greater is better
    counted: float = -math.inf  # the best that was better by enough to count
    stale: int = 0
    curve: list[tuple[int, float]] = field(default_factory=list)
    bf16: bool = False
    pictures: tuple[Tensor, ...] = ()  # of the best state

    def __post_init__(self) -> None:
        self.offset = torch.zeros_like(self.region.center, requires_grad=True)
        self.best_offset = torch.zeros_like(self.region.center)
        self.train_rows, self.held_out = split_held_out(self.guide_count, self.settings.held_out_share)
        self.random = torch.Generator().manual_seed(self.settings.seed)
        self.clock = time.perf_counter()

    @property
    def w_plus(self) -> Tensor:
        """(num_ws, w_dim): the present state, with its gradient."""
        return self.region.center + self.offset

    def run(self, generator, recognizer, sources: AlignedFaces, guides: AlignedFaces, target: Tensor) -> str:
        """Optimize; the reason why it ended. What was found is in `best_offset`."""
        settings = self.settings
        try:
            objective = Objective(generator, recognizer, sources, guides, target, settings, self.callbacks.canceled)
            self.bf16 = objective.bf16
            objective.prepare(self.region.center, self.train_rows)
            if not self.look(objective):
                return NOT_FINITE
            if settings.steps == 0 or self.region.radius == 0.0:
                return NO_STEPS if settings.steps == 0 else ENDED
            return self.descend(objective)
        except Canceled:
            return CANCELED

    def descend(self, objective: Objective) -> str:
        """Take up to `settings.steps` steps, with looks at the held-out guides; the reason why it ended.

        Raises:
            Canceled: the caller said so.
        """
        settings = self.settings
        # Adam's steps have the size of its learning rate in every coordinate.
        unit = self.region.unit / math.sqrt(self.offset.shape[1])
        optimizer = torch.optim.Adam([self.offset], lr=unit, betas=BETAS)
        batches = shuffled_batches(self.train_rows, settings.guide_batch, self.random) if settings.guided else None
        sources = shuffled_batches(list(range(len(objective.sources.faces))), SOURCE_BATCH, self.random)
        self.clock = time.perf_counter()
        for step in range(settings.steps):
            optimizer.param_groups[0]["lr"] = unit * settings.learning_rate * settings.learning_rate_factor(step)
            optimizer.zero_grad(set_to_none=True)
            penalty = settings.weights.distance * self.region.penalty(self.offset)
            penalty.backward()
            if batches is not None and step % 2 == 0:
                loss = objective.swap(self.w_plus, next(batches), self.random)
            else:
                loss, _ = objective.reconstruct(self.w_plus, next(sources))
            if not math.isfinite(loss) or not bool(torch.isfinite(self.offset.grad).all()):
                return NOT_FINITE
            optimizer.step()
            self.region.confine(self.offset)
            self.steps_done = step + 1
            if self.steps_done % settings.check_every and self.steps_done < settings.steps:
                self.callbacks.progress(self.progress())
            elif not self.look(objective):
                return NOT_FINITE
            elif self.stale >= settings.patience:
                return PLATEAU
        return ENDED

    def look(self, objective: Objective) -> bool:
        """Judge the present state on the held-out guides and keep it if it is the best; False if it is not finite."""
        loss, reconstruction = objective.reconstruction_loss(self.w_plus)
        if self.held_out:
            score, swap = objective.likeness(self.w_plus, self.held_out)
        else:
            score, swap = -loss, reconstruction
        if not math.isfinite(score):
            return False
        self.curve.append((self.steps_done, score if self.held_out else loss))
        shown = objective.sources.faces.crops[0], reconstruction, swap
        pictures = tuple(picture.detach().float().cpu() for picture in shown)
        if score > self.best:
            self.best, self.best_step, self.pictures = score, self.steps_done, pictures
            self.best_offset = self.offset.detach().clone()
        if score > self.counted + self.settings.min_gain:
            self.counted, self.stale = score, 0
        else:
            self.stale += 1
        self.callbacks.progress(self.progress(pictures))
        return True

    def progress(self, pictures: tuple[Tensor, ...] | None = None) -> Progress:
        """What a caller can show of the present state; pictures as in `Progress`."""
        done, planned = self.steps_done, self.settings.steps
        pace = (time.perf_counter() - self.clock) / max(done, 1)
        likeness = self.curve[-1][1] if self.held_out else math.nan
        return Progress(
            done,
            planned,
            likeness,
            self.best if self.held_out else math.nan,
            self.region.distance(self.offset),
            pace * (planned - done),
            pictures,
        )

    def outcome(self, ended: str, seconds: float) -> Outcome:
        """The best state and how it came about; `ended` is one of this module's reasons, seconds the wall time."""
        likeness = [value for _, value in self.curve] if self.held_out else []
        return Outcome(
            w_plus=(self.region.center + self.best_offset).float().cpu(),
            ended=ended,
            steps_done=self.steps_done,
            best_step=self.best_step,
            likeness_before=likeness[0] if likeness else math.nan,
            likeness=self.best if likeness else math.nan,
            curve=self.curve,
            distance=self.region.distance(self.best_offset),
            distance_limit=self.region.radius,
            guides=len(self.train_rows),
            held_out=len(self.held_out),
            seconds=seconds,
            bf16=self.bf16,
            pictures=self.pictures,
        )
