"""How fast a device is: the generator in many forms, whole 1080p frames, and training on faces rendered meanwhile."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import torch
from bars import Bar
from contenders import CONTENDERS, REFERENCE, build, make_crops
from end_to_end import measure as measure_frames
from floors import bandwidth, count_work, floor_seconds, peak
from measure import PeakMemory, time_runs
from rendered_source import RenderedSource, RingSettings, choose_kernels
from time_share import TimeShare, time_limit
from torch import Tensor

from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.synthetic.kernels import Kernels
from styleswap_core.training.run_setup import DEMO_RECOGNIZER
from styleswap_core.training.training_config import TrainingConfig
from styleswap_core.training.training_state import create_state
from styleswap_core.training.training_step import train_step

Run = Callable[[Tensor], Tensor]
WARM_UP_STEPS = 3
# A form goes into the product only if it wins by this factor.
WORTH = 1.2


@dataclass(frozen=True)
class Form:
    """A form of the generator.

    Attributes:
        contender: What it is made of.
        way: "plain"; "channels-last"; "compiled", by torch.compile(mode="max-autotune"); or "graph", a CUDA graph.
    """

    contender: str
    way: str = "plain"

    @property
    def name(self) -> str:
        """Name in tables."""
        return self.contender if self.way == "plain" else f"{self.contender}, {self.way}"


FORMS = [
    Form(REFERENCE),
    Form("unbaked"),
    Form("baked-float32"),
    Form("baked-float16"),
    Form("baked-bfloat16"),
    Form("baked-float16", "channels-last"),
    Form("baked-float16", "graph"),
    Form("baked-float16", "compiled"),
]
QUICK_FORMS = [Form(REFERENCE), Form("unbaked"), Form("baked-float32", "channels-last"), Form("baked-float32", "graph")]
# The most important first, since the time may not suffice for all of them.
SETTINGS = [("released-256", 16), ("released-256", 1), ("released-512", 8), ("released-256", 32), ("released-512", 1)]
SETTINGS += [("released-256", 4), ("released-512", 32), ("released-256", 2), ("released-256", 8), ("released-512", 16)]
LEAST_FRAMES, LEAST_TRAINED = 1000.0, 3000.0


def measure(device: torch.device, share: TimeShare, quick: bool, found: dict) -> Iterator[None]:
    """Fill `found` with peaks, training, frames and generators, as far as the time goes; yields after each row."""
    dtypes = ("float32",) if device.type == "cpu" else ("float32", "float16", "bfloat16")
    seconds = 0.05 if quick else 1.0
    found["peaks"] = {dtype: peak(dtype, device, seconds, (512,) if quick else None) for dtype in dtypes}
    found["bytes_per_second"] = bandwidth(device, seconds)
    found["bars"], found["generator"], found["frames"] = [], [], []
    yield
    kernels, found["kernels"] = choose_kernels(device, 0.4 * share.left)
    found["training"] = [training(device, quick, kernels)]
    rate = found["training"][0]["pictures_per_second"]
    found["bars"].append(Bar("training at 128 px, pictures/s", rate, ">=", LEAST_TRAINED).as_dict())
    yield
    for row in frames(device, share, quick):
        found["frames"].append(row)
        yield
    for row in generators(device, share, quick, found):
        found["generator"].append(row)
        yield
    best = [row["frames_per_second"] for row in found["generator"] if _counts(row, quick)]
    value = max(best, default=float("nan"))
    found["bars"].append(Bar("released-256 in batches of 16, frames/s", value, ">=", LEAST_FRAMES).as_dict())
    found["worth"] = worth(found["generator"])
    yield


def generators(device: torch.device, share: TimeShare, quick: bool, found: dict) -> Iterator[dict]:
    """Rows of the generator's forms, in order of importance."""
    settings = [("tiny", 2)] if quick else SETTINGS
    took: list[float] = []
    for preset, batch in settings:
        work = count_work(preset, batch)
        reference = None
        for form in QUICK_FORMS if quick else FORMS:
            if device.type not in CONTENDERS[form.contender].devices:
                continue
            # Trying out kernels may take minutes.
            if form.way == "compiled" and (preset, batch) not in SETTINGS[:2]:
                continue
            if not share.allows(took):
                return
            before = share.spent
            row = {"preset": preset, "batch": batch, "form": form.name}
            try:
                with time_limit(share.left):
                    row |= _timed(form, preset, batch, device, quick)
            # A form that fails, for want of a compiler or of memory, must not cost the others.
            except Exception as error:
                yield {**row, "failed": f"{type(error).__name__}: {error}"[:300]}
                continue
            if form.contender == REFERENCE:
                reference = row["frames_per_second"]
            dtype = CONTENDERS[form.contender].dtype
            least = floor_seconds(work, dtype, found["peaks"], found["bytes_per_second"])
            row["times_reference"] = None if reference is None else row["frames_per_second"] / reference
            row["share_of_floor"] = least * row["frames_per_second"] / batch
            took.append(share.spent - before)
            yield row


def _timed(form: Form, preset: str, batch: int, device: torch.device, quick: bool) -> dict:
    run = build(form.contender, preset, device.type, torch.get_num_threads())
    crops = make_crops(preset, batch, device.type)
    with torch.no_grad():
        expected = run(crops).float()
        run, crops = _in_way(form.way, run, crops, quick)
        difference = float((run(crops).float() - expected).abs().max())
        with PeakMemory(device.type) as memory:
            times = time_runs(lambda: run(crops), 0.05 if quick else 0.8, device.type)
    return {
        "frames_per_second": batch / statistics.median(times),
        "difference": difference,
        "peak_bytes": memory.bytes,
        "calls": len(times),
    }


def _in_way(way: str, run: Run, crops: Tensor, quick: bool) -> tuple[Run, Tensor]:
    if way == "channels-last":
        return run, crops.contiguous(memory_format=torch.channels_last)
    if way == "compiled":
        return torch.compile(run, mode="max-autotune"), crops
    if way == "graph" and crops.is_cuda:
        return _graphed(run, crops), crops
    return run, crops


def _graphed(run: Run, crops: Tensor) -> Run:
    """The function as a CUDA graph, for inputs of one shape."""
    held = crops.clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run(held)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = run(held)

    def replay(values: Tensor) -> Tensor:
        held.copy_(values)
        graph.replay()
        return result

    return replay


def frames(device: torch.device, share: TimeShare, quick: bool) -> Iterator[dict]:
    """Rows of whole 1080p frames; crops are cut and pasted on the device."""
    settings = [("tiny", "baked-float32", 1)]
    if not quick:
        contender = "baked-float16" if device.type == "cuda" else "baked-float32"
        settings = [("released-256", contender, 1), ("released-256", contender, 3), ("released-512", contender, 1)]
    took: list[float] = []
    for preset, contender, faces in settings:
        if not share.allows(took):
            return
        before = share.spent
        number = 2 if quick else 16
        drawn = {"rendered": 96} if quick else {}
        row = measure_frames(contender, preset, faces, device.type, 0.01 if quick else 4.0, number, **drawn)
        took.append(share.spent - before)
        yield {"preset": preset, "contender": contender, "faces": faces, **row}


def training(device: torch.device, quick: bool, kernels: Kernels) -> dict:
    """Pictures per second of training at 128 px, with the renderer at work and without it."""
    size, batch, steps = (32, 4, 1) if quick else (128, 256, 30)
    config = TrainingConfig(model="tiny" if quick else f"demo-{size}", batch=batch, recognizer_rows=max(4, batch // 4))
    settings = RingSettings(size=size, batch=batch, columns=256, chunk=240)
    if quick:
        settings = RingSettings(size=size, batch=batch, columns=2, members=2, chunk=4, reuse=1.0)
    twin = TorchRecognizer(DEMO_RECOGNIZER).to(device)
    source, state = RenderedSource(settings, twin, device, kernels), create_state(config, device)

    def step(number: int) -> None:
        train_step(config, state, source.batch(number).to(device), twin)

    numbers = count()
    for _ in range(1 if quick else WARM_UP_STEPS):
        step(next(numbers))
    rendered = source.rendered
    together = time_runs(lambda: step(next(numbers)), 0.0, device.type, calls=steps)
    known = source.batch(next(numbers)).to(device)
    alone = time_runs(lambda: train_step(config, state, known, twin), 0.0, device.type, calls=steps)
    return {
        "size": size,
        "batch": batch,
        "pictures_per_second": batch / statistics.median(together),
        "pictures_per_second_without_rendering": batch / statistics.median(alone),
        "reuse": settings.reuse,
        "rendered": source.rendered - rendered,
    }


def worth(rows: list[dict]) -> list[str]:
    """Forms that beat the product's own, the plain one of the same contender, by `WORTH` in every setting of both."""
    rates = {
        (row["preset"], row["batch"], row["form"]): row["frames_per_second"] for row in rows if "failed" not in row
    }
    won = []
    for form in FORMS:
        if form.way == "plain":
            continue
        pairs = [
            (rate, rates[preset, batch, form.contender])
            for (preset, batch, name), rate in rates.items()
            if name == form.name and (preset, batch, form.contender) in rates
        ]
        if pairs and all(rate >= WORTH * plain for rate, plain in pairs):
            won.append(form.name)
    return won


def _counts(row: dict, quick: bool) -> bool:
    return "failed" not in row and (quick or (row["preset"], row["batch"]) == ("released-256", 16))
