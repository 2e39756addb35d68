"""Advice at the start of a run: what limits its speed, and what to set."""

import time

import pytest
import torch
from training_toys import ToySource, tiny_config

from styleswap_core.training import bottlenecks
from styleswap_core.training.bottlenecks import Machine, StepTime, StepWatch, advise
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.training_loop import RunContext, train

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
BUSY, HUNGRY = [StepTime(0.001, 0.099)], [StepTime(0.06, 0.04)]
FULL = Machine(cores=1, processes=1, threads=1, gpus=0, memory_share=None)
ONE_GPU = Machine(cores=8, processes=1, threads=8, gpus=1, memory_share=0.3)


@pytest.fixture(autouse=True)
def _as_on_hardware_with_bfloat16(monkeypatch):
    from styleswap_core import devices

    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: False)
    monkeypatch.setattr(
        devices, "_cuda_precision", lambda device, task: devices.Precision(torch.bfloat16, "this GPU has bfloat16")
    )


def said(machine=FULL, device=CPU, times=BUSY, source=None, **settings):
    return advise(tiny_config(**{"precision": "auto", **settings}), source or ToySource(), device, times, machine)


def test_a_run_that_needs_nothing_says_only_that():
    (sentence,) = said()
    assert sentence == "a step takes 0.100 s, 1% of it waiting for pictures: the networks decide the speed"


def test_a_run_that_waits_for_pictures():
    (sentence,) = said(times=HUNGRY, data="photos")
    assert "60% of it waiting for pictures: copy photos to a local SSD" in sentence
    assert "add --resident" in said(ONE_GPU, CUDA, HUNGRY, data="columns")[0]


def test_columns_that_are_reduced_for_every_batch(monkeypatch):
    class Reduced:
        reduction = 4
        images = torch.zeros(1, 3, 128, 128)

    monkeypatch.setattr(bottlenecks, "ColumnSource", Reduced)
    assert "columns of 128 px are reduced to 32 px" in said(times=HUNGRY, source=Reduced())[0]


def test_emulated_precision():
    (sentence,) = said(precision="bf16")[1:]
    assert "in bfloat16, but this CPU has no bfloat16 instructions: float32 is faster" in sentence
    assert "--set precision=auto" in sentence
    assert "this GPU has bfloat16: bfloat16 is faster" in said(ONE_GPU, CUDA, precision="fp32")[1]
    assert len(said(ONE_GPU, CUDA, precision="auto")) == 1


@pytest.mark.parametrize(
    ("cores", "processes", "threads", "expected"),
    [
        (4, 1, 4, "--nproc-per-node 4 "),
        (7, 1, 1, "--nproc-per-node 6 "),  # a batch of 12 cannot be divided by 7
        (4, 4, 1, None),
        (4, 4, 2, "set --threads 1"),
        (4, 2, 4, "set --threads 2"),
    ],
)
def test_threads(cores, processes, threads, expected):
    found = said(Machine(cores, processes, threads, 0, None), batch=12)[1:]
    assert (expected in found[0]) if expected else not found


def test_single_processes_and_threads_are_not_plural():
    assert "1 process of 1 thread on 2 cores" in said(Machine(2, 1, 1, 0, None))[1]
    assert "2 processes of 4 threads share 4 cores" in said(Machine(4, 2, 4, 0, None))[1]


def test_a_gpu_with_room_for_the_whole_batch():
    settings = {"batch": 8, "gradient_accumulation": 2, "stddev_group": 4}
    assert "--set gradient_accumulation=1" in said(ONE_GPU, CUDA, **settings)[1]
    assert len(said(Machine(8, 1, 8, 1, 0.5), CUDA, **settings)) == 1
    assert "--nproc-per-node 4" in said(Machine(8, 1, 8, 5, 0.5), CUDA, batch=8)[1]


def test_the_watch_tells_waiting_from_computing(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(bottlenecks, "TIMED_STEPS", 4)

    def slow():
        for number in range(10):
            now[0] += 3.0
            yield number

    watch, seen = StepWatch(CPU), []
    for number in watch.over(slow()):
        assert watch.done == (len(watch.times) == 4)
        seen.append(number)
        now[0] += 1.0
    assert seen == list(range(10))
    assert watch.times == [StepTime(3.0, 1.0)] * 4


def test_a_run_says_what_limits_it(tmp_path, recognizer, capsys, monkeypatch):
    monkeypatch.setattr(bottlenecks, "WARM_UP_STEPS", 0)
    monkeypatch.setattr(bottlenecks, "TIMED_STEPS", 2)
    train(tiny_config(steps=4), RunFolder(tmp_path / "run"), RunContext(ToySource(), CPU, recognizer))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("speed: ")]
    assert "waiting for pictures" in lines[0] and len(lines) == len(set(lines))
