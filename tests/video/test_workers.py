"""Segments of a video made by several processes: the same bytes, also if processes die."""

import multiprocessing
import os

import numpy as np
import pytest
from clips import planes_of, write_clip
from toy_swapper import IDENTITY, Dying, Failing, Fixed, Painter, toy_swapper

from styleswap_core.errors import StyleSwapError
from styleswap_core.media.encoders import EncodingOptions
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.video import worker_run
from styleswap_core.video.clip_plan import ClipOptions
from styleswap_core.video.segment_tasks import SegmentTask
from styleswap_core.video.segment_workers import WorkerEvent, run_tasks
from styleswap_core.video.swap_video import swap_video
from styleswap_core.video.work_folder import work_folder

COUNT = 23
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that kill a process")


class Stop(Exception):
    pass


@pytest.fixture
def source(tmp_path):
    return write_clip(tmp_path / "source.mp4", COUNT, sound="aac")


def swap(source, out, network=None, workers=0, **more):
    clip = ClipOptions(segment_frames=5, workers=workers, **more.pop("clip", {}))
    return swap_video(Swapper(network or Painter(), Fixed()), source, out, IDENTITY, clip=clip, **more)


class ScriptedWorkers:
    """Workers whose events are written down in advance; says who was given which task."""

    def __init__(self, count, events):
        self.count, self.script = count, [list(some) for some in events]
        self.log = []

    def start(self, worker):
        self.log.append(f"start {worker}")

    def give(self, worker, task):
        self.log.append(f"{worker} <- {task.number}")

    def events(self):
        return [WorkerEvent(*event) for event in self.script.pop(0)]

    def close(self):
        self.log.append("close")


def tasks(count):
    return [SegmentTask(number, 5 * number, 5, 0, None, None) for number in range(count)]


def run_script(workers, count, done=0):
    told = []
    run_tasks(workers, tasks(count), "clip.mp4", done, told.append)
    return told


def test_tasks_go_to_workers_that_are_idle():
    workers = ScriptedWorkers(2, [[(1, "frame"), (1, "done")], [], [(0, "frame"), (1, "done")], [(0, "done")]])
    assert run_script(workers, 3, done=10) == list(range(10, 25))
    assert workers.log == ["start 0", "0 <- 0", "start 1", "1 <- 1", "1 <- 2", "close"]
    few = ScriptedWorkers(4, [[(0, "done")]])
    assert run_script(few, 1) == list(range(5)) and few.log == ["start 0", "0 <- 0", "close"]


def test_a_task_of_a_dead_worker_is_given_to_a_new_one():
    frames = [(0, "frame")] * 3
    workers = ScriptedWorkers(1, [frames, [(0, "died", "signal SIGKILL")], frames, [(0, "done")], [(0, "done")]])
    # Frames that were begun twice are told once.
    assert run_script(workers, 2) == list(range(10))
    assert workers.log == ["start 0", "0 <- 0", "start 0", "0 <- 0", "0 <- 1", "close"]
    with pytest.raises(
        StyleSwapError, match=r"died twice on the frames 5 to 9 of clip.mp4 \(signal SIGKILL\); use few"
    ):
        run_script(ScriptedWorkers(1, [[(0, "done")], *[[(0, "died", "signal SIGKILL")]] * 2]), 2)


@pytest.mark.parametrize("error", ["failed", "callback"])
def test_workers_end_with_an_error(error):
    def on_frame(number):
        raise Stop

    workers = ScriptedWorkers(2, [[(1, "frame")] if error == "callback" else [(1, "failed", "it; do that")]])
    with pytest.raises(Stop if error == "callback" else StyleSwapError):
        run_tasks(workers, tasks(3), "clip.mp4", 0, on_frame)
    assert workers.log[-1] == "close"


class InlineWorkers:
    """Workers of this process that do one task at each call; the last worker with a task goes first."""

    count = 2

    def __init__(self, swapper):
        self.swapper, self.given = swapper, {}

    def start(self, worker):
        pass

    def give(self, worker, task):
        self.given[worker] = task

    def events(self):
        worker = max(self.given)
        task = self.given.pop(worker)
        self.swapper.do(task)
        return [*[WorkerEvent(worker, "frame")] * task.frames, WorkerEvent(worker, "done")]

    def close(self):
        pass


@pytest.mark.parametrize("workers", [0, 2])
def test_work_with_gaps_is_resumed(tmp_path, source, monkeypatch, workers):
    """The second worker makes all segments but the first before Ctrl-C."""
    monkeypatch.setattr(worker_run, "start_workers", lambda swapper, tasks: InlineWorkers(swapper))
    swap(source, tmp_path / "whole.mp4")
    out, told = tmp_path / "out.mp4", []

    def stop(number):
        if number == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        swap(source, out, workers=2, on_frame=stop)
    assert not out.exists()
    assert sorted(path.name for path in work_folder(out).glob("*.nut")) == [f"{one:06d}.nut" for one in (1, 2, 3, 4)]
    swap(source, out, workers=workers, resume=True, on_frame=told.append)
    assert told == list(range(18 if workers else 0, COUNT))
    assert out.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_ctrl_c_keeps_the_segments_without_a_gap(tmp_path, source, monkeypatch):
    class InOrder(InlineWorkers):
        count = 1

    monkeypatch.setattr(worker_run, "start_workers", lambda swapper, tasks: InOrder(swapper))

    def stop(number):
        if number == 12:
            raise KeyboardInterrupt

    report = swap(source, tmp_path / "out.mp4", workers=2, on_frame=stop)
    assert report.interrupted and report.counts.frames == len(planes_of(tmp_path / "out.mp4")[0]) == 15
    report = swap(source, tmp_path / "out.mp4", workers=2, resume=True)
    assert not report.interrupted and len(planes_of(tmp_path / "out.mp4")[0]) == COUNT


@POSIX
@pytest.mark.usefixtures("forked_workers")
def test_two_processes_make_what_one_makes(tmp_path, source):
    """With tracks, masks to keep, masks of what was replaced, and one of the processes killed."""
    mask = np.zeros((48, 64), np.float32)
    mask[:, :30] = 1
    lives = tmp_path / "lives"
    lives.mkdir()
    reports, told = [], []
    for name, network, workers in (("one", None, 1), ("two", Dying(lives), 2)):
        if workers == 2:
            (lives / "first").touch()
        clip = {"mask_out": tmp_path / f"{name}_mask.mkv"}
        reports.append(
            swap(source, tmp_path / f"{name}.mp4", network, workers, clip=clip, keep=mask, on_frame=told.append)
        )
    assert not list(lives.iterdir()) and told == [*range(COUNT), *range(COUNT)]
    assert reports[0] == reports[1] and reports[1].counts.swapped_frames == COUNT
    for name in ("{}.mp4", "{}_mask.mkv"):
        one, two = ((tmp_path / name.format(which)).read_bytes() for which in ("one", "two"))
        assert one == two
    assert not list(tmp_path.glob(".*.parts")) and not multiprocessing.active_children()


@pytest.mark.usefixtures("forked_workers")
def test_interrupted_work_goes_on_with_another_number_of_workers(tmp_path, source):
    swap(source, tmp_path / "whole.mp4", clip={"tracking": None})
    out = tmp_path / "out.mp4"

    def stop(number):
        if number == 11:
            raise Stop

    with pytest.raises(Stop):
        swap(source, out, workers=2, clip={"tracking": None}, on_frame=stop)
    assert not multiprocessing.active_children()
    followed = []
    report = swap(source, out, clip={"tracking": None}, resume=True, on_followed=followed.append)
    assert followed == [] and report.counts.frames == COUNT
    assert out.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.usefixtures("forked_workers")
def test_errors_of_workers(tmp_path, source):
    with pytest.raises(StyleSwapError, match="^expected another network, got this one; use the other$"):
        swap(source, tmp_path / "out.mp4", Failing(), 2)
    assert not (tmp_path / "out.mp4").exists() and not multiprocessing.active_children()


def test_what_workers_cannot_do(tmp_path, source):
    out = tmp_path / "out.mp4"
    with pytest.raises(StyleSwapError, match="as a file, an array or a tensor"):
        swap(source, out, workers=2, keep=iter([np.zeros((4, 4), np.float32)]))
    with pytest.raises(StyleSwapError, match="cannot be sent to workers"):
        swap_video(toy_swapper(lambda number: []), source, out, IDENTITY, clip=ClipOptions(workers=2, tracking=None))
    with pytest.raises(StyleSwapError, match="workers of 0 or more"):
        ClipOptions(workers=-1)


@POSIX
def test_a_ray_cluster_of_two_workers_one_of_which_is_killed(tmp_path, source, monkeypatch):
    pytest.importorskip("ray")
    # Ray starts a process for each core before any is needed, and reports its use to its makers.
    monkeypatch.setenv("RAY_prestart_worker_first_driver", "0")
    monkeypatch.setenv("RAY_enable_worker_prestart", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    lives = tmp_path / "lives"
    lives.mkdir()
    (lives / "first").touch()
    swap(source, tmp_path / "one.mkv", clip={"encoding": EncodingOptions("ffv1")})
    clip, told = {"encoding": EncodingOptions("ffv1"), "ray": "local"}, []
    try:
        report = swap(source, tmp_path / "two.mkv", Dying(lives), 2, clip=clip, on_frame=told.append)
    except StyleSwapError as error:
        if not isinstance(error.__cause__, ConnectionError | RuntimeError | TimeoutError):
            raise
        pytest.skip(f"Ray does not start on this machine: {error.__cause__}")
    assert not list(lives.iterdir()) and told == list(range(COUNT)) and report.counts.swapped_frames == COUNT
    assert (tmp_path / "one.mkv").read_bytes() == (tmp_path / "two.mkv").read_bytes()
