"""Batches and streams of frames: one result per frame, in order, with a report of faces that were not swapped."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.faces.detected import DetectedFace, order_faces
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.io.read_ahead import THREAD_NAME
from styleswap_core.model import Generator, preset
from styleswap_core.pipeline import frame_stream
from styleswap_core.pipeline.frame_requests import references_for
from styleswap_core.pipeline.swap_options import SwapOptions
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.baked_cache import BakedCache
from styleswap_core.swappers.network import SwappedCrops
from styleswap_core.swappers.styleswap_network import StyleSwapNetwork

SIDE = 40.0
ALL = FaceChoice("all", "left-right")
CONFIG = preset("tiny")


def vector(seed):
    values = np.random.default_rng(seed).standard_normal(512).astype(np.float32)
    return values / np.linalg.norm(values)


def who(seed, recognizer="known", **more):
    return Identity(torch.from_numpy(vector(seed)), RecognizerId(recognizer), **more)


class MarkDetector:
    """Face analysis for frames in which a face is a red pixel and its green value the number of the person."""

    recognizer = RecognizerId("known")

    def __init__(self):
        self.embedded = 0

    def detect(self, picture, order="largest", embed=True, quick=False):
        found = []
        for y, x in np.argwhere(picture[..., 0] == 255):
            points = template_points("ffhq", 1).numpy() * SIDE + [x - SIDE / 2, y - SIDE / 2]
            box = np.float32([x - SIDE / 2, y - SIDE / 2, x + SIDE / 2, y + SIDE / 2])
            embedding = vector(int(picture[y, x, 1])) if embed else None
            found.append(DetectedFace(0, 0.9, box, points.astype(np.float32), embedding))
        return order_faces(found, order)

    def embed(self, picture, points):
        self.embedded += 1
        return vector(int(points[0, 0]))


class GrayPainter:
    """Swapping network that fills a face with a gray that depends on the identity."""

    name, template, has_mask, phased, device = "gray painter", "ffhq", True, False, torch.device("cpu")

    def __init__(self, recognizer="", sha256="", size=32):
        self.recognizer, self.sha256, self.size = RecognizerId(recognizer), sha256, size
        self.batches = []

    def notice(self, rendered=False):
        return None

    def check(self, identity):
        pass

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        self.batches.append(len(crops))
        grays = torch.tensor([float(identity.id_embedding[0]) for identity in identities]).view(-1, 1, 1, 1)
        return SwappedCrops(grays.expand_as(crops).contiguous(), torch.ones_like(crops[:, :1]))


def frame(*faces, height=80, width=160):
    """Noise with red below 1.0, and faces (x, person) in the middle row."""
    picture = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(7)) * 0.9
    for x, person in faces:
        picture[height // 2, x] = torch.tensor([1.0, person / 255, 0.0])
    return picture


def swapper(model=None, analysis=None, **options):
    in_background = options.pop("background_detection", None)
    return Swapper(
        model or GrayPainter(), analysis or MarkDetector(), SwapOptions(**options), background_detection=in_background
    )


def gray_at(images, row, x):
    """Gray of the face at x, read next to its center."""
    return float(images[row, 45, x, 0]) * 2 - 1


def test_every_frame_is_returned_in_order_with_or_without_faces():
    batch = torch.stack([frame(), frame((40, 1)), frame(), frame((40, 1), (120, 2)), frame()])
    before = batch.clone()
    result = swapper(batch_size=2).swap_batch(batch, who(9), ALL)
    assert torch.equal(batch, before), "the input is not modified"
    assert result.images.shape == batch.shape and result.masks.shape == batch.shape[:3]
    assert result.images.dtype == torch.float32 and result.crops.shape == (3, CONFIG.size, CONFIG.size, 3)
    for row in (0, 2, 4):
        assert torch.equal(result.images[row], batch[row]) and result.masks[row].max() == 0
        assert result.reports[row].problems == ["no face found"]
    untouched = result.masks == 0
    assert torch.equal(result.images[untouched], batch[untouched]), "bit for bit"
    assert [(r.frame, r.faces_found, len(r.swapped)) for r in result.reports] == [
        (0, 0, 0),
        (1, 1, 1),
        (2, 0, 0),
        (3, 2, 2),
        (4, 0, 0),
    ]
    assert [face.picture for face in result.reports[3].swapped] == [3, 3]


def test_a_batch_equals_its_frames_one_by_one(monkeypatch):
    batch = torch.stack([frame((30 + 10 * i, i)) for i in range(5)])
    together = swapper().swap_batch(batch, who(9), ALL)
    monkeypatch.setattr(frame_stream, "MAX_BUFFERED_PIXELS", 1)
    apart = swapper().swap_batch(batch, who(9), ALL)
    assert torch.equal(together.images, apart.images) and torch.equal(together.masks, apart.masks)
    assert torch.equal(together.crops, apart.crops)


def test_one_identity_for_all_faces_or_one_per_face():
    batch = frame((40, 1), (120, 2))[None]
    one = swapper().swap_batch(batch, who(9), ALL).images
    assert gray_at(one, 0, 40) == pytest.approx(gray_at(one, 0, 120), abs=1e-3)
    two = swapper().swap_batch(batch, [who(8), who(9)], ALL).images
    assert gray_at(two, 0, 40) == pytest.approx(float(vector(8)[0]), abs=0.01)
    assert gray_at(two, 0, 120) == pytest.approx(float(vector(9)[0]), abs=0.01)
    turned = swapper().swap_batch(batch, [who(8), who(9)], FaceChoice("all", "right-left")).images
    assert gray_at(turned, 0, 40) == pytest.approx(float(vector(9)[0]), abs=0.01)


def test_different_numbers_of_identities_and_faces_are_reported():
    batch = torch.stack([frame((30, 1), (80, 2), (130, 3)), frame((30, 1))])
    result = swapper().swap_batch(batch, [who(8), who(9)], ALL)
    assert len(result.reports[0].swapped) == 2 and "face 2 is not swapped" in result.reports[0].problems[0]
    assert result.reports[1].problems == ["no face for identity 1"]
    assert torch.equal(result.images[0, :, 115:], batch[0, :, 115:])


def test_identities_in_turn_start_again_and_are_not_missed():
    batch = torch.stack([frame((30, 1), (80, 2), (130, 3)), frame((30, 1))])
    result = swapper().swap_batch(batch, [who(8), who(9)], replace(ALL, in_turn=True), strict=True)
    grays = [gray_at(result.images, 0, x) for x in (30, 80, 130)]
    assert grays == pytest.approx([float(vector(seed)[0]) for seed in (8, 9, 8)], abs=0.01)
    assert [len(report.swapped) for report in result.reports] == [3, 1]


def test_choice_by_likeness_follows_people_who_change_places():
    batch = torch.stack([frame((40, 1), (120, 2)), frame((40, 2), (120, 1)), frame((40, 3))])
    choice = FaceChoice("by likeness", references=references_for([who(1), who(2)], MarkDetector()), likeness=0.5)
    result = swapper().swap_batch(batch, [who(8), who(9)], choice)
    assert gray_at(result.images, 0, 40) == pytest.approx(float(vector(8)[0]), abs=0.01)
    assert gray_at(result.images, 1, 40) == pytest.approx(float(vector(9)[0]), abs=0.01)
    assert not result.reports[2].swapped and len(result.reports[2].problems) == 2
    with pytest.raises(StyleSwapError, match="one for each of the 2 references"):
        swapper().swap_batch(batch, [who(7), who(8), who(9)], choice)


def test_strict_error_names_the_frame():
    with pytest.raises(StyleSwapError, match="frame 1: no face found"):
        swapper().swap_batch(torch.stack([frame((40, 1)), frame()]), who(9), ALL, strict=True)


def test_alpha_is_kept_and_invalid_values_are_clipped():
    batch = torch.cat([torch.stack([frame((40, 1))] * 3), torch.full((3, 80, 160, 1), 0.9)], dim=3)
    batch[1, 0, 0, 0], batch[1, 0, 1, 1], batch[2, 0, 0, 3] = float("nan"), 3.0, 1.5
    result = swapper().swap_batch(batch, who(9), ALL)
    assert result.images.shape == batch.shape and result.repaired == [1, 2]
    assert torch.isfinite(result.images).all() and result.images.min() >= 0 and result.images.max() <= 1
    assert torch.equal(result.images[0, ..., 3], batch[0, ..., 3])
    assert [len(report.swapped) for report in result.reports] == [1, 1, 1]


def test_the_input_is_not_modified_and_pixels_outside_faces_are_identical():
    batch = torch.rand(2, 80, 160, 3, generator=torch.Generator().manual_seed(0)) * 0.9
    batch[0, 40, 40, 0] = 1.0
    before = batch.clone()
    result = swapper().swap_batch(batch, who(9), ALL)
    assert torch.equal(batch, before) and torch.equal(result.images[1], before[1])
    untouched = result.masks[0] == 0
    assert torch.equal(result.images[0][untouched], before[0][untouched])
    assert not torch.equal(result.images[0], before[0])
    for in_background in (False, True):
        with torch.inference_mode():
            again = swapper(background_detection=in_background).swap_batch(before.clone(), who(9), ALL)
        assert torch.equal(again.images, result.images) and torch.equal(again.masks, result.masks)


@pytest.mark.parametrize("shape", [(0, 80, 160, 3), (1, 80, 160, 2), (80, 160, 3), (1, 0, 160, 3)])
def test_invalid_batches_are_refused(shape):
    with pytest.raises(StyleSwapError, match="expected frames"):
        swapper().swap_batch(torch.zeros(shape), who(9))


def test_unsuitable_identities_are_refused_before_any_work():
    def request(identity, model=None, **options):
        # Errors are raised before the stream is consumed.
        swapper(model, **options).swap_frames([], identity, ALL)

    with pytest.raises(StyleSwapError, match="at least one"):
        request([])
    with pytest.raises(StyleSwapError, match="w600k_r50"):
        request(who(9), GrayPainter("w600k_r50"))
    with pytest.raises(StyleSwapError, match="recognizer that made"):
        request(who(9, "another"), strength=0.5)
    inverted = who(9, w_plus=torch.zeros(4, 8), generator_sha256="a" * 64)
    with pytest.raises(StyleSwapError, match="another model"):
        request(inverted, GrayPainter(sha256="b" * 64))
    request(inverted, GrayPainter(sha256="a" * 64))
    with pytest.raises(StyleSwapError, match="reference was made with"):
        references_for([who(9, "another")], MarkDetector())


def test_similarity_is_measured_on_some_frames_of_a_long_batch():
    batch = torch.stack([frame((40, 1))] * 40)
    made = swapper()
    result = made.swap_batch(batch, who(9), ALL)
    measured = [report.frame for report in result.reports if report.swapped[0].similarity is not None]
    assert len(measured) == 16 and measured[0] == 0 and measured[-1] == 39
    assert made.analysis.embedded == 32


def test_progress_and_cancellation():
    seen = []

    class Canceled(Exception):
        pass

    def on_frame(number):
        seen.append(number)
        if number == 2:
            raise Canceled

    with pytest.raises(Canceled):
        swapper().swap_batch(torch.stack([frame((40, 1))] * 5), who(9), ALL, on_frame=on_frame)
    assert seen == [0, 1, 2]


def uint8_frames(count, faces=((40, 1),)):
    return [(frame(*faces).numpy() * 255).round().astype(np.uint8) for _ in range(count)]


def test_a_stream_returns_uint8_frames_of_any_size_in_order():
    frames = [
        *uint8_frames(3),
        (frame((40, 1), height=60, width=90).numpy() * 255).astype(np.uint8),
        *uint8_frames(1, ()),
    ]
    copies = [one.copy() for one in frames]
    seen = []
    done = list(swapper(batch_size=3).swap_frames(iter(frames), who(9), ALL, on_frame=seen.append))
    assert seen == [one.report.frame for one in done] == [0, 1, 2, 3, 4]
    for before, after, copy in zip(frames, done, copies, strict=True):
        assert np.array_equal(before, copy) and after.image.dtype == np.uint8 and after.image.shape == before.shape
        untouched = (after.mask == 0).numpy()
        assert np.array_equal(after.image[untouched], before[untouched])
    assert [len(one.crops) for one in done] == [1, 1, 1, 1, 0]
    assert np.array_equal(done[0].image, done[2].image) and not np.array_equal(done[0].image, frames[0])


def test_faces_of_several_frames_share_a_batch():
    model = GrayPainter()
    one = swapper(model, batch_size=4)
    assert len(list(one.swap_frames(uint8_frames(10), who(9), ALL))) == 10 and model.batches == [4, 4, 2]
    model.batches.clear()
    list(one.swap_frames(uint8_frames(3, ((40, 1), (120, 2))), who(9), ALL))
    assert model.batches == [4, 2]


@pytest.mark.parametrize("in_background", [False, True])
def test_detection_in_the_background_gives_the_same_result(in_background):
    threads = set()

    class Watched(MarkDetector):
        def detect(self, *args, **options):
            threads.add(threading.current_thread().name)
            return super().detect(*args, **options)

    frames = uint8_frames(5, ((40, 1), (120, 2)))
    expected = list(swapper().swap_frames(frames, who(9), ALL))
    done = list(swapper(analysis=Watched(), background_detection=in_background).swap_frames(frames, who(9), ALL))
    assert all(np.array_equal(one.image, other.image) for one, other in zip(done, expected, strict=True))
    assert len(threads) == 1 and threads.pop().startswith(THREAD_NAME) == in_background


def test_a_long_stream_buffers_few_frames():
    made, taken = [], []

    def endless():
        for number in range(10**6):
            made.append(number)
            yield uint8_frames(1)[0]

    stream = swapper(batch_size=2).swap_frames(endless(), who(9), ALL)
    for done in stream:
        taken.append(done.report.frame)
        # Two are buffered or being swapped, two are fetched or being fetched.
        assert len(made) - len(taken) <= 4
        if len(taken) == 12:
            break
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]


def test_errors_end_a_stream_cleanly():
    def breaks():
        yield from uint8_frames(2)
        raise OSError("unexpected end of file")

    def refuses(number):
        raise KeyboardInterrupt

    for frames, on_frame, error in (
        (breaks(), int, OSError),
        (uint8_frames(3), refuses, KeyboardInterrupt),
        ([np.zeros((8, 8), np.uint8)], int, StyleSwapError),
    ):
        with pytest.raises(error):
            list(swapper(batch_size=1).swap_frames(frames, who(9), ALL, on_frame=on_frame))
        assert not [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]


def test_baked_and_unbaked_frames_are_equal():
    torch.manual_seed(0)
    generator = Generator(CONFIG).eval().requires_grad_(False)
    frames, cache = uint8_frames(3), BakedCache()
    baked = Swapper(StyleSwapNetwork(generator, cache=cache, dtype=torch.float32), MarkDetector())
    unbaked = Swapper(StyleSwapNetwork(generator, baked=False), MarkDetector())
    done = list(baked.swap_frames(frames, who(9)))
    assert len(cache) == 1
    for one, other in zip(done, unbaked.swap_frames(frames, who(9)), strict=True):
        assert np.abs(one.image.astype(int) - other.image).max() <= 1 and torch.allclose(
            one.mask, other.mask, atol=1e-4
        )
    batch = torch.stack([torch.from_numpy(one).permute(2, 0, 1) for one in frames]) / 127.5 - 1
    assert [tuple(one.image.shape) for one in baked.swap_frames(batch, who(9))] == [(3, 80, 160)] * 3


def test_a_picture_a_batch_and_a_stream_give_the_same_result():
    picture = uint8_frames(1, ((40, 1), (120, 2)))[0]
    one = swapper().swap(picture, who(9), "all")
    (streamed,) = swapper().swap_frames([picture], who(9), "all")
    batch = swapper().swap_batch(torch.from_numpy(picture)[None] / 255, who(9), "all")
    assert np.array_equal(one.image, streamed.image) and torch.equal(one.mask, streamed.mask)
    assert torch.equal(one.mask, batch.masks[0])
    assert np.abs(batch.images[0].numpy() * 255 - one.image).max() <= 1
    assert [face.similarity is None for face in (*one.faces, *streamed.faces)] == [False, False, True, True]
    known = [(face.face, who(9)) for face in one.faces]
    assert np.array_equal(swapper().swap_detected(picture, known).image, one.image)


class DoubtfulDetector(MarkDetector):
    """Doubts every face in the left half of a frame."""

    def detect(self, picture, order="largest", embed=True, quick=False):
        return [
            replace(face, doubtful="the eyes are crossed" if face.points[0, 0] < 80 else "")
            for face in super().detect(picture, order, embed)
        ]


def test_doubtful_faces_are_reported_and_not_swapped_unless_asked():
    batch = torch.stack([frame((40, 1), (120, 2)), frame((40, 1)), frame((120, 2))])
    doubt = "face 0 is doubtful (the eyes are crossed)"
    result = swapper(analysis=DoubtfulDetector()).swap_batch(batch, who(9), ALL)
    assert [len(report.swapped) for report in result.reports] == [1, 0, 1]
    assert [report.left_out for report in result.reports] == [[doubt], [], []]
    # Nothing else is there to swap.
    assert [report.problems for report in result.reports] == [[], [doubt], []]
    assert torch.equal(result.images[1], batch[1])
    with pytest.raises(StyleSwapError, match="doubtful.*or swap doubtful ones"):
        swapper(analysis=DoubtfulDetector()).swap(batch[1].permute(2, 0, 1) * 2 - 1, who(9), ALL)
    result = swapper(analysis=DoubtfulDetector(), swap_doubtful=True).swap_batch(batch, who(9), ALL)
    assert [len(report.swapped) for report in result.reports] == [2, 1, 1]
    assert not any(report.left_out or report.problems for report in result.reports)
