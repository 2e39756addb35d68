"""Rendered training data on disk: columns of identities under one attribute setting.

A column is one attribute setting rendered with K identities through the same window and with the same body (member 0
owns both). Any two members are a target and its exact swap; a member with itself is a self-reconstruction. K pictures
give K * K supervised pairs, which is why training reads columns and not single pictures.

Memory-mapped .npy files in one folder; building can be stopped at any moment and goes on where it was.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..errors import StyleSwapError
from .kernels import EAGER, fused
from .parameters import ATTRIBUTE_SEEDS, EXPRESSION_NAMES, IDENTITY_SEEDS, Attributes, Identities
from .world import five_points, render

FRAME_SIZE = 256
_BLOCK = 8  # columns that a worker renders and marks as done together

Align = Callable[[Tensor], Tensor]
"""Five points (N, 5, 2) of a FRAME_SIZE picture -> windows (N, 2, 3); a module-level function, it travels to workers."""


@dataclass(frozen=True)
class ColumnPlan:
    """What a folder of columns holds; two builds of one plan give the same pictures.

    identities, attributes: numbers of seeds taken from the start of the split (attributes: one per column).
    jitter: standard deviations of the window's shift (share of the crop), scale (share) and turn (degrees).
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
        """(columns, members) int64; every identity appears equally often, up to one."""
        rng = np.random.default_rng([5, self.seed])
        pool = np.arange(self.identities) + IDENTITY_SEEDS[self.split].start
        rounds = math.ceil(self.columns * self.members / self.identities)
        drawn = np.concatenate([rng.permutation(pool) for _ in range(rounds)])
        return drawn[: self.columns * self.members].reshape(self.columns, self.members).astype(np.int64)

    def attribute_seeds(self) -> np.ndarray:
        """(columns,) int64: consecutive seeds of the split, from `first_attribute` on."""
        return np.arange(self.columns, dtype=np.int64) + ATTRIBUTE_SEEDS[self.split].start + self.first_attribute

    def check(self) -> None:
        """Raise StyleSwapError for a plan without columns or members, or with fewer identities than a column has members."""
        if self.columns < 1 or self.members < 1 or self.identities < self.members:
            raise StyleSwapError(f"a column plan needs at least 1 column and as many identities as members, got {self}")


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
    """A folder of columns, read through memory maps; C columns of K members of S x S.

    images: (C, K, 3, S, S) uint8 RGB; masks: (C, K, S, S) uint8 0..255; points: (C, K, 5, 2) float32 crop pixels;
    pose (C, 3) degrees, expression (C, 6), gaze (C, 2) degrees; identity_seeds (C, K), attribute_seeds (C,) int64.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        folder = Path(folder)
        if not (folder / "plan.json").is_file():
            raise StyleSwapError(
                f"{folder} holds no columns (plan.json is missing); build them with `styleswap render columns`"
            )
        values = json.loads((folder / "plan.json").read_text())
        self.folder = folder
        self.plan = ColumnPlan(**{**values, "jitter": tuple(values["jitter"])})
        for name in _arrays(self.plan):
            setattr(self, name, np.load(folder / f"{name}.npy", mmap_mode="r"))
        missing = int((np.asarray(self.done) == 0).sum())
        if missing:
            raise StyleSwapError(
                f"{folder} is not finished: {missing} of {self.plan.columns} columns are missing; run the same build again"
            )
        self.identity_seeds = self.plan.identity_seeds()
        self.attribute_seeds = self.plan.attribute_seeds()

    def __len__(self) -> int:
        return self.plan.columns


def build_columns(
    folder: str | os.PathLike, plan: ColumnPlan, align: Align | None, workers: int = 1, fuse: bool = False
) -> ColumnSet:
    """Renders the columns that are still missing, with a progress bar on standard error.

    align: crop window of member 0's points; None keeps the full frame (scaled to plan.size). fuse: `kernels.fused()`.
    """
    plan.check()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _prepare(folder, plan)
    done = np.load(folder / "done.npy", mmap_mode="r")
    blocks = [b for b in range(0, plan.columns, _BLOCK) if not done[b : b + _BLOCK].all()]
    jobs = [(str(folder), plan, b, align, fuse) for b in blocks]
    with tqdm(
        total=plan.columns, initial=max(0, plan.columns - _BLOCK * len(blocks)), unit="column", desc="render"
    ) as bar:
        if workers <= 1:
            for job in jobs:
                bar.update(_render_block(job))
        else:
            with multiprocessing.get_context("spawn").Pool(
                workers, initializer=torch.set_num_threads, initargs=(1,)
            ) as pool:
                for count in pool.imap_unordered(_render_block, jobs):
                    bar.update(count)
    return ColumnSet(folder)


def _prepare(folder: Path, plan: ColumnPlan) -> None:
    path = folder / "plan.json"
    wanted = json.dumps(asdict(plan), indent=1)
    if path.is_file():
        if json.loads(path.read_text()) != json.loads(wanted):
            raise StyleSwapError(f"{folder} holds columns of another plan; choose another folder or delete it")
        return
    for name, (shape, dtype) in _arrays(plan).items():
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", shape=shape, dtype=dtype).flush()
    temporary = path.with_suffix(".tmp")
    temporary.write_text(wanted)
    os.replace(temporary, path)


def _window(plan: ColumnPlan, align: Align | None, points: Tensor, columns: np.ndarray) -> Tensor:
    """Windows (N, 2, 3) of some columns: aligned, then shifted, scaled and turned a little by the column's own seed."""
    if align is None:
        return (torch.eye(2, 3) * (plan.size / FRAME_SIZE)).expand(len(columns), 2, 3)
    window = align(points)
    draws = np.stack([np.random.default_rng([6, plan.seed, int(c)]).normal(size=4) for c in columns])
    draws = torch.from_numpy(draws).float().clamp(-2.5, 2.5)
    shift, scale, turn = plan.jitter
    angle = draws[:, 3] * (turn * math.pi / 180)
    factor = 1.0 + scale * draws[:, 2]
    matrix = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2) * factor.view(
        -1, 1, 1
    )
    center = torch.full((len(columns), 2, 1), plan.size / 2)
    offset = center + (draws[:, :2] * shift * plan.size).unsqueeze(-1) - matrix @ center
    return torch.cat([matrix @ window[:, :, :2], matrix @ window[:, :, 2:] + offset], dim=2)


def _render_block(job) -> int:
    folder, plan, start, align, fuse = job
    columns = np.arange(start, min(start + _BLOCK, plan.columns))
    ids = Identities.from_seeds(plan.identity_seeds()[columns].reshape(-1))
    owners = ids[:: plan.members]
    attributes = Attributes.from_seeds(plan.attribute_seeds()[columns])
    window = _window(plan, align, five_points(owners, attributes, FRAME_SIZE), columns)
    repeat = torch.arange(len(columns)).repeat_interleave(plan.members)
    shown = render(
        ids,
        attributes[repeat],
        plan.size,
        window=window[repeat],
        body=owners[repeat],
        frame_size=FRAME_SIZE,
        kernels=fused() if fuse else EAGER,
    )
    lead = (len(columns), plan.members)
    values = {
        "images": ((shown.image + 1.0) * 127.5).round().clamp(0, 255).byte().view(*lead, *shown.image.shape[1:]),
        "masks": (shown.face_mask * 255).round().byte().view(*lead, plan.size, plan.size),
        "points": shown.points.view(*lead, 5, 2),
        "pose": attributes.pose,
        "expression": attributes.expression,
        "gaze": attributes.gaze,
    }
    for name, value in values.items():
        target = np.load(Path(folder) / f"{name}.npy", mmap_mode="r+")
        target[columns[0] : columns[-1] + 1] = value.numpy()
        target.flush()
    done = np.load(Path(folder) / "done.npy", mmap_mode="r+")
    done[columns[0] : columns[-1] + 1] = 1
    done.flush()
    return len(columns)
