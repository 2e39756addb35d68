"""Several processes compute the same training as one, and recover from the loss of any of them."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest
import torch
from training_toys import losses_by_step, tiny_config, write_recognizer
from zygote import Forked

import styleswap_core
from styleswap_core.errors import StyleSwapError
from styleswap_core.training.process_group import ProcessGroup, check_gpu_count
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.training_state import checkpoint_paths, read_checkpoint

WORKER = "process_group_worker:run"
TIMEOUT = 240  # s


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory) -> Path:
    return write_recognizer(tmp_path_factory.mktemp("recognizer") / "toy.onnx")


def variables(processes: int) -> list[dict[str, str]]:
    """Variables that torchrun sets for each process; none for a process that is alone."""
    if processes == 1:
        return [{}]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    count = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [{"RANK": str(rank), "LOCAL_RANK": str(rank), **count, **address} for rank in range(processes)]


def start(zygote, run: RunFolder, recognizer: Path, *settings: str, processes: int = 1, **more: str) -> list[Forked]:
    """Start the processes of a run."""
    run.root.parent.mkdir(parents=True, exist_ok=True)
    words = (run.root, recognizer, *settings)
    return [zygote.start(*words, target=WORKER, **one, **more) for one in variables(processes)]


def start_torchrun(zygote, *words: object) -> Forked:
    """Start a script in two processes by torchrun."""
    root = os.pathsep.join([str(Path(styleswap_core.__file__).resolve().parents[1]), str(Path(__file__).parent)])
    two = ("--standalone", "--nproc-per-node", "2")
    return zygote.start(*two, *words, target="torch.distributed.run:main", PYTHONPATH=root)


def finish(processes: list[Forked]) -> None:
    for process in processes:
        assert process.wait(TIMEOUT) == 0, process.stderr[-2000:]


def wait_for_checkpoint(run: RunFolder, processes: list[Forked]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not checkpoint_paths(run.checkpoints):
        assert time.monotonic() < deadline and all(process.poll() is None for process in processes), "no progress"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, recognizer, zygote) -> RunFolder:
    """Run of one process without gradient accumulation."""
    run = RunFolder(tmp_path_factory.mktemp("alone") / "run")
    finish(start(zygote, run, recognizer))
    return run


@pytest.mark.parametrize(("processes", "micro_batches"), [(2, 1), (1, 2)], ids=["two processes", "two micro-batches"])
def test_losses_do_not_depend_on_processes_and_micro_batches(
    tmp_path, recognizer, alone, zygote, processes, micro_batches
):
    run = RunFolder(tmp_path / "run")
    finish(start(zygote, run, recognizer, f"gradient_accumulation={micro_batches}", processes=processes))
    expected, got = losses_by_step(alone), losses_by_step(run)
    assert sorted(got) == list(range(1, 7))
    for name in ("discriminator/r1", "augment/probability", "loss/adversarial", "loss/perceptual"):
        assert name in got[3] or name in got[5]
    assert got[6]["augment/probability"] != got[2]["augment/probability"]
    for step, losses in expected.items():
        # Rounding, which depends on the processor, is amplified by every update of the weights.
        assert got[step] == pytest.approx(losses, rel=1e-5 if step == 1 else 1e-3, abs=1e-6)
    weights, others = (torch.load(folder.root.with_name("weights_0.pt")) for folder in (alone, run))
    # Where a gradient is almost 0, Adam's normalization lets rounding decide the sign of the step; on average, weights
    # must agree to a hundredth of the way that they have gone.
    limit = 0.01 * tiny_config().learning_rate * len(expected)
    assert max(float((a - b).abs().mean()) for a, b in zip(weights, others, strict=True)) < limit


def test_processes_that_round_differently_end_with_the_same_weights(tmp_path, recognizer, zygote):
    run = RunFolder(tmp_path / "run")
    finish(start(zygote, run, recognizer, processes=2, UNEQUAL="1"))
    assert float((tmp_path / "drift_1").read_text()) > 1e-6 and float((tmp_path / "drift_0").read_text()) == 0
    one, two = (torch.load(tmp_path / f"weights_{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_lost_process_ends_the_others_and_one_alone_resumes(tmp_path, recognizer, alone, zygote):
    """Started without torchrun, which would stop the others: they must notice themselves."""
    run = RunFolder(tmp_path / "run")
    main, other = start(zygote, run, recognizer, "steps=100000", processes=2)
    wait_for_checkpoint(run, [main, other])
    other.kill()
    assert main.wait(TIMEOUT) == 2 and other.wait(TIMEOUT) == -signal.SIGKILL
    errors = main.stderr
    reports = [line for line in errors.splitlines() if line.startswith("worker: ")]
    assert (
        len(reports) == 1 and "another process of this training run was lost" in reports[0] and "--resume" in reports[0]
    )
    assert "Traceback" not in errors
    step = read_checkpoint(checkpoint_paths(run.checkpoints)[0])["step"]
    finish(start(zygote, run, recognizer, f"steps={step + 3}"))
    resumed, uninterrupted = losses_by_step(run), losses_by_step(alone)
    assert sorted(resumed) == list(range(1, step + 4))
    for number in set(uninterrupted) & set(resumed):
        assert resumed[number] == pytest.approx(uninterrupted[number], rel=1e-4, abs=1e-5)


def test_torchrun_ends_when_the_main_process_is_lost_and_two_others_resume(tmp_path, recognizer, zygote):
    run = RunFolder(tmp_path / "run")
    worker = Path(__file__).with_name("process_group_worker.py")
    launched = start_torchrun(zygote, worker, run.root, recognizer, "steps=100000")
    wait_for_checkpoint(run, [launched])
    os.kill(int((tmp_path / "pid_0").read_text()), signal.SIGKILL)
    assert launched.wait(TIMEOUT) != 0
    step = read_checkpoint(checkpoint_paths(run.checkpoints)[0])["step"]
    finish(start(zygote, run, recognizer, f"steps={step + 3}", processes=2))
    assert sorted(losses_by_step(run)) == list(range(1, step + 4))


def test_a_failure_of_the_main_process_is_reported_once(tmp_path, recognizer, zygote):
    setting = f"init_from={tmp_path / 'nothing.safetensors'}"
    processes = start(zygote, RunFolder(tmp_path / "run"), recognizer, setting, processes=2)
    assert all(process.wait(TIMEOUT) for process in processes)
    errors = "".join(process.stderr for process in processes)
    assert len([line for line in errors.splitlines() if line.startswith("worker: ")]) == 1
    assert "nothing.safetensors" in errors


@pytest.mark.parametrize(
    ("settings", "expected"), [(["data=nowhere"], "nowhere"), (["data=nowhere", "batch=7"], "divisible by 2 processes")]
)
def test_the_command_reports_invalid_settings_once(tmp_path, zygote, settings, expected):
    words = ["train", "--device", "cpu", "--out", tmp_path / "run"]
    words += [word for setting in settings for word in ("--set", setting)]
    processes = [zygote.start(*words, **one) for one in variables(2)]
    assert all(process.wait(TIMEOUT) for process in processes)
    errors = "".join(process.stderr for process in processes)
    assert errors.count("styleswap: error: ") == 1 and expected in errors


def test_rows_of_the_processes():
    assert [list(range(6))[ProcessGroup(rank, 3).rows(6)] for rank in range(3)] == [[0, 3], [1, 4], [2, 5]]
    with pytest.raises(StyleSwapError, match="divisible by 4 processes, got 6"):
        ProcessGroup(0, 4).rows(6)


def test_more_processes_than_gpus_are_refused():
    check_gpu_count(2, 2)
    with pytest.raises(StyleSwapError, match="at most 1 processes on this machine.*got 2"):
        check_gpu_count(2, 1)


def test_invalid_launches_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("MASTER_PORT", "not a port")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(StyleSwapError, match="cannot join the 2 processes"):
        ProcessGroup.from_environment("cpu")
    with pytest.raises(StyleSwapError, match="expected a device without a number.*use --device cpu"):
        ProcessGroup.from_environment("cpu:0")
