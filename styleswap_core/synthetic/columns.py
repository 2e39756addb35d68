"""Columns: rendered training data on disk, several identities under each attribute setting.

A column is one attribute setting rendered with K identities (members), all through the crop window and on the body of
member 0. Any two members are a target and its exact swap; a member with itself is a self-reconstruction. K pictures
give K * K supervised pairs, which is why training reads columns and not single pictures.

A folder holds memory-mapped .npy files. A build that was interrupted continues where it stopped.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..errors import StyleSwapError, decoding
from ..io.files import atomic_write, reserve
from ..io.folder_lock import lock_folder
from ..io.json_text import read_json, require_table
from .kernels import EAGER, Kernels, fused
from .parameters import ATTRIBUTE_SEEDS, EXPRESSION_NAMES, IDENTITY_SEEDS, Attributes, Identities
from .world import five_points, render

FRAME_SIZE = 256
"""Side in pixels of the full frames that columns are cropped from."""

_BLOCK = 8  # columns that a worker renders and marks as done at once

Align = Callable[[Tensor], Tensor]
"""Crop windows (N, 2, 3) for five points (N, 5, 2) in pixels of the full frame; picklable, for worker processes."""


# Seeds of nodes and commands have the same limit.
_MAX_NUMBER = 2**53 - 1


@dataclass(frozen=True)
class ColumnPlan:
    """Content of a folder of columns; two builds of one plan give the same pictures.

    Attributes:
        columns: Number of columns, each with an attribute seed of its own.
        members: Identities per column.
        size: Side of the pictures in pixels.
        identities: Number of identities, from the start of the split.
        split: Key of `IDENTITY_SEEDS`.
        first_attribute: Offset of the first attribute seed in the split.
        jitter: Standard deviations of the random change of the crop windows: shift (as a fraction of the crop), scale
            (as a fraction) and rotation (degrees).
        seed: Determines which identities meet in a column, and the jitter.
    """

    columns: int
    members: int = 5
    size: int = 128
    identities: int = 4000
    split: str = "train"
    first_attribute: int = 0
    jitter: tuple[float, float, float] = (0.012, 0.025, 1.5)
    seed: int = 0

    def identity_seeds(self) -> np.ndarray:
        """Identity seeds (columns, members), int64; how often any two identities appear differs by at most 1."""
        rng = np.random.default_rng([5, self.seed])
        pool = np.arange(self.identities) + IDENTITY_SEEDS[self.split].start
        rounds = math.ceil(self.columns * self.members / self.identities)
        drawn = np.concatenate([rng.permutation(pool) for _ in range(rounds)])
        return drawn[: self.columns * self.members].reshape(self.columns, self.members).astype(np.int64)

    def attribute_seeds(self) -> np.ndarray:
        """Attribute seeds (columns,), int64: consecutive seeds of the split."""
        return np.arange(self.columns, dtype=np.int64) + ATTRIBUTE_SEEDS[self.split].start + self.first_attribute

    def check(self) -> None:
        """Reject impossible plans.

        Raises:
            StyleSwapError: No columns, no members, fewer identities than members, or numbers out of range.
        """
        numbers = (self.columns, self.members, self.size, self.identities)
        if (
            any(number > _MAX_NUMBER for number in numbers)
            or self.size < 1
            or self.split not in IDENTITY_SEEDS
            or self.identities > len(IDENTITY_SEEDS[self.split])
            or not 0 <= self.first_attribute <= _MAX_NUMBER
            or not 0 <= self.seed <= _MAX_NUMBER
        ):
            raise StyleSwapError(
                f"expected a split out of {', '.join(IDENTITY_SEEDS)}, no more identities than it has, and numbers of"
                f" at most {_MAX_NUMBER}, got {self}"
            )
        if self.columns < 1 or self.members < 1 or self.identities < self.members:
            raise StyleSwapError(
                f"expected at least 1 column, 1 member and as many identities as members, got {self.columns} columns, "
                f"{self.members} members and {self.identities} identities"
            )


def _arrays(plan: ColumnPlan) -> dict[str, tuple[tuple[int, ...], str]]:
    c, k, s = plan.columns, plan.members, plan.size
    return {
        "images": ((c, k, 3, s, s), "uint8"),
        "masks": ((c, k, s, s), "uint8"),
        "points": ((c, k, 5, 2), "float32"),
        "pose": ((c, 3), "float32"),
        "expression": ((c, len(EXPRESSION_NAMES)), "float32"),
        "gaze": ((c, 2), "float32"),
        "done": ((c,), "uint8"),
    }


class ColumnSet:
    """A folder of C columns of K pictures of S x S pixels, read through memory maps.

    Args:
        folder: Folder that `build_columns` finished.

    Attributes:
        images: (C, K, 3, S, S), RGB, uint8.
        masks: Face masks (C, K, S, S), 0..255, uint8.
        points: Five points (C, K, 5, 2) in pixels of the crop, float32.
        pose: Yaw, pitch and roll (C, 3) in degrees, float32.
        expression: (C, 6) in the order of `EXPRESSION_NAMES`, float32.
        gaze: Yaw and pitch (C, 2) in degrees, float32.
        identity_seeds: (C, K), int64.
        attribute_seeds: (C,), int64.

    Raises:
        StyleSwapError: The folder holds no columns, or not all of them are rendered.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        path = self.folder / "plan.json"
        if not path.is_file():
            raise StyleSwapError(
                f"{folder} holds no columns (plan.json is missing); render them with `styleswap render columns`"
            )
        self.plan = _read_plan(path)
        missing = int((self._open("done") == 0).sum())
        if missing:
            raise StyleSwapError(
                f"{folder} is not finished: {missing} of {self.plan.columns} columns are missing; run the same "
                "command again"
            )
        self.images = self._open("images")
        self.masks = self._open("masks")
        self.points = self._open("points")
        self.pose = self._open("pose")
        self.expression = self._open("expression")
        self.gaze = self._open("gaze")
        self.identity_seeds = self.plan.identity_seeds()
        self.attribute_seeds = self.plan.attribute_seeds()

    def __len__(self) -> int:
        return self.plan.columns

    def _open(self, name: str) -> np.ndarray:
        path, (shape, kind) = self.folder / f"{name}.npy", _arrays(self.plan)[name]
        with decoding(f"{path} is damaged", "render the columns again into another folder"):
            array: np.ndarray = np.load(path, mmap_mode="r")
        if array.shape != shape or array.dtype != kind:
            raise StyleSwapError(
                f"expected {path} to be {kind} {shape}, as plan.json says, got {array.dtype} {array.shape}; render the"
                " columns again into another folder"
            )
        return array


def build_columns(
    folder: str | os.PathLike[str], plan: ColumnPlan, align: Align | None, workers: int = 1, fuse: bool = False
) -> ColumnSet:
    """Render the columns that are missing in a folder, with a progress bar on standard error.

    Args:
        folder: Where to write; created if it does not exist.
        plan: What to render.
        align: Crop windows for the five points of member 0; None renders the full frame.
        workers: Processes that render.
        fuse: Whether to compile the renderer first; see `kernels.fused`.

    Raises:
        StyleSwapError: An impossible plan, or a folder with columns of another plan.
    """
    plan.check()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder, folder):
        return _build(folder, plan, align, workers, fuse)


def _build(folder: Path, plan: ColumnPlan, align: Align | None, workers: int, fuse: bool) -> ColumnSet:
    _prepare(folder, plan)
    done = np.load(folder / "done.npy", mmap_mode="r")
    blocks = [b for b in range(0, plan.columns, _BLOCK) if not done[b : b + _BLOCK].all()]
    jobs = [_Job(folder, plan, b, align, fuse) for b in blocks]
    finished = max(0, plan.columns - _BLOCK * len(blocks))
    with tqdm(total=plan.columns, initial=finished, unit="column", desc="render") as bar:
        if workers <= 1:
            for job in jobs:
                bar.update(_render_block(job))
        else:
            context = multiprocessing.get_context("spawn")
            with context.Pool(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                for count in pool.imap_unordered(_render_block, jobs):
                    bar.update(count)
    return ColumnSet(folder)


def _prepare(folder: Path, plan: ColumnPlan) -> None:
    """Create the arrays of a plan in a folder, or check that it holds those of the same plan."""
    path = folder / "plan.json"
    wanted = json.dumps(asdict(plan), indent=1)
    if path.is_file():
        if _read_plan(path) != plan:
            raise StyleSwapError(f"{folder} holds columns of another plan; choose another folder or delete it")
        return
    try:
        for name, (shape, dtype) in _arrays(plan).items():
            np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", shape=shape, dtype=dtype).flush()
            reserve(folder / f"{name}.npy")
    except (StyleSwapError, OSError) as error:
        # They hold nothing yet.
        for name in _arrays(plan):
            (folder / f"{name}.npy").unlink(missing_ok=True)
        if isinstance(error, StyleSwapError):
            raise
        reason = f"{error.strerror or error}; make room on the disk, or choose another folder"
        raise StyleSwapError(f"cannot write into {folder}: {reason}") from error
    with atomic_write(path) as temporary:
        temporary.write_text(wanted, encoding="utf-8")


def _read_plan(path: Path) -> ColumnPlan:
    """Plan of a folder of columns.

    Raises:
        StyleSwapError: The file is damaged, or was written by another program.
    """
    problem = f"{path} is not a plan of `styleswap render columns`"
    remedy = "render the columns again into another folder"
    values = require_table(read_json(path, problem, remedy), problem, remedy, columns=int, jitter=list)
    with decoding(problem, remedy):
        plan = ColumnPlan(**{**values, "jitter": tuple(map(float, values["jitter"]))})
    numbers = dict.fromkeys(("members", "size", "identities", "first_attribute", "seed"), int)
    require_table(asdict(plan), problem, remedy, split=str, **numbers)
    if len(plan.jitter) != 3 or not all(map(math.isfinite, plan.jitter)):
        raise StyleSwapError(f"{problem} (jitter is {values['jitter']}); {remedy}")
    plan.check()
    return plan


@dataclass(frozen=True)
class RenderedColumns:
    """N columns of K pictures of S x S pixels; the arrays of `ColumnSet`, as tensors on the device that rendered them.

    Attributes:
        images: (N, K, 3, S, S) uint8.
        masks: (N, K, S, S) uint8.
        points: (N, K, 5, 2) float32.
        pose: (N, 3) float32.
        expression: (N, 6) float32.
        gaze: (N, 2) float32.
    """

    images: Tensor
    masks: Tensor
    points: Tensor
    pose: Tensor
    expression: Tensor
    gaze: Tensor


def render_columns(
    plan: ColumnPlan,
    numbers: np.ndarray,
    identity_seeds: np.ndarray,
    align: Align | None,
    device: torch.device | str = "cpu",
    kernels: Kernels = EAGER,
    chunk: int | None = None,
) -> RenderedColumns:
    """Render columns of a plan.

    Args:
        plan: Size, attributes and jitter of the columns.
        numbers: (N,) their numbers.
        identity_seeds: (N, K) who is in them; the first member owns body and crop window.
        align: Crop windows for the five points of the first members, on the CPU; None renders the full frame.
        device: Where to render.
        kernels: See `world.render`.
        chunk: See `world.render`.
    """
    identities = Identities.from_seeds(identity_seeds.reshape(-1).tolist(), device)
    members = identity_seeds.shape[1]
    owners = identities[::members]
    attributes = Attributes.from_seeds(plan.attribute_seeds()[numbers].tolist(), device)
    points = five_points(owners, attributes, FRAME_SIZE).cpu()
    window = _window(plan, align, points, numbers).to(device)
    column = torch.arange(len(numbers), device=device).repeat_interleave(members)
    shown = render(
        identities,
        attributes[column],
        plan.size,
        window=window[column],
        body=owners[column],
        frame_size=FRAME_SIZE,
        chunk=chunk,
        kernels=kernels,
    )
    lead = (len(numbers), members)
    return RenderedColumns(
        images=((shown.image + 1.0) * 127.5).round().clamp(0, 255).byte().view(*lead, *shown.image.shape[1:]),
        masks=(shown.face_mask * 255).round().byte().view(*lead, plan.size, plan.size),
        points=shown.points.view(*lead, 5, 2),
        pose=attributes.pose,
        expression=attributes.expression,
        gaze=attributes.gaze,
    )


def _window(plan: ColumnPlan, align: Align | None, points: Tensor, columns: np.ndarray) -> Tensor:
    """Crop windows (N, 2, 3) of columns: aligned, then shifted, scaled and rotated a little, at random per column."""
    if align is None:
        return (torch.eye(2, 3) * (plan.size / FRAME_SIZE)).expand(len(columns), 2, 3)
    window = align(points)
    normal = np.stack([np.random.default_rng([6, plan.seed, int(c)]).normal(size=4) for c in columns])
    draws = torch.from_numpy(normal).float().clamp(-2.5, 2.5)
    shift, scale, rotation = plan.jitter
    angle = draws[:, 3] * (rotation * math.pi / 180)
    factor = 1.0 + scale * draws[:, 2]
    matrix = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    matrix = matrix * factor.view(-1, 1, 1)
    center = torch.full((len(columns), 2, 1), plan.size / 2)
    offset = center + (draws[:, :2] * shift * plan.size).unsqueeze(-1) - matrix @ center
    return torch.cat([matrix @ window[:, :, :2], matrix @ window[:, :, 2:] + offset], dim=2)


class _Job(NamedTuple):
    """A block of columns to be rendered by one worker."""

    folder: Path
    plan: ColumnPlan
    start: int
    align: Align | None
    fuse: bool


def _render_block(job: _Job) -> int:
    """Render a block, write it and mark it as done; returns the number of columns."""
    plan = job.plan
    columns = np.arange(job.start, min(job.start + _BLOCK, plan.columns))
    kernels = fused() if job.fuse else EAGER
    rendered = render_columns(plan, columns, plan.identity_seeds()[columns], job.align, kernels=kernels)
    block = slice(int(columns[0]), int(columns[-1]) + 1)
    for name, value in vars(rendered).items():
        _write(job.folder, name, block, value.numpy())
    _write(job.folder, "done", block, 1)
    return len(columns)


def _write(folder: Path, name: str, block: slice, values: np.ndarray | int) -> None:
    array = np.load(folder / f"{name}.npy", mmap_mode="r+")
    array[block] = values
    array.flush()
