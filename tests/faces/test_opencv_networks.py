"""Face analysis through OpenCV: positions, parity with OpenCV's alignment and with the torch twin, damaged files."""

import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from zoo_networks import BOX, FIVE, write_demo_zoo, write_sface, write_yunet, write_zoo

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import recognizer_crop
from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.faces.opencv_networks import SFaceRecognizer, YuNetDetector
from styleswap_core.io.images import from_uint8, to_uint8
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import render

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return write_zoo(tmp_path_factory.mktemp("zoo") / "opencv_zoo")


@pytest.fixture(scope="module")
def demo_zoo(tmp_path_factory):
    return write_demo_zoo(tmp_path_factory.mktemp("demo") / "opencv_zoo")


@pytest.fixture(scope="module")
def analyzer(zoo):
    return load_face_analysis(zoo, det_size=640)


def blocks(height, width, *corners, side=32):
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    for x, y in corners:
        picture[y : y + side, x : x + side] = 255
    return picture


def smooth_picture(seed=0, side=400):
    coarse = np.random.default_rng(seed).integers(0, 256, (side // 20, side // 20, 3), dtype=np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


POINTS = np.float32([[150, 160], [235, 150], [200, 205], [165, 250], [240, 243]])


@pytest.mark.parametrize(("height", "width"), [(640, 640), (360, 640), (640, 352), (200, 640)])
def test_positions_in_pictures_of_any_shape(analyzer, height, width):
    """Five points from left to right as seen in the picture; sides that are no multiples of 32 included."""
    (face,) = analyzer.detect(blocks(height, width, (256, 96)))
    np.testing.assert_allclose(face.points, np.array(FIVE) * 32 + [256, 96] + 0.5, atol=1e-3)
    np.testing.assert_allclose(face.box, np.array(BOX) * 32 + [256, 96, 256, 96] + 0.5, atol=1e-3)
    assert face.score > 0.99 and face.id_embedding.shape == (128,)
    assert np.linalg.norm(face.id_embedding) == pytest.approx(1, abs=1e-5) and face.embedding_norm > 0


def test_positions_in_reduced_pictures_refer_to_the_original(analyzer):
    (face,) = analyzer.detect(blocks(720, 1280, (512, 192), side=64))
    np.testing.assert_allclose(face.points, np.array(FIVE) * 64 + [512, 192] + 0.5, atol=1e-3)
    (face,) = analyzer.detect(blocks(5120, 5120, (2048, 2560), side=256))
    np.testing.assert_allclose(face.points, np.array(FIVE) * 256 + [2048, 2560], atol=5)


def test_two_sizes_and_a_border_as_with_insightface(zoo):
    analyzer, shapes = load_face_analysis(zoo), []
    detector = analyzer._search.detector
    find = detector.detect
    detector.detect = lambda picture, size: (shapes.append((picture.shape[:2], size)), find(picture, size))[1]
    noise = np.random.default_rng(0).integers(0, 160, (400, 1000, 3), dtype=np.uint8)
    assert analyzer.detect(noise) == []
    # Then with a border and turned by three quarters, in one run, and finely at the picture's own size. All of it is
    # detail, for which it is reduced beforehand.
    whole, reduced, looks = (400, 1000), (256, 640), (512, 512)
    assert shapes == [(reduced, 640), (whole, 256), (looks, 512), (whole, 1000)]


def test_faces_are_numbered_and_below_the_threshold_left_out(zoo, analyzer):
    picture = blocks(640, 640, (64, 448), (320, 64), (512, 256))
    assert [face.points[2, 0] // 32 for face in analyzer.detect(picture, "left-right")] == [2, 10, 16]
    dim = picture // 255 * 250  # the logit is 1020 * 250 / 255 - 1000 = 0, the score the root of about one half
    assert [face.score for face in analyzer.detect(dim)] == pytest.approx([0.5**0.5] * 3, abs=0.02)
    assert load_face_analysis(zoo, det_size=640, det_thresh=0.8).detect(dim) == []


def test_embeddings_agree_with_opencvs_own_alignment(zoo, analyzer):
    """`alignCrop` and `feature` of the same face: cosine above 1 - 1e-5, crops equal but for a level of gray."""
    theirs = cv2.FaceRecognizerSF.create(str(zoo / "face_recognition_sface_2021dec.onnx"), "")
    for turn in (0, 25, 140):
        angle = np.deg2rad(turn)
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = ((POINTS - 200) @ rotation.T + 200).astype(np.float32)
        picture = smooth_picture(turn)
        # OpenCV's row of a face: box, points in pixels whose centers are integers, score.
        row = np.concatenate([[100, 100, 200, 200], (points - 0.5).ravel(), [1]]).astype(np.float32)
        aligned = theirs.alignCrop(np.ascontiguousarray(picture[..., ::-1]), row)
        expected = theirs.feature(aligned).ravel().copy()
        cosine = float(analyzer.embed(picture, points) @ expected) / float(np.linalg.norm(expected))
        assert cosine > 1 - 1e-5
        crop = to_uint8(recognizer_crop(from_uint8(picture), torch.from_numpy(points)[None]))[0]
        # OpenCV rounds positions to 1/32 pixel.
        assert np.abs(crop[..., ::-1].astype(int) - aligned).mean() < 0.6


@pytest.mark.parametrize(("height", "width"), [(320, 640), (640, 352), (250, 640), (720, 1280)])
def test_opencv_and_insightface_find_the_same_faces(demo_zoo, height, width):
    """The demo detector, run by both: points to 0.01 px where both give it the same input, otherwise to 0.5 px.

    Sides that are no multiples of the stride are filled up with black, beyond which the network sees zeros.
    """
    heads = to_uint8(render(Identities.from_seeds(range(2)), Attributes.from_seeds(range(2)), size=200).image)
    frame = np.full((height, width, 3), 120, np.uint8)
    for (x, y), head in zip([(10, 20), (130, 400)] if height > width else [(10, 20), (250, 40)], heads, strict=True):
        frame[y : y + 200, x : x + 200] = head
    theirs, ours = (load_face_analysis(pack, det_size=640).detect(frame, "left-right") for pack in (None, demo_zoo))
    assert len(theirs) == len(ours) == 2
    for face, other in zip(ours, theirs, strict=True):
        assert np.abs(face.points - other.points).max() < 0.5 and np.abs(face.box - other.box).max() < 1.0
        assert face.score == pytest.approx(other.score, abs=0.01)
        if not height % 32 and not width % 32:
            assert np.abs(face.points - other.points).max() < 0.01


def test_the_torch_twin_computes_the_same_embedding(zoo, analyzer):
    """Of the differentiable crop, to 1e-3 of the norm; of OpenCV's crop to 1e-5."""
    twin = analyzer.torch_recognizer()
    assert isinstance(twin, TorchRecognizer) and twin.recognizer_id == analyzer.recognizer
    assert analyzer.recognizer.dimension == 128 and analyzer.recognizer.name == "face_recognition_sface_2021dec"
    crop = smooth_picture(3, 112 // 4 * 5)[:112, :112]
    theirs = SFaceRecognizer(zoo / "face_recognition_sface_2021dec.onnx").raw_embedding(crop)
    ours = twin(from_uint8(crop))[0].numpy()
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()
    picture = smooth_picture(4)
    pixels = from_uint8(picture).requires_grad_()
    embedding = torch.nn.functional.normalize(twin(recognizer_crop(pixels, torch.from_numpy(POINTS)[None])))
    assert float(embedding[0].detach() @ torch.from_numpy(analyzer.embed(picture, POINTS))) > 0.9999
    (gradient,) = torch.autograd.grad(embedding[0, 0], pixels)
    assert float(gradient.abs().max()) > 0


def test_a_batch_through_the_twin_is_its_faces_one_by_one(analyzer):
    twin = analyzer.torch_recognizer()
    crops = torch.cat([from_uint8(smooth_picture(seed, 140)[:112, :112]) for seed in range(3)])
    torch.testing.assert_close(twin(crops), torch.cat([twin(crop[None]) for crop in crops]), rtol=1e-4, atol=1e-4)


def test_threads_share_an_analyzer(analyzer):
    pictures = [blocks(640, 640, (256, 96)), blocks(352, 640, (64, 128)), blocks(640, 320, (96, 320))]
    expected = [analyzer.detect(picture)[0].points for picture in pictures]
    wrong = []

    def work(k):
        for _ in range(10):
            found = analyzer.detect(pictures[k])
            if len(found) != 1 or np.abs(found[0].points - expected[k]).max() > 1e-3:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_insightface_and_onnx_runtime_are_not_needed(zoo):
    code = (
        "import sys; sys.modules['insightface'] = sys.modules['onnxruntime'] = None\n"
        "import numpy as np\n"
        "from styleswap_core import load_face_analysis\n"
        "picture = np.zeros((320, 320, 3), np.uint8); picture[64:96, 128:160] = 255\n"
        f"print(len(load_face_analysis({str(zoo)!r}).detect(picture)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "1", done.stderr
    # OpenCV's own log lines would fill ComfyUI's console.
    assert "WARN" not in done.stderr and "ERROR" not in done.stderr


def test_a_folder_without_a_recognizer_detects_only(tmp_path):
    write_yunet(tmp_path / "detector.onnx")
    analyzer = load_face_analysis(tmp_path, det_size=640)
    (face,) = analyzer.detect(blocks(640, 640, (256, 320)))
    assert face.id_embedding is None and not analyzer.recognizer and analyzer.recognizer_path is None
    with pytest.raises(StyleSwapError, match="no recognizer"):
        analyzer.torch_recognizer()


def test_files_in_folders_with_any_name(tmp_path):
    """OpenCV on Windows opens ASCII paths only; others are read before."""
    analyzer = load_face_analysis(write_zoo(tmp_path / "Gesichter äöü 顔"), det_size=640)
    assert len(analyzer.detect(blocks(640, 640, (256, 320)))) == 1


@pytest.mark.parametrize("name", ["face_detection_yunet_2023mar.onnx", "face_recognition_sface_2021dec.onnx"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data[: len(data) // 2], "cannot be loaded by OpenCV"),
        (lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:8f23\nsize 232589\n", "Git LFS"),
        (lambda data: b"", "0 bytes"),
    ],
    ids=["cut off", "placeholder", "empty"],
)
def test_damaged_files_are_explained(tmp_path, name, spoil, words, capfd):
    folder = write_zoo(tmp_path / "zoo")
    (folder / name).write_bytes(spoil((folder / name).read_bytes()))
    with pytest.raises(StyleSwapError, match=words) as caught:
        load_face_analysis(folder)
    assert name in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_networks_that_are_no_detector_or_recognizer_are_explained(tmp_path):
    folder = write_zoo(tmp_path / "zoo")
    yunet, sface = (folder / name for name in sorted(path.name for path in folder.iterdir()))
    with pytest.raises(StyleSwapError, match="cannot be loaded"):
        SFaceRecognizer(yunet)
    with pytest.raises(StyleSwapError, match="cannot be loaded"):
        YuNetDetector(sface, 0.5)


def test_only_the_cpu_runs_them(zoo):
    load_face_analysis(zoo, providers=["CPUExecutionProvider"])
    with pytest.raises(StyleSwapError, match="on the CPU, got the execution provider CUDAExecutionProvider"):
        load_face_analysis(zoo, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])


def test_quantized_variants_come_last(tmp_path):
    write_sface(tmp_path / "a_int8.onnx", seed=1)
    write_sface(tmp_path / "sface.onnx", seed=2)
    write_yunet(tmp_path / "yunet.onnx")
    assert load_face_analysis(tmp_path).recognizer.name == "sface"
