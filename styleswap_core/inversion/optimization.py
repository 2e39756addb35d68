"""Optimization of a code by alternating swap-guided and self-reconstruction steps, with early stopping."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..devices import Precision
from ..errors import StyleSwapError
from ..faces.arcface import TorchRecognizer
from ..identities.identity import Identity
from .aligned_faces import AlignedFaces, Canceled
from .guides import shuffled_batches, split_held_out
from .inversion_settings import MIN_GUIDES, InversionSettings
from .invertible import InvertibleNetwork
from .objective import Objective
from .trust_region import TrustRegion

BETAS = (0.9, 0.99)
# Maximum number of sources per self-reconstruction step: many photos of a person make steps no slower than a few.
SOURCE_BATCH = 4

ENDED = "all steps done"
PLATEAU = "no more gain on held-out guides"
CANCELED = "canceled"
NOT_FINITE = "a loss was not a finite number"
NO_STEPS = "no steps asked for"


@dataclass(frozen=True, eq=False)
class Progress:
    """State of a running optimization.

    Attributes:
        step: Number of steps done.
        steps: Number of steps planned.
        likeness: Mean cosine similarity of swaps onto held-out guides to the source at the last evaluation; NaN without
            guides.
        best: The highest likeness so far.
        distance: Distance of the code from its start, in units of `TrustRegion`.
        seconds_left: Estimated time for all remaining steps.
        pictures: (source, reconstruction, swap onto a held-out guide), each (3, S, S) RGB, -1..1, right after an
            evaluation; otherwise None.
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
    """Callbacks of an optimization.

    Attributes:
        progress: Called before the first step and after every step.
        canceled: Called several times per step; if it returns true, the optimization stops.
    """

    progress: Callable[[Progress], None] = lambda progress: None
    canceled: Callable[[], bool] = lambda: False


@dataclass(frozen=True, eq=False)
class Outcome:
    """Result of an optimization.

    Attributes:
        w_plus: The best state, (num_ws, w_dim) for our generator, (1, width) for networks of other programs; float32
            on the CPU.
        ended: Why it ended: ENDED, PLATEAU, CANCELED, NOT_FINITE or NO_STEPS.
        steps_done: Number of steps.
        best_step: Step of the best state; 0 is the start, the plain code.
        likeness_before: Mean cosine similarity of swaps onto held-out guides to the source at the start; NaN without
            guides.
        likeness: The same for the best state.
        curve: (step, likeness) of every evaluation; without guides, (step, reconstruction loss).
        distance: Distance of the best state from the start, in units of `TrustRegion`.
        distance_limit: Bound of the distance, possibly infinite.
        guides: Number of guides that were optimized on.
        held_out: Number of held-out guides.
        seconds: Elapsed time.
        precision: Precision of the networks, and why it was chosen.
        pictures: (source, reconstruction, swap onto a held-out guide) of the best state, each (3, S, S) RGB, -1..1.
            Without guides, the reconstruction appears twice. Empty if canceled before the first evaluation.
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
    precision: Precision
    pictures: tuple[Tensor, ...] = ()


def optimize(
    network: InvertibleNetwork,
    recognizer: TorchRecognizer,
    sources: AlignedFaces,
    identity: Identity,
    guides: AlignedFaces | None,
    settings: InversionSettings | None = None,
    callbacks: Callbacks | None = None,
) -> Outcome:
    """Optimize the code of one person for one network.

    The same arguments, including the seed, give the same result on the same machine.

    Args:
        network: The network; its weights are not changed.
        recognizer: On the network's device; its weights are not changed.
        sources: One or several pictures of the person.
        identity: The plain identity: the start of the search, and what swaps are compared with.
        guides: Other people, at least two; None or ignored if `settings.guided` is false.
        settings: How to optimize; by default `InversionSettings()`.
        callbacks: Reports of progress, and cancellation.

    Raises:
        StyleSwapError: There is no source, or there are fewer than two guides.
    """
    settings, callbacks = settings or InversionSettings(), callbacks or Callbacks()
    used_guides = guides if settings.guided and guides is not None else sources[[]]
    if len(sources) == 0:
        raise StyleSwapError("expected at least one source face, got none")
    if settings.guided and len(used_guides) < MIN_GUIDES:
        raise StyleSwapError(f"expected two guides or more, got {len(used_guides)}; give more pictures")
    start = time.perf_counter()
    region = TrustRegion.around(network, identity, settings.trust)
    search = _Search(region, settings, callbacks, len(used_guides), network.precision(settings))
    ended = search.run(network, recognizer, sources, used_guides, identity.id_embedding)
    return search.outcome(ended, time.perf_counter() - start)


class _Search:
    """State of one optimization."""

    def __init__(
        self,
        region: TrustRegion,
        settings: InversionSettings,
        callbacks: Callbacks,
        guide_count: int,
        precision: Precision,
    ) -> None:
        self.region, self.settings, self.callbacks = region, settings, callbacks
        self.train_rows, self.held_out = split_held_out(guide_count, settings.held_out_share)
        self.random = torch.Generator().manual_seed(settings.seed)
        self.offset = torch.zeros_like(region.center, requires_grad=True)
        self.precision = precision
        self.steps_done = 0
        self.curve: list[tuple[int, float]] = []
        self.started = time.perf_counter()
        # The best state so far. Scores are higher for better states.
        self.best_offset = torch.zeros_like(region.center)
        self.best_step = 0
        self.best_score = -math.inf
        self.pictures: tuple[Tensor, ...] = ()
        # For early stopping: the last score that counted as an improvement, and the evaluations since.
        self.improved_score = -math.inf
        self.stale = 0

    @property
    def code(self) -> Tensor:
        """(rows, width): the current state, with gradient."""
        return self.region.center + self.offset

    def run(
        self,
        network: InvertibleNetwork,
        recognizer: TorchRecognizer,
        sources: AlignedFaces,
        guides: AlignedFaces,
        target: Tensor,
    ) -> str:
        """Optimize and return why it ended; `outcome` has the result."""
        settings = self.settings
        try:
            objective = Objective(
                network,
                recognizer,
                sources,
                guides,
                target,
                self.region.center,
                self.train_rows,
                settings,
                self.callbacks.canceled,
            )
            if not self.evaluate(objective):
                return NOT_FINITE
            if settings.steps == 0 or self.region.radius == 0.0:
                return NO_STEPS if settings.steps == 0 else ENDED
            return self.descend(objective)
        except Canceled:
            return CANCELED

    def descend(self, objective: Objective) -> str:
        """Take up to `settings.steps` steps with regular evaluations; returns why it ended.

        Raises:
            Canceled: The caller canceled.
        """
        settings = self.settings
        # Adam's steps are about as large as its learning rate in every coordinate.
        unit = self.region.unit / math.sqrt(self.offset.shape[1])
        optimizer = torch.optim.Adam([self.offset], lr=unit, betas=BETAS)
        batches = shuffled_batches(self.train_rows, settings.guide_batch, self.random) if settings.guided else None
        sources = shuffled_batches(list(range(len(objective.sources.faces))), SOURCE_BATCH, self.random)
        self.started = time.perf_counter()
        for step in range(settings.steps):
            optimizer.param_groups[0]["lr"] = unit * settings.learning_rate * settings.learning_rate_factor(step)
            optimizer.zero_grad(set_to_none=True)
            penalty = settings.weights.distance * self.region.penalty(self.offset)
            penalty.backward()
            if batches is not None and step % 2 == 0:
                loss = objective.swap_step(self.code, next(batches), self.random)
            else:
                loss = objective.reconstruction_step(self.code, next(sources))
            gradient = self.offset.grad
            if not math.isfinite(loss) or gradient is None or not bool(torch.isfinite(gradient).all()):
                return NOT_FINITE
            optimizer.step()
            self.region.confine(self.offset)
            self.steps_done = step + 1
            if self.steps_done % settings.check_every and self.steps_done < settings.steps:
                self.callbacks.progress(self.progress())
            elif not self.evaluate(objective):
                return NOT_FINITE
            elif self.stale >= settings.patience:
                return PLATEAU
        return ENDED

    def evaluate(self, objective: Objective) -> bool:
        """Evaluate the current state on the held-out guides and keep it if it is the best; False if not finite."""
        loss, reconstruction = objective.reconstruction_loss(self.code)
        if self.held_out:
            score, swap = objective.likeness(self.code, self.held_out)
        else:
            score, swap = -loss, reconstruction
        if not math.isfinite(score):
            return False
        self.curve.append((self.steps_done, score if self.held_out else loss))
        shown = objective.sources.faces.crops[0], reconstruction, swap
        pictures = tuple(picture.detach().float().cpu() for picture in shown)
        if score > self.best_score:
            self.best_score, self.best_step, self.pictures = score, self.steps_done, pictures
            self.best_offset = self.offset.detach().clone()
        if score > self.improved_score + self.settings.min_gain:
            self.improved_score, self.stale = score, 0
        else:
            self.stale += 1
        self.callbacks.progress(self.progress(pictures))
        return True

    def progress(self, pictures: tuple[Tensor, ...] | None = None) -> Progress:
        """Report on the current state."""
        done, planned = self.steps_done, self.settings.steps
        seconds_per_step = (time.perf_counter() - self.started) / max(done, 1)
        return Progress(
            step=done,
            steps=planned,
            likeness=self.curve[-1][1] if self.held_out else math.nan,
            best=self.best_score if self.held_out else math.nan,
            distance=self.region.distance(self.offset),
            seconds_left=seconds_per_step * (planned - done),
            pictures=pictures,
        )

    def outcome(self, ended: str, seconds: float) -> Outcome:
        """The result with the best state, the reason why the optimization ended, and the time that it took."""
        likeness = [value for _, value in self.curve] if self.held_out else []
        return Outcome(
            w_plus=(self.region.center + self.best_offset).float().cpu(),
            ended=ended,
            steps_done=self.steps_done,
            best_step=self.best_step,
            likeness_before=likeness[0] if likeness else math.nan,
            likeness=self.best_score if likeness else math.nan,
            curve=self.curve,
            distance=self.region.distance(self.best_offset),
            distance_limit=self.region.radius,
            guides=len(self.train_rows),
            held_out=len(self.held_out),
            seconds=seconds,
            precision=self.precision,
            pictures=self.pictures,
        )
