"""Faces are followed through frames: steady, without lag, through crossings and gaps, and not across cuts."""

import numpy as np
import pytest
from moving_faces import Actor, Scene

from styleswap_core.errors import StyleSwapError
from styleswap_core.tracking.face_flow import face_motion
from styleswap_core.tracking.face_tracker import FaceTracker
from styleswap_core.tracking.scene_cuts import SceneCuts
from styleswap_core.tracking.steady_points import steady_points
from styleswap_core.tracking.track import SteadyTrack
from styleswap_core.tracking.tracking_options import TrackingOptions


def track(scene, count, options=None, embed=False):
    options = options or TrackingOptions()
    tracker = FaceTracker(options, embed)
    for number in range(count):
        tracker.add(scene.frame(number))
    return [SteadyTrack.of(one, options.smoothing) for one in tracker.finish()], tracker


def moving(frame):
    return 100 + 2.5 * frame, 110 + 8 * np.sin(frame / 6), 100 + 10 * np.sin(frame / 9), 12 * np.sin(frame / 8)


def errors(steady, actor):
    return steady.points - np.stack([actor.points(frame) for frame in steady.frames.tolist()])


def test_motion_is_that_of_the_face():
    actor = Actor(1, moving)
    scene = Scene([actor])
    before = actor.face(5, 0.0, False)
    motion = face_motion(scene.gray(5), scene.gray(6), before.box)
    assert np.abs(motion.moved(actor.points(5)) - actor.points(6)).max() < 0.15
    assert motion.share > 0.7
    assert face_motion(scene.gray(5), Scene([Actor(2, moving)]).gray(6), before.box) is None
    assert face_motion(scene.gray(5), scene.gray(6), np.float32([300, 200, 305, 205])) is None


def test_a_still_head_does_not_jitter():
    """The points move a twentieth as much as those of the detector."""
    actor = Actor(1, lambda frame: (160, 120, 110, 5))
    scene = Scene([actor], noise=0.8)
    (steady,), tracker = track(scene, 40)
    assert len(steady.frames) == 40 and tracker.detections == 10
    jitter = np.diff(errors(steady, actor), axis=0)
    assert np.sqrt((jitter**2).sum(-1).mean()) < 0.05 * 0.8 * 2
    assert np.abs(errors(steady, actor)).mean() < 0.8


def test_a_moving_head_is_not_held_back():
    actor = Actor(1, moving)
    (steady,), tracker = track(Scene([actor], noise=0.5), 40)
    assert len(steady.frames) == 40 and tracker.detections < 20
    error = errors(steady, actor)
    # Half a frame of motion is 1.25 px.
    assert np.abs(error.mean(1)).max() < 0.9 and np.abs(error.mean((0, 1))).max() < 0.3
    assert np.sqrt((np.diff(error, axis=0) ** 2).sum(-1).mean()) < 0.25


def test_two_people_cross_without_exchanging_tracks():
    left = Actor(1, lambda frame: (60 + 4 * frame, 110, 80, 0))
    right = Actor(2, lambda frame: (260 - 4 * frame, 130, 80, 0))
    # The one behind is not found while it is covered.
    scene = Scene([left, right], 0.3, hidden=lambda person, frame: person == 1 and 18 <= frame <= 32)
    tracks, _ = track(scene, 50)
    assert len(tracks) == 2
    for steady, actor in zip(tracks, (left, right), strict=True):
        distance = np.linalg.norm(errors(steady, actor), axis=-1).mean(1)
        first, last = steady.frames[0], steady.frames[-1]
        assert first == 0 and last == 49
        assert distance[steady.detected].max() < 3


def test_tracks_end_at_cuts():
    actor = Actor(1, lambda frame: (160, 120, 110, 0) if frame < 17 else (140, 110, 130, 0))
    other = Actor(2, lambda frame: None if frame < 17 else (240, 120, 70, 0))
    scene = Scene([actor, other], background=lambda frame: 1000 if frame < 17 else 2000)
    scene.actors[0].patch = scene.actors[0].patch // 2
    original = scene.gray
    scene.gray = lambda frame: original(frame) if frame < 17 else 255 - original(frame) // 3
    tracks, tracker = track(scene, 30)
    assert tracker.cuts == [17] and 17 in scene.detected
    assert [(int(one.frames[0]), int(one.frames[-1])) for one in tracks] == [(0, 16), (17, 29), (17, 29)]


def test_gradual_and_flickering_light_is_no_cut():
    cuts = SceneCuts()
    picture = Scene([Actor(1, moving)]).gray(0).astype(float)
    assert not any(cuts.is_cut(np.uint8(picture * (1 - number / 40))) for number in range(30))
    cuts = SceneCuts()
    assert not any(cuts.is_cut(np.uint8(np.clip(picture + 20 * (number % 2), 0, 255))) for number in range(30))


def test_a_face_that_is_hidden_for_a_moment_is_bridged():
    actor = Actor(1, lambda frame: (120 + frame, 120, 100, 0))
    scene = Scene([actor], hidden=lambda person, frame: 8 <= frame < 16)
    (steady,), _ = track(scene, 30)
    assert steady.frames.tolist() == list(range(30))
    assert not steady.detected[8:16].any() and np.abs(errors(steady, actor)).max() < 1


def test_a_hand_that_passes_before_a_face_does_not_take_it_along():
    """The hand covers the whole face, so that what is followed is the hand."""
    actor = Actor(1, lambda frame: (120 + frame, 120, 100, 0))
    hand = Actor(5, lambda frame: (120 + 14 * (frame - 14), 125, 150, 0) if 7 <= frame <= 21 else None)
    scene = Scene([actor, hand], 0.2, hidden=lambda person, frame: person == 5 or 10 <= frame < 19)
    for embed in (False, True):
        tracks, _ = track(scene, 36, embed=embed)
        assert len(tracks) == 1 and tracks[0].frames.tolist() == list(range(36))
        assert len(tracks[0].bridged) == 1
        first, last = tracks[0].bridged[0]
        assert 10 <= first <= 13 and 18 <= last <= 22
        off = np.abs(errors(tracks[0], actor)).max((1, 2))
        assert off.max() < 5 and off[:9].max() < 1 and off[24:].max() < 1


def test_a_face_that_is_found_elsewhere_was_not_on_the_way():
    actor = Actor(1, lambda frame: (70, 120, 60, 0) if frame < 10 else (250, 120, 60, 0) if frame >= 16 else None)
    tracks, _ = track(Scene([actor]), 30, TrackingOptions(detection_interval=2), embed=True)
    assert len(tracks) == 1 and tracks[0].bridged == ()
    assert not {11, 12, 13, 14} & set(tracks[0].frames.tolist())


def test_frames_after_the_last_detection_do_not_count():
    actor = Actor(1, lambda frame: (160, 120, 100, 0))
    scene = Scene([actor], hidden=lambda person, frame: frame >= 10)
    (steady,), _ = track(scene, 40, TrackingOptions(detection_interval=4))
    # Detected at 8, and not at 12 any more.
    assert steady.frames.tolist() == list(range(12))


def test_a_face_that_appears_between_detections_is_followed_back():
    actor = Actor(1, lambda frame: (160, 120, 100, 0) if frame >= 6 else None)
    (steady,), _ = track(Scene([actor]), 20, TrackingOptions(detection_interval=4))
    # Detected at 8; the frames 6 and 7 show it, and 5 does not.
    assert steady.frames.tolist() == list(range(6, 20)) and not steady.detected[0]
    assert np.abs(errors(steady, actor)).max() < 0.5


def test_a_person_who_comes_back_is_the_same_track():
    actor = Actor(1, lambda frame: (100, 120, 100, 0) if frame < 10 else (220, 120, 100, 0) if frame >= 34 else None)
    tracks, _ = track(Scene([actor]), 50, TrackingOptions(detection_interval=2), embed=True)
    assert len(tracks) == 1 and not set(range(12, 33)) & set(tracks[0].frames.tolist())


def test_implausible_points_do_not_move_a_track():
    from dataclasses import replace

    actor = Actor(1, lambda frame: (160, 120, 100, 0))

    class Doubted(Actor):
        def face(self, frame, noise, embed):
            face = super().face(frame, noise, embed)
            return face if frame != 8 else replace(face, points=face.points + 15, doubtful="eyes below the mouth")

    (steady,), _ = track(Scene([Doubted(1, actor.place)]), 16)
    assert np.abs(errors(steady, actor)).max() < 0.5


def test_fast_faces_are_detected_more_often():
    still = Scene([Actor(1, lambda frame: (160, 120, 80, 0))])
    fast = Scene([Actor(1, lambda frame: (40 + 16 * frame, 120, 80, 0))])
    for scene in (still, fast):
        track(scene, 14, TrackingOptions(detection_interval=6))
    assert len(still.detected) <= 3 and len(fast.detected) > 8


def test_points_with_neither_motion_nor_smoothing_are_the_detections():
    random = np.random.default_rng(0)
    points, zeros = random.normal(0, 5, (6, 5, 2)), np.zeros((6, 5, 2))
    result = steady_points(points, points, np.ones(6), zeros, np.zeros(6, bool), 4.0)
    assert np.abs(result - points).max() < 0.01
    result = steady_points(points, points, np.ones(6), zeros, np.ones(6, bool), 0.0)
    assert np.abs(result - points).max() < 0.1
    result = steady_points(points, points, np.ones(6), zeros, np.ones(6, bool), 10.0)
    assert np.abs(result - points.mean(0)).max() < 1.0


def test_options_out_of_range():
    for wrong in ({"detection_interval": 0}, {"smoothing": -1.0}, {"smoothing": 99.0}, {"bridge": -1}):
        with pytest.raises(StyleSwapError, match="expected a"):
            TrackingOptions(**wrong)
