"""Interrupted runs: resuming gives the results of an uninterrupted run, and after any kill a run can be resumed."""

import json
import random
import signal
import time

import pytest
import torch
from full_disk import disk_of
from training_toys import ToySource, losses_by_step, tiny_config, write_recognizer

from styleswap_core.checkpoints.native import load_generator
from styleswap_core.errors import StyleSwapError
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.training_loop import RunContext, train
from styleswap_core.training.training_state import checkpoint_paths, newest_checkpoint, read_checkpoint

CPU = torch.device("cpu")
KILLS = 10
WORKER = "resume_worker:run"


class Interruption(Exception):
    """Ends a run between two steps."""


class InterruptedSource(ToySource):
    """Source that interrupts the run at a step."""

    def __init__(self, interrupted_step: int):
        super().__init__()
        self.interrupted_step = interrupted_step

    def batch(self, step: int, source_crop: bool = False):
        if step == self.interrupted_step:
            raise Interruption
        return super().batch(step, source_crop)


def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, recognizer):
    config = tiny_config(steps=10, checkpoint_every=4)
    uninterrupted, interrupted = RunFolder(tmp_path / "uninterrupted"), RunFolder(tmp_path / "interrupted")
    finished = train(config, uninterrupted, RunContext(ToySource(), CPU, recognizer))
    # Interrupted after step 6: steps 5 and 6 are lost and repeated.
    with pytest.raises(Interruption):
        train(config, interrupted, RunContext(InterruptedSource(6), CPU, recognizer))
    torch.manual_seed(999)
    resumed = train(config, interrupted, RunContext(ToySource(), CPU, recognizer))
    assert losses_by_step(interrupted) == losses_by_step(uninterrupted)
    assert sorted(losses_by_step(interrupted)) == list(range(1, 11))
    for name in ("generator", "generator_ema", "discriminator"):
        expected, got = getattr(finished, name).state_dict(), getattr(resumed, name).state_dict()
        assert all(torch.equal(expected[key], got[key]) for key in expected), name


def test_kept_checkpoints_and_their_content(tmp_path, recognizer):
    folder = RunFolder(tmp_path / "run")
    config = tiny_config(steps=7, checkpoint_every=2)
    train(config, folder, RunContext(ToySource(), CPU, recognizer, metadata={"domain": "synthetic"}))
    assert [path.name for path in checkpoint_paths(folder.checkpoints)] == ["step_000000007.pt", "step_000000006.pt"]
    content = newest_checkpoint(folder.checkpoints)
    assert content["step"] == 7 and content["config"]["model"] == "tiny" and "cpu" in content["random"]
    generator, metadata = load_generator(folder.generator)
    assert metadata["domain"] == "synthetic" and metadata["training_steps"] == 7
    assert torch.equal(generator.mapping.input.weight, content["generator_ema"]["mapping.input.weight"])


def test_a_damaged_checkpoint_is_replaced_by_the_previous_one(tmp_path, recognizer, capsys):
    folder = RunFolder(tmp_path / "run")
    config = tiny_config(steps=4, checkpoint_every=2)
    context = RunContext(ToySource(), CPU, recognizer)
    train(config, folder, context)
    newest, _previous = checkpoint_paths(folder.checkpoints)
    expected = losses_by_step(folder)
    newest.write_bytes(newest.read_bytes()[:2000])
    assert train(config, folder, context).step == 4
    assert losses_by_step(folder) == expected
    assert newest.name in capsys.readouterr().err
    for path in checkpoint_paths(folder.checkpoints):
        path.write_bytes(b"not a checkpoint")
    with pytest.raises(StyleSwapError, match="not a readable checkpoint"):
        train(config, folder, context)


def test_checkpoint_of_another_architecture_is_refused(tmp_path, recognizer):
    folder = RunFolder(tmp_path / "run")
    train(tiny_config(steps=2), folder, RunContext(ToySource(), CPU, recognizer))
    wider = tiny_config(steps=4, model_overrides={"w_dim": 48})
    with pytest.raises(StyleSwapError, match="does not fit"):
        train(wider, folder, RunContext(ToySource(), CPU, recognizer))


def test_sigkill_at_ten_random_moments(tmp_path, zygote):
    """Every start continues from the last complete checkpoint, and the result is that of an uninterrupted run."""
    recognizer = write_recognizer(tmp_path / "toy.onnx")
    folder = RunFolder(tmp_path / "run")
    rng = random.Random(20261122)
    seen = 0
    for _ in range(KILLS):
        worker = zygote.start(folder.root, recognizer, target=WORKER)
        assert worker.until(lambda: _has_progress(folder, seen)), worker.stderr  # noqa: B023 - called at once
        # Within this time there are steps, checkpoints and exports.
        time.sleep(rng.uniform(0.0, 0.3))
        worker.kill()
        assert worker.wait() == -signal.SIGKILL, "the run ended before it was killed; increase its steps"
        seen = _assert_intact(folder, seen)
    assert seen >= KILLS * 4
    last, uninterrupted = seen + 4, RunFolder(tmp_path / "uninterrupted")
    for run in (folder, uninterrupted):
        worker = zygote.start(run.root, recognizer, last, target=WORKER)
        assert worker.wait() == 0, worker.stderr
    assert not [path for path in folder.root.rglob(".*") if path.is_file()], "partial files were left behind"
    assert sorted(losses_by_step(folder)) == list(range(2, last + 1, 2))
    assert losses_by_step(folder) == losses_by_step(uninterrupted)


def _has_progress(folder: RunFolder, seen: int) -> bool:
    return bool(checkpoint_paths(folder.checkpoints)) and _newest_step(folder) > seen


def _newest_step(folder: RunFolder) -> int:
    return int(checkpoint_paths(folder.checkpoints)[0].stem.removeprefix("step_"))


def _assert_intact(folder: RunFolder, seen: int) -> int:
    # Every file with its final name is complete, and the newest checkpoint is newer than the previous start's.
    for path in checkpoint_paths(folder.checkpoints):
        assert read_checkpoint(path)["step"] > 0
    if folder.generator.exists():
        load_generator(folder.generator)
    json.loads(folder.config.read_text(encoding="utf-8"))
    newest = _newest_step(folder)
    assert newest > seen
    return newest


def test_a_second_process_in_a_run_folder_is_refused(tmp_path, recognizer):
    folder, config, texts = RunFolder(tmp_path / "run"), tiny_config(steps=4, checkpoint_every=2), []

    class Impatient(ToySource):
        def batch(self, step, source_crop=False):
            if step == 2:
                with pytest.raises(StyleSwapError) as refused:
                    train(config, folder, RunContext(ToySource(), CPU, recognizer))
                texts.append(str(refused.value))
            return super().batch(step, source_crop)

    assert train(config, folder, RunContext(Impatient(), CPU, recognizer)).step == 4
    assert texts == [f"another run is writing {folder.root}; wait until it is finished, or choose another name"]
    assert train(config, folder, RunContext(ToySource(), CPU, recognizer)).step == 4


def test_a_full_disk_keeps_the_checkpoints_and_the_run_goes_on(tmp_path, recognizer):
    folder = RunFolder(tmp_path / "run")
    train(tiny_config(steps=2, checkpoint_every=2), folder, RunContext(ToySource(), CPU, recognizer))
    before = {path.name: path.read_bytes() for path in checkpoint_paths(folder.checkpoints)}
    generator = folder.generator.read_bytes()
    config = tiny_config(steps=4, checkpoint_every=2)
    with disk_of(20_000), pytest.raises(StyleSwapError, match=r"cannot write .*make room on the disk"):
        train(config, folder, RunContext(ToySource(), CPU, recognizer))
    assert {path.name: path.read_bytes() for path in checkpoint_paths(folder.checkpoints)} == before
    assert folder.generator.read_bytes() == generator
    assert train(config, folder, RunContext(ToySource(), CPU, recognizer)).step == 4
