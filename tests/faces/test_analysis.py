"""Face analysis through insightface: positions, detection sizes, second attempts, packs and their errors."""

import shutil
from functools import cache

import numpy as np
import onnx
import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces import face_search
from styleswap_core.faces.alignment import recognizer_crop
from styleswap_core.faces.analysis import adopt_face_analysis, load_face_analysis
from styleswap_core.faces.face_networks import Detection
from styleswap_core.faces.insightface_networks import canvas_for
from styleswap_core.faces.packs import find_pack, list_packs
from styleswap_core.faces.turned_faces import SettledFace
from styleswap_core.io.images import from_uint8, to_uint8
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import render


@pytest.fixture(autouse=True)
def no_close_looks(monkeypatch):
    """Detections are kept as they are: the detectors of these packs see blocks, which have no upright turn."""
    keep = lambda detector, picture, found: [SettledFace(face, 0.0, True) for face in found]  # noqa: E731
    monkeypatch.setattr(face_search, "settle_turns", keep)


@pytest.fixture(scope="module")
def analyzer(tiny_pack):
    return load_face_analysis(tiny_pack, det_size=640)


@cache
def drawn_heads(seeds, size):
    """Heads of people of the face world, (N, size, size, 3) uint8."""
    return to_uint8(render(Identities.from_seeds(seeds), Attributes.from_seeds(seeds), size=size).image)


def blocks(height, width, *corners, side=32):
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    for x, y in corners:
        picture[y : y + side, x : x + side] = 255
    return picture


def test_positions_are_continuous_coordinates(analyzer, box_and_points):
    """insightface measures from the first pixel's center, this package from its corner, half a pixel before."""
    box, five = box_and_points
    (face,) = analyzer.detect(blocks(640, 640, (256, 320)))
    assert face.index == 0 and face.score > 0.99
    np.testing.assert_allclose(face.points, five * 32 + [256, 320] + 0.5, atol=1e-3)
    np.testing.assert_allclose(face.box, box * 32 + [256, 320, 256, 320] + 0.5, atol=1e-3)
    assert face.id_embedding.shape == (512,) and np.linalg.norm(face.id_embedding) == pytest.approx(1, abs=1e-5)


def test_the_norm_of_the_embedding_is_that_of_the_recognizers_output(analyzer):
    picture = np.random.default_rng(0).integers(0, 160, (640, 640, 3), dtype=np.uint8)
    picture[320:352, 256:288] = 255
    (face,) = analyzer.detect(picture)
    crop = recognizer_crop(from_uint8(picture), torch.from_numpy(face.points)[None])
    assert face.embedding_norm == pytest.approx(float(analyzer.torch_recognizer()(crop).norm()), rel=2e-3)
    assert analyzer.detect(picture, embed=False)[0].embedding_norm == 0.0


def test_positions_in_large_pictures_refer_to_the_original(analyzer, box_and_points):
    picture = blocks(5120, 5120, (2048, 2560), side=256)
    (face,) = analyzer.detect(picture)
    # The detector sees an eighth of the size: coarse, but in the right place.
    np.testing.assert_allclose(face.points, box_and_points[1] * 256 + [2048, 2560], atol=5)


@pytest.mark.filterwarnings("ignore:`estimate` is deprecated")
def test_embeddings_agree_with_insightface(tiny_pack, analyzer):
    from insightface.app import FaceAnalysis

    picture = np.random.default_rng(0).integers(0, 160, (640, 640, 3), dtype=np.uint8)
    picture[320:352, 256:288] = 255
    theirs = FaceAnalysis(name=str(tiny_pack), providers=["CPUExecutionProvider"])
    theirs.prepare(ctx_id=-1, det_size=(640, 640))
    expected = theirs.get(np.ascontiguousarray(picture[..., ::-1]))[0].normed_embedding
    (face,) = analyzer.detect(picture)
    assert float(face.id_embedding @ expected) > 1 - 1e-5
    assert float(analyzer.embed(picture, face.points) @ expected) > 1 - 1e-5


def test_torch_recognizer_computes_the_same_embedding(analyzer):
    coarse = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    picture = np.kron(coarse, np.ones((32, 32, 1), dtype=np.uint8))
    points = np.float32([[300, 200], [360, 210], [330, 240], [305, 270], [350, 275]])
    crop = recognizer_crop(from_uint8(picture), torch.from_numpy(points)[None])
    embedding = torch.nn.functional.normalize(analyzer.torch_recognizer()(crop))[0].numpy()
    assert float(embedding @ analyzer.embed(picture, points)) > 0.9999
    assert analyzer.torch_recognizer().sha256 == analyzer.recognizer.sha256 and analyzer.recognizer.name == "rec"


def test_faces_that_fill_the_frame_are_found_by_padding(edge_pack, box_and_points):
    """With a border of 32 px, the left edge of a white picture of 64 px is in the middle of the second block."""
    analyzer = load_face_analysis(edge_pack, det_size=192)
    picture = np.full((64, 64, 3), 255, dtype=np.uint8)
    found = analyzer.detect(picture, "top-bottom")
    # 128 px are scaled to 192, so that a block is 32 / 1.5 px; rows 2 and 3 lie inside the picture. The center of a
    # pixel, which insightface places at integers, is half of a scaled one away.
    expected = [(box_and_points[1] + [1, row]) * 32 / 1.5 - 32 + 0.5 / 1.5 for row in (2, 3)]
    assert len(found) == 2
    np.testing.assert_allclose([face.points for face in found], expected, atol=1e-3)


@pytest.fixture
def canvases(monkeypatch):
    """Function that records the (width, height) of an analyzer's detector inputs."""

    def watch(analyzer):
        detector = analyzer._search.detector
        seen, run = [], detector._run
        monkeypatch.setattr(detector, "_run", lambda shown, canvas: (seen.append(canvas), run(shown, canvas))[1])
        return seen

    return watch


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1920, 1080, (640, 384)),
        (1080, 1920, (384, 640)),
        (1000, 1000, (640, 640)),
        (1280, 640, (640, 320)),
        (2000, 100, (640, 64)),
    ],
)
def test_the_detector_input_has_the_shape_of_the_picture(analyzer, canvases, width, height, expected):
    seen = canvases(analyzer)
    analyzer._search._passes(np.zeros((height, width, 3), np.uint8))
    assert seen == [expected]
    # One session serves all shapes; insightface 0.7.3 knows no other.
    assert not getattr(analyzer._search.detector._network, "resolution_sessions", {})


@pytest.mark.parametrize(("height", "width"), [(360, 640), (640, 352), (160, 640)])
def test_positions_in_pictures_of_any_shape(analyzer, box_and_points, height, width):
    (face,) = analyzer.detect(blocks(height, width, (256, 96)))
    np.testing.assert_allclose(face.points, box_and_points[1] * 32 + [256, 96] + 0.5, atol=1e-3)
    # Scaled by a half; insightface's scaling keeps the first pixel's center.
    (large,) = analyzer.detect(blocks(2 * height, 2 * width, (512, 192), side=64))
    np.testing.assert_allclose(large.points, box_and_points[1] * 64 + [512, 192] + 0.5, atol=1e-3)


@pytest.mark.parametrize(
    ("width", "height"), [(1920, 1080), (1080, 1920), (1307, 731), (999, 1003), (2000, 330), (700, 400), (1280, 720)]
)
def test_detections_are_those_of_insightface(width, height):
    """Which decodes all anchors, and scales x by the factor of y, although whole pixels make them differ."""
    analyzer = load_face_analysis(det_size=640)
    picture = np.random.default_rng(width).integers(90, 150, (height, width, 3), dtype=np.uint8)
    for left, head in zip((30, 350), drawn_heads(range(1, 3), 300), strict=True):
        picture[20:320, left : left + 300] = head
    detector, canvas = analyzer._search.detector, canvas_for(640, width, height)
    network = detector._network
    expected, points = network.detect(np.ascontiguousarray(picture[..., ::-1]), input_size=canvas)
    scale = min(canvas[0] / width, canvas[1] / height)
    stretch = np.array([width / int(width * scale + 1e-9), height / int(height * scale + 1e-9)])
    stretch = stretch / stretch[1]
    assert len(expected) == 2
    for (box, score, five), row, other in zip(detector.detect(picture, 640), expected, points, strict=True):
        np.testing.assert_allclose(box - 0.5, row[:4] * np.tile(stretch, 2), atol=2e-3)
        np.testing.assert_allclose(five - 0.5, other * stretch, atol=2e-3)
        assert score == pytest.approx(float(row[4]), abs=1e-6)


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.999999])
def test_overlapping_and_missing_detections_are_those_of_insightface(threshold):
    analyzer = load_face_analysis(det_size=320, det_thresh=threshold)
    (head,) = drawn_heads(range(3, 4), 320)
    detector = analyzer._search.detector
    expected, points = detector._network.detect(np.ascontiguousarray(head[..., ::-1]), input_size=(320, 320))
    found = detector.detect(head, 320)
    assert len(found) == len(expected) and (len(found) > 0) == (threshold < 0.9)
    for (box, score, five), row, other in zip(found, expected, points, strict=True):
        np.testing.assert_allclose([*(box - 0.5), score], row, atol=1e-3)
        np.testing.assert_allclose(five - 0.5, other, atol=1e-3)


def test_a_detector_with_a_fixed_input_runs_at_that_size(tiny_pack, tmp_path, canvases, box_and_points):
    folder = tmp_path / "fixed"
    shutil.copytree(tiny_pack, folder)
    model = onnx.load(folder / "det.onnx")
    for dimension in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.dim_value = 640
    onnx.save(model, folder / "det.onnx")
    analyzer = load_face_analysis(folder)
    seen = canvases(analyzer)
    (face,) = analyzer.detect(blocks(360, 640, (256, 96)))
    np.testing.assert_allclose(face.points, box_and_points[1] * 32 + [256, 96] + 0.5, atol=1e-3)
    assert set(seen) == {(640, 640)}


def test_the_number_of_threads_reaches_all_sessions(tiny_pack):
    """insightface 0.7.3 drops the options of a session."""
    analyzer = load_face_analysis(tiny_pack, threads=3)
    for network in (analyzer._search.detector._network, analyzer._recognizer._network):
        assert network.session.get_session_options().intra_op_num_threads == 3


def test_an_adopted_analysis_with_one_session_per_shape_runs_on_squares(tiny_pack, canvases):
    from insightface.app import FaceAnalysis

    analyzer = adopt_face_analysis(FaceAnalysis(name=str(tiny_pack), providers=["CPUExecutionProvider"]))
    if not hasattr(analyzer._search.detector._network, "static_shape_sessions"):
        pytest.skip("insightface 0.7.3 has one session for all shapes")
    seen = canvases(analyzer)
    assert len(analyzer.detect(blocks(480, 640, (256, 96)))) == 1
    assert set(seen) == {(640, 640), (256, 256)}


def test_rectangular_inputs_find_the_same_faces_as_squares():
    """For landscape, portrait and panoramic frames, with the demo pack."""
    own, square = load_face_analysis(det_size=640), load_face_analysis(det_size=640)
    square._search.detector.square = True
    heads = to_uint8(render(Identities.from_seeds(range(3)), Attributes.from_seeds(range(3)), size=200).image)
    for (height, width), corners in {
        (360, 640): [(10, 40), (220, 60), (430, 90)],
        (640, 360): [(20, 30), (60, 230), (130, 420)],
        (250, 640): [(10, 10), (220, 20), (430, 15)],
    }.items():
        frame = np.full((height, width, 3), 120, np.uint8)
        for (x, y), head in zip(corners, heads, strict=True):
            frame[y : y + 200, x : x + 200] = head
        found, expected = (analyzer.detect(frame, "left-right", embed=False) for analyzer in (own, square))
        assert len(found) == len(expected) == 3
        for face, other in zip(found, expected, strict=True):
            # Not exactly: beyond its input a network sees zeros, in the square black.
            eye_distance = np.linalg.norm(other.points[1] - other.points[0])
            assert np.abs(face.points - other.points).max() < 0.01 * eye_distance
            assert np.abs(face.box - other.box).max() < 0.02 * eye_distance and abs(face.score - other.score) < 0.01


def test_the_same_face_is_reported_once(tiny_pack):
    found = load_face_analysis(tiny_pack).detect(blocks(640, 640, (256, 320)))
    assert len(found) == 1


def test_no_face_is_an_empty_list(analyzer):
    assert analyzer.detect(np.zeros((100, 80, 3), dtype=np.uint8)) == []


def test_faces_are_numbered_in_the_requested_order(analyzer):
    picture = blocks(640, 640, (64, 448), (320, 64), (512, 256))
    assert [face.points[2, 0] // 32 for face in analyzer.detect(picture, "left-right")] == [2, 10, 16]
    assert [face.points[2, 1] // 32 for face in analyzer.detect(picture, "top-bottom")] == [2, 8, 14]


def test_nothing_is_printed(tiny_pack, capfd):
    load_face_analysis(tiny_pack).detect(blocks(640, 640, (256, 320)))
    assert capfd.readouterr().out == ""


def test_packs_are_found_by_name_nested_or_not(tiny_pack, tmp_path):
    shutil.copytree(tiny_pack, tmp_path / "models" / "plain")
    shutil.copytree(tiny_pack, tmp_path / "models" / "nested" / "nested")
    for name in ("plain", "nested"):
        assert load_face_analysis(name, root=tmp_path).recognizer.name == "rec"


def test_missing_packs_are_not_downloaded_without_permission(tmp_path):
    with pytest.raises(StyleSwapError, match=r"models/buffalo_l.*non-commercial"):
        load_face_analysis("buffalo_l", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_failed_downloads_are_explained(tmp_path, monkeypatch):
    # A proxy without a listener, to simulate a missing network.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(StyleSwapError, match=r"could not download.*buffalo_l") as caught:
        load_face_analysis("buffalo_l", root=tmp_path, allow_download=True)
    assert "\n" not in str(caught.value)


def _without(name):
    return lambda folder: (folder / name).unlink()


def _damaged(folder):
    (folder / "rec.onnx").write_bytes((folder / "rec.onnx").read_bytes()[:1000])


def _emptied(folder):
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_without("det.onnx"), "expected a face detector"),
        (_damaged, "rec.onnx"),
        (_emptied, "found none"),
    ],
)
def test_damaged_packs_are_explained(tiny_pack, tmp_path, spoil, words):
    folder = tmp_path / "pack"
    shutil.copytree(tiny_pack, folder)
    spoil(folder)
    with pytest.raises(StyleSwapError, match=words) as caught:
        load_face_analysis(folder)
    assert "\n" not in str(caught.value)


def test_a_pack_without_a_recognizer_detects_only(tiny_pack, tmp_path):
    folder = tmp_path / "pack"
    shutil.copytree(tiny_pack, folder)
    (folder / "rec.onnx").unlink()
    analyzer = load_face_analysis(folder, det_size=640)
    picture = blocks(640, 640, (256, 320))
    (face,) = analyzer.detect(picture)
    assert face.id_embedding is None and not analyzer.recognizer and analyzer.recognizer_path is None
    for ask in (lambda: analyzer.embed(picture, face.points), analyzer.torch_recognizer):
        with pytest.raises(StyleSwapError, match="recognizer"):
            ask()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"det_thresh": 0.0}, "threshold"),
        ({"det_size": 100}, "divisible by 32"),
        ({"pack": "/nowhere/at/all"}, "folder"),
    ],
)
def test_invalid_arguments_are_refused(tiny_pack, arguments, words):
    with pytest.raises(StyleSwapError, match=words):
        load_face_analysis(**{"pack": tiny_pack, **arguments})


def test_arrays_that_are_not_pictures_are_refused(analyzer):
    with pytest.raises(StyleSwapError, match="uint8"):
        analyzer.detect(np.zeros((64, 64, 3), dtype=np.float32))


def test_detections_mostly_outside_the_picture_are_dropped(analyzer, monkeypatch):
    points = np.float32([[10, 10], [90, 12], [300, 300], [290, 340], [-50, 350]])
    near = Detection(np.float32([0, 0, 99, 99]), 0.9, points * 0.2)
    far = Detection(np.float32([-400, -400, 800, 800]), 0.99, points)
    monkeypatch.setattr(analyzer._search, "_passes", lambda bgr: [far, near])
    (face,) = analyzer.detect(np.zeros((100, 100, 3), np.uint8), embed=False)
    assert face.score == pytest.approx(0.9)


def test_packs_in_several_roots(tiny_pack, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(tiny_pack, second / "models" / "mine")
    shutil.copytree(tiny_pack, second / "models" / "nested" / "nested")
    (first / "models" / "empty").mkdir(parents=True)
    assert list_packs([first, second, tmp_path / "none"]) == ["mine", "nested"]
    assert find_pack("mine", [first, second]) == (second / "models" / "mine").resolve()
    with pytest.raises(StyleSwapError, match="first"):
        find_pack("absent", [first, second])


def test_a_requested_provider_must_work(tiny_pack):
    load_face_analysis(tiny_pack, providers=["CPUExecutionProvider"])
    with pytest.raises(StyleSwapError, match="the execution provider NoSuchExecutionProvider"):
        load_face_analysis(tiny_pack, providers=["NoSuchExecutionProvider", "CPUExecutionProvider"])
