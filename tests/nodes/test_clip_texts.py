"""Report and progress of Swap Face in Video."""

import pytest


@pytest.fixture(scope="module")
def texts(pack):
    return pack("nodes.clip_texts")


def test_report_of_a_video(texts, pack):
    clip = pack("styleswap_core.video.clip_report")
    counts = clip.FrameCounts(
        frames=100,
        swapped_frames=90,
        swapped_faces=96,
        frames_without_faces=9,
        frames_with_problems=1,
        measured_faces=2,
        similarity_before=0.1,
        similarity=1.4,
    )
    tracks = [
        clip.ClipTrack(0, 0, 99, 90, 25, 10, 0, 0.9, ((40, 45), (70, 71)), 0.05, 0.7),
        clip.ClipTrack(1, 3, 8, 6, 2, 0, None, 0.8),
        clip.ClipTrack(2, 9, 9, 1, 1, 0, 2, 0.8),
    ]
    doubtful = [clip.DoubtfulFrame(75, 75, 3.0, 0.31, "detected with a score of 0.31")]
    report = clip.ClipReport(counts, "libx264", "yuv420p", ["2 packets are damaged"], False, doubtful, tracks, 25)
    assert texts.describe_clip(report, 2, ["the model is for rendered faces"]).splitlines() == [
        "swapped 96 faces in 90 of 100 frames",
        "likeness 0.05 -> 0.70, mean of 2 measured faces",
        "no face found in 9 frames, passed through",
        "a chosen face is missing from 1 frame with other faces",
        (
            "track 0: frames 0 to 99, detected in 25, bridged from 40 to 45 and 70 to 71, missing from 10, identity_1,"
            " likeness 0.05 -> 0.70"
        ),
        "track 1: frames 3 to 8, detected in 2, not chosen",
        "track 2: frames 9 to 9, detected in 1, no identity left",
        "least certain: frame 75 (0:03), detected with a score of 0.31",
        "encoded by libx264 as yuv420p",
        "note: 2 packets are damaged",
        "note: the model is for rendered faces",
    ]
    (first,) = [line for line in texts.describe_clip(report, 1).splitlines() if line.startswith("track 0")]
    assert first.endswith("missing from 10, likeness 0.05 -> 0.70")
    assert texts.summarize_clip(report) == "swapped 96 faces in 90 of 100 frames"


def test_progress_states_speed_and_time_left(texts):
    assert (
        texts.describe_progress("swapping", 300, 600, 10.0, 50) == "swapping: frame 300 of 600, 5 frames/s, 1:00 left"
    )
    assert texts.describe_progress("swapping", 300, 0, 10.0, 50) == "swapping: frame 300, 5 frames/s"
    assert texts.describe_progress("swapping", 0, 600, 0.0, 0) == "swapping: frame 0 of 600"
    # The number of frames that a file announces may be too low.
    assert texts.describe_progress("swapping", 610, 600, 10.0, 50).endswith("0:00 left")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (64.6, "1:05"), (3599.7, "1:00:00"), (3725, "1:02:05")])
def test_times(texts, seconds, text):
    assert texts.clock(seconds) == text
