"""Faces of a video are followed, decided about once, and swapped steadily."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from moving_faces import SIZE, Actor, Scene
from toy_swapper import Painter

from styleswap_core.compositing.pixels import pixels_of
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.pipeline.swap_options import SwapOptions
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.pipeline.tracked_faces import TrackedFaces
from styleswap_core.swappers.network import SwappedCrops
from styleswap_core.tracking.tracking_options import TrackingOptions

COUNT = 24


class SceneAnalysis:
    """Face analysis of a scene's frames, which carry their number in the first pixel."""

    recognizer = RecognizerId("scene", dimension=64)

    def __init__(self, scene):
        self.scene = scene

    def detect(self, picture, order="largest", embed=True, quick=False):
        return self.scene.frame(int(picture[0, 0, 0])).detect(embed)

    def embed(self, picture, points):
        return np.eye(1, 64, dtype=np.float32)[0]

    def landmark_model(self):
        return None


def frames_of(scene, count=COUNT):
    for number in range(count):
        picture = np.repeat(scene.gray(number)[..., None], 3, 2)
        picture[0, 0] = number
        yield picture


def person(seed):
    values = np.random.default_rng(seed).standard_normal(64).astype(np.float32)
    return Identity(torch.from_numpy(values / np.linalg.norm(values)), RecognizerId("scene", dimension=64))


def two_people():
    """Two faces of nearly equal size, of which now one and now the other is larger; the first one more often."""
    first = Actor(1, lambda frame: (80, 120, 84 + 6 * np.sin(frame / 3), 0))
    second = Actor(2, lambda frame: (240, 120, 83 - 6 * np.sin(frame / 3), 0))
    return Scene([first, second], 0.3)


def crossing():
    """Two people who change places; the one behind is not found while it is covered."""
    left = Actor(1, lambda frame: (60 + 4 * frame, 110, 80, 0))
    right = Actor(2, lambda frame: (260 - 4 * frame, 130, 80, 0))
    return Scene([left, right], 0.3, hidden=lambda person, frame: person == 1 and 18 <= frame <= 32)


def test_the_largest_face_stays_the_same_person():
    scene = two_people()
    swapper = Swapper(Painter(), SceneAnalysis(scene))
    independent = [result.faces[0].face.box[0] < 160 for result in swapper.swap_frames(frames_of(scene), person(0))]
    assert 0 < sum(independent) < COUNT, "without tracks the swap changes sides"
    tracked = swapper.track(frames_of(scene), person(0), "largest")
    results = list(swapper.swap_tracked(frames_of(scene), tracked))
    assert len(results) == COUNT
    assert {len(result.faces) for result in results} == {1}
    assert len({result.faces[0].face.box[0] < 160 for result in results}) == 1
    assert sorted(str(one.place) for one in tracked.report()) == ["0", "None"]
    assert tracked.detections < COUNT / 2


def test_each_person_keeps_an_identity():
    scene = two_people()
    swapper = Swapper(Painter(), SceneAnalysis(scene))
    identities = [person(7), person(8)]
    tracked = swapper.track(frames_of(scene), identities, FaceChoice("all", "left-right"))
    for number in range(COUNT):
        faces = tracked.of_frame(number)
        assert faces.found == 2 and faces.problems == []
        assert [identities.index(who) for _, who in sorted(faces.chosen, key=lambda pair: pair[0].box[0])] == [0, 1]
    tracked = swapper.track(frames_of(scene), identities, FaceChoice("by index", "left-right", (7, 1), in_turn=True))
    assert {identities.index(who) for number in range(COUNT) for _, who in tracked.of_frame(number).chosen} == {0}
    tracked = swapper.track(frames_of(scene), person(7), FaceChoice("all", "left-right", in_turn=True))
    assert [one.place for one in tracked.report()] == [0, 0], "numbers of identities"
    likeness = FaceChoice("by likeness", references=(scene.actors[1].face(0, 0, True).id_embedding,))
    tracked = swapper.track(frames_of(scene), person(7), likeness)
    assert [tracked.of_frame(number).chosen[0][0].box[0] > 160 for number in range(COUNT)] == [True] * COUNT


@pytest.mark.parametrize(("rule", "protected"), [("by likeness", 1), ("everyone but", 0)])
def test_one_person_or_everyone_else_is_swapped_though_they_cross(rule, protected):
    scene = crossing()
    swapper = Swapper(Painter(), SceneAnalysis(scene))
    choice = FaceChoice(rule, references=(scene.actors[0].face(0, 0, True).id_embedding,))
    tracked = swapper.track(frames_of(scene, 50), person(7), choice)
    for number in range(50):
        for face, _ in tracked.of_frame(number).chosen:
            assert np.abs(face.points - scene.actors[1 - protected].points(number)).mean() < 4
    assert all(len(tracked.of_frame(number).chosen) == 1 for number in (*range(15), *range(36, 50)))


def test_two_people_who_cross_keep_their_identities():
    """Each is the one at the left for most of the time in which it is there."""
    left = Actor(1, lambda frame: (60 + 3.4 * frame, 110, 80, 0))
    right = Actor(2, lambda frame: (250 - 3.4 * frame, 130, 80, 0) if frame >= 14 else None)
    scene = Scene([left, right], 0.3, hidden=lambda person, frame: person == 1 and 21 <= frame <= 35)
    identities = [person(7), person(8)]
    swapper = Swapper(Painter(), SceneAnalysis(scene))
    tracked = swapper.track(frames_of(scene, 50), identities, FaceChoice("all", "left-right"))
    who = {1: set(), 2: set()}
    for number in range(50):
        for face, identity in tracked.of_frame(number).chosen:
            actor = min(scene.seen(number), key=lambda one: np.abs(face.points - one.points(number)).mean())
            who[actor.person].add(identities.index(identity))
    assert sorted(who.values(), key=min) == [{0}, {1}]


def test_a_face_behind_another_one_is_not_painted_over_it():
    left = Actor(1, lambda frame: (60 + 4 * frame, 120, 80, 0))
    right = Actor(2, lambda frame: (260 - 4 * frame, 120, 80, 0))
    scene = Scene([left, right], 0.3, hidden=lambda person, frame: person == 1 and 21 <= frame <= 29)
    swapper = Swapper(Painter(), SceneAnalysis(scene))
    tracked = swapper.track(frames_of(scene, 50), person(7), "all")
    (gap,) = [track.bridged[0] for track in tracked.tracks if track.bridged]
    for number in range(50):
        faces = tracked.of_frame(number)
        hidden = gap[0] <= number <= gap[1] and abs(left.place(number)[0] - right.place(number)[0]) < 40
        assert len(faces.chosen) == 1 if hidden else len(faces.chosen) == 2 or gap[0] <= number <= gap[1]
        assert len(faces.chosen) + len(faces.left_out) == 2
    assert tracked.of_frame(25).left_out == ["face 0 is behind another one"]


def test_a_hidden_face_is_bridged_and_reported(tmp_path):
    scene = Scene([Actor(1, lambda frame: (160, 120, 110, 0))], hidden=lambda _, frame: 8 <= frame < 16)
    swapper = Swapper(Painter(), SceneAnalysis(scene))
    tracked = swapper.track(frames_of(scene), person(0))
    assert all(len(tracked.of_frame(number).chosen) == 1 for number in range(COUNT))
    assert [one.bridged for one in tracked.report()] == [((8, 15),)]
    tracked.save(tmp_path / "tracks.npz")
    assert TrackedFaces.load(tmp_path / "tracks.npz", [person(0)], FaceChoice("largest")).report() == tracked.report()


def test_points_are_steady_in_the_result():
    actor = Actor(1, lambda frame: (160, 120, 110, 0))
    scene = Scene([actor], 0.8)
    swapper = Swapper(Painter(), SceneAnalysis(scene))
    single = [result.faces[0].matrix for result in swapper.swap_frames(frames_of(scene), person(0))]
    tracked = swapper.track(frames_of(scene), person(0))
    steady = [result.faces[0].matrix for result in swapper.swap_tracked(frames_of(scene), tracked)]
    before, after = (float(torch.stack(rows).diff(dim=0).abs().mean()) for rows in (single, steady))
    assert after < before / 10


class Nervous(Painter):
    """Paints a gray that differs from frame to frame for no reason."""

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        levels = 0.5 + 0.03 * torch.sin(1e5 * crops.mean((1, 2, 3), keepdim=True))
        return SwappedCrops((crops * 0.5 + levels).clamp(-1, 1), torch.ones_like(crops[:, :1]))


def test_colors_are_steady_whatever_the_batches():
    scene = Scene([Actor(1, lambda frame: (60 + 6 * frame, 120, 90, 0))])
    swapper = Swapper(Nervous(), SceneAnalysis(scene))

    def noisy():
        for number, frame in enumerate(frames_of(scene)):
            noise = np.random.default_rng(number).integers(-4, 5, frame.shape)
            # The number of the frame.
            noise[0, 0] = 0
            yield np.clip(frame + noise, 0, 255).astype(np.uint8)

    def swapped(smoothing, batch_size, count=COUNT):
        options = SwapOptions(batch_size=batch_size)
        tracked = swapper.track(noisy(), person(0), tracking=TrackingOptions(smoothing=smoothing))
        return list(swapper.swap_tracked(islice(noisy(), count), tracked, options=options))

    def jitter(results):
        crops = torch.stack([result.crops[0].mean() for result in results])
        return float(crops.diff().abs().mean())

    rough, steady = swapped(0.0, 8), swapped(4.0, 8)
    assert [result.report.frame for result in steady] == list(range(COUNT))
    assert jitter(steady) < 0.5 * jitter(rough)
    for batch_size in (1, 3):
        for one, other in zip(steady, swapped(4.0, batch_size), strict=True):
            assert np.array_equal(one.image, other.image) and torch.equal(one.mask, other.mask)
    assert len(swapped(4.0, 8, 2)) == 2 and len(swapped(4.0, 1, 1)) == 1


def test_a_detection_of_another_size_is_passed_over():
    class HalfHidden(Actor):
        def face(self, frame, noise, embed):
            face = super().face(frame, noise, embed)
            middle = face.box[:2] / 2 + face.box[2:] / 2
            wrong = replace(face, box=np.float32([*(middle - 75), *(middle + 60)]), points=face.points * 1.1 - 12)
            return wrong if frame in (8, 9, 10) else face

    actor = HalfHidden(1, lambda frame: (160, 120, 100, 0))
    swapper = Swapper(Painter(), SceneAnalysis(Scene([actor])))
    tracked = swapper.track(frames_of(swapper.analysis.scene), person(0))
    (track,) = tracked.tracks
    assert len(track.frames) == COUNT and np.abs(track.points - actor.points(0)).max() < 1


def test_parts_of_a_video_get_the_faces_of_their_frames():
    scene = Scene([Actor(1, lambda frame: (60 + 6 * frame, 120, 90, 0))])
    swapper = Swapper(Painter(), SceneAnalysis(scene))
    tracked = swapper.track(frames_of(scene), person(0))
    whole = [result.faces[0].face.box for result in swapper.swap_tracked(frames_of(scene), tracked)]
    rest = [result.faces[0].face.box for result in swapper.swap_tracked(list(frames_of(scene))[9:], tracked, first=9)]
    assert np.array_equal(np.stack(whole[9:]), np.stack(rest))


def test_tracks_survive_a_file(tmp_path):
    scene = two_people()
    swapper = Swapper(Painter(), SceneAnalysis(scene))
    choice = FaceChoice("all", "left-right")
    tracked = swapper.track(frames_of(scene), person(0), choice)
    tracked.save(tmp_path / "tracks.npz")
    again = TrackedFaces.load(tmp_path / "tracks.npz", [person(0)], choice)
    assert again.report() == tracked.report() and again.detections == tracked.detections
    for number in (0, 5, COUNT - 1):
        for (one, _), (other, _) in zip(tracked.of_frame(number).chosen, again.of_frame(number).chosen, strict=True):
            assert np.array_equal(one.points, other.points) and one.index == other.index
    (tmp_path / "tracks.npz").write_bytes(b"PK damaged")
    assert TrackedFaces.load(tmp_path / "tracks.npz", [person(0)], choice) is None
    assert TrackedFaces.load(tmp_path / "none.npz", [person(0)], choice) is None


def test_batches_can_be_tracked():
    scene = two_people()
    swapper = Swapper(Painter(), SceneAnalysis(scene))
    batch = torch.from_numpy(np.stack(list(frames_of(scene)))).float() / 255
    seen = []
    result = swapper.swap_batch(batch, person(0), tracking=TrackingOptions(), on_frame=seen.append)
    assert seen == [*range(COUNT), *range(COUNT)]
    assert result.images.shape == batch.shape and len(result.reports) == COUNT
    changed = (result.images != batch).any(-1)
    left, right = changed[:, :, :160].flatten(1).any(1), changed[:, :, 160:].flatten(1).any(1)
    assert bool((left != right).all()) and len(set(left.tolist())) == 1


def test_frames_of_other_sizes_are_refused():
    scene = two_people()
    swapper = Swapper(Painter(), SceneAnalysis(scene))
    frames = [next(frames_of(scene)), np.zeros((SIZE[0] // 2, SIZE[1], 3), np.uint8)]
    with pytest.raises(StyleSwapError, match="frames of one size"):
        swapper.track(frames, person(0))


def test_gray_of_every_kind_of_picture():
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    core = torch.from_numpy(picture).permute(2, 0, 1).float() / 127.5 - 1
    assert np.abs(pixels_of(picture).gray().astype(int) - pixels_of(core).gray()).max() <= 1
    assert pixels_of(picture).gray().shape == (20, 30)
