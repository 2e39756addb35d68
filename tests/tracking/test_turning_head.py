"""A rendered head that turns at 60 degrees a second is followed without lag, though the detector sees it with noise."""

import numpy as np
import torch

from styleswap_core.faces.detected import DetectedFace
from styleswap_core.metrics.steadiness import jitter, lag_frames
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import render
from styleswap_core.tracking.face_tracker import FaceTracker, Frame
from styleswap_core.tracking.track import SteadyTrack
from styleswap_core.tracking.tracking_options import TrackingOptions

# Two degrees per frame, 30 frames a second.
YAWS = torch.arange(-12.0, 13.0, 2.0)
STEPS = [*range(len(YAWS)), *range(len(YAWS) - 2, 0, -1)] * 2


def rendered_head():
    """Gray frames (T, S, S) of the head, and its true points (T, 5, 2)."""
    count = len(YAWS)
    setting = Attributes.from_seeds([ATTRIBUTE_SEEDS["test"][5]] * count, occluder=0.0, frame_scale=0.33)
    setting.fields["yaw"] = YAWS[:, None]
    shown = render(Identities.from_seeds([IDENTITY_SEEDS["test"][0]] * count), setting, size=96)
    gray = ((shown.image.mean(1) + 1) * 127.5).round().to(torch.uint8).numpy()
    return gray, shown.points.numpy()


def test_points_do_not_lag_behind_a_turning_head():
    gray, truth = rendered_head()
    random = np.random.default_rng(0)
    noisy, tracker = [], FaceTracker(TrackingOptions())
    for step in STEPS:
        points = (truth[step] + random.normal(0, 0.5, (5, 2))).astype(np.float32)
        noisy.append(points)
        box = np.concatenate([points.min(0) - 9, points.max(0) + 9])
        noise = random.normal(0, 2.5, gray[step].shape)
        picture = np.clip(gray[step] + noise, 0, 255).astype(np.uint8)
        tracker.add(Frame(picture, lambda embed, box=box, points=points: [DetectedFace(0, 0.9, box, points)]))
    (track,) = (SteadyTrack.of(one, TrackingOptions.smoothing) for one in tracker.finish())
    assert track.frames.tolist() == list(range(len(STEPS))) and tracker.detections < len(STEPS) / 2
    real, found, alone = truth[STEPS][:, None], track.points[:, None], np.stack(noisy)[:, None]
    assert abs(lag_frames(found, real)) < 0.5
    late = np.concatenate([found[:1], found[:-1]])
    assert lag_frames(late, real) > 0.5, "the test would notice a frame"
    assert jitter(found, real) < jitter(alone, real) / 3
