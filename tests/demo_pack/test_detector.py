"""Detector: anchors, losses, export to insightface, scenes, training, evaluation."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from insightface.app import FaceAnalysis
from insightface.model_zoo.scrfd import SCRFD, distance2bbox, distance2kps

from styleswap_core.demo_pack.detector import DetectorConfig, export_detector, train_detector
from styleswap_core.demo_pack.detector.anchors import (
    ANCHOR_SIZES,
    SceneFaces,
    anchor_grid,
    assign,
    decode_boxes,
    encode_boxes,
    encode_points,
)
from styleswap_core.demo_pack.detector.box_geometry import box_sizes, face_boxes
from styleswap_core.demo_pack.detector.corruption import CorruptionConfig, corrupt
from styleswap_core.demo_pack.detector.detector_config import Canvas
from styleswap_core.demo_pack.detector.detector_evaluation import evaluate_detector
from styleswap_core.demo_pack.detector.detector_losses import detector_losses
from styleswap_core.demo_pack.detector.detector_network import Detector, InsightfaceDetector, LevelOutput
from styleswap_core.demo_pack.detector.detector_training import fit_detector
from styleswap_core.demo_pack.detector.pictures import PictureSet
from styleswap_core.demo_pack.detector.scenes import SceneConfig, compose
from styleswap_core.demo_pack.recognizer import export_recognizer
from styleswap_core.demo_pack.recognizer.recognizer_network import ResidualRecognizer
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import template_points
from styleswap_core.synthetic.columns import ColumnPlan, build_columns


def points_of_size(size, center):
    """Five points, in the proportions of the FFHQ template, of a face whose box has this size and center."""
    points = template_points("ffhq", 1)
    box = face_boxes(points[None])[0]
    points = (points - (box[:2] + box[2:]) / 2) / box_sizes(box)
    return points * size + torch.tensor(center)


def faces_of(sizes, canvas, ignored=()):
    points = torch.stack([points_of_size(size, (canvas / 2, canvas / 2)) for size in sizes])[:, None]
    hidden = torch.tensor([[index in ignored] for index in range(len(sizes))])
    return SceneFaces(points, face_boxes(points[:, 0])[:, None], ~hidden, hidden)


def test_face_box_agrees_with_values_computed_by_hand():
    points = template_points("ffhq", 200)[None]
    assert face_boxes(points)[0].tolist() == pytest.approx([43.0, 40.0, 157.0, 186.0], abs=1e-3)
    turned = torch.stack([-points[..., 1], points[..., 0]], -1)  # a quarter turn
    assert face_boxes(turned)[0].tolist() == pytest.approx([-186.0, 43.0, -40.0, 157.0], abs=1e-3)


@pytest.mark.parametrize("size", [24, 30, 40, 50, 77, 100, 150, 190, 250, 330, 480, 640])
def test_every_face_size_has_anchors_of_the_right_stride(size):
    grid = anchor_grid(640, 640)
    face, _ = assign(grid, faces_of([float(size)], 640))
    chosen = face[0] >= 0
    assert chosen.any()
    ratio = size / grid.sizes[chosen]
    assert ((ratio > 0.6) & (ratio < 2.4)).all()
    if size >= 370:
        assert set(grid.strides[chosen].tolist()) == {32.0} and int(chosen.sum()) >= 4


def test_targets_are_the_same_at_every_scale():
    # The same weights serve all strides: a face and canvas twice as large must be the same task at the next stride.
    answers = {}
    for factor, stride in ((1, 8), (2, 16), (4, 32)):
        canvas = 160 * factor
        grid, faces = anchor_grid(canvas, canvas), faces_of([30.0 * factor, 90.0 * factor, 150.0 * factor], canvas)
        # Only coordinates with the center of the first pixel at 0.5 scale; insightface's are half a pixel less.
        faces = SceneFaces(faces.points - 0.5, faces.boxes - 0.5, faces.labeled, faces.ignored)
        mine = grid.strides == stride
        face = assign(grid, faces)[0][:, mine]
        boxes = [
            encode_boxes(grid.centers[mine], grid.sizes[mine], box.expand(int(mine.sum()), 4))
            for box in faces.boxes[:, 0]
        ]
        answers[stride] = face, torch.stack(boxes)
    for stride in (16, 32):
        assert torch.equal(answers[8][0], answers[stride][0])
        assert torch.allclose(answers[8][1], answers[stride][1], atol=1e-4)


def test_every_face_between_grid_points_has_an_anchor():
    grid = anchor_grid(256, 256)
    generator = torch.Generator().manual_seed(2)
    for size in (24.0, 41.0, 52.0, 80.0, 130.0, 200.0):
        centers = 60 + torch.rand(50, 2, generator=generator) * 136
        points = torch.stack([points_of_size(size, tuple(c.tolist())) for c in centers])[:, None]
        labeled = torch.ones(50, 1, dtype=torch.bool)
        face, _ = assign(grid, SceneFaces(points, face_boxes(points[:, 0])[:, None], labeled, ~labeled))
        assert (face >= 0).any(1).all()


def test_cut_off_faces_are_neither_required_nor_penalized():
    face, ignore = assign(anchor_grid(256, 256), faces_of([120.0], 256, ignored=(0,)))
    assert (face < 0).all() and ignore.any() and not ignore.all()


def test_insightface_decodes_targets_to_the_face():
    grid = anchor_grid(256, 192)
    faces = faces_of([90.0], 192)
    chosen = torch.nonzero(assign(grid, faces)[0][0] >= 0)[:, 0]
    centers, sizes, strides = grid.centers[chosen], grid.sizes[chosen], grid.strides[chosen]
    box = faces.boxes[0].expand(len(chosen), 4)
    points = faces.points[0].expand(len(chosen), 5, 2)
    # The exported graph multiplies by size / stride, insightface by the stride.
    to_pixels = sizes[:, None]
    decoded = distance2bbox(centers.numpy(), (encode_boxes(centers, sizes, box) * to_pixels).numpy())
    assert np.abs(decoded - box.numpy()).max() < 1e-3
    decoded = distance2kps(centers.numpy(), (encode_points(centers, sizes, points) * to_pixels).numpy())
    assert np.abs(decoded.reshape(-1, 5, 2) - points.numpy()).max() < 1e-3
    assert {16.0} <= set(strides.tolist())
    assert torch.allclose(decode_boxes(centers, sizes, encode_boxes(centers, sizes, box)), box, atol=1e-3)


def test_anchor_rows_are_ordered_as_insightface_reads_them():
    grid = anchor_grid(64, 96)
    assert len(grid.centers) == (8 * 12 + 4 * 6 + 2 * 3) * 2
    assert grid.centers[:5].tolist() == [[0, 0], [0, 0], [8, 0], [8, 0], [16, 0]]
    assert grid.sizes[:2].tolist() == list(ANCHOR_SIZES[8])
    assert grid.centers[-1].tolist() == [64 + 1.5, 32 + 1.5] and grid.strides[-1] == 32


def perfect_levels(faces, canvas):
    grid = anchor_grid(canvas, canvas)
    face, _ = assign(grid, faces)
    count = len(grid.centers)
    rows = {
        "scores": torch.full((1, count, 1), -20.0),
        "boxes": torch.zeros(1, count, 4),
        "points": torch.zeros(1, count, 10),
    }
    chosen = torch.nonzero(face[0] >= 0)[:, 0]
    rows["scores"][0, chosen] = 20.0
    rows["boxes"][0, chosen] = encode_boxes(
        grid.centers[chosen], grid.sizes[chosen], faces.boxes[0].expand(len(chosen), 4)
    )
    rows["points"][0, chosen] = encode_points(
        grid.centers[chosen], grid.sizes[chosen], faces.points[0].expand(len(chosen), 5, 2)
    )
    levels, first = [], 0
    for stride in (8, 16, 32):
        side = canvas // stride
        last = first + side * side * 2
        maps = [rows[name][:, first:last].reshape(1, side, side, -1).permute(0, 3, 1, 2) for name in rows]
        levels.append(LevelOutput(*maps))
        first = last
    return levels, grid


def test_losses_vanish_only_for_perfect_outputs():
    faces = faces_of([70.0], 128)
    levels, grid = perfect_levels(faces, 128)
    losses = detector_losses(levels, grid, faces)
    assert float(losses.score) < 1e-4 and float(losses.box) < 1e-4 and float(losses.points) < 1e-5
    # Each point is off by 7 px in x and y, a tenth of the face's size.
    moved = SceneFaces(faces.points + 7.0, faces.boxes, faces.labeled, faces.ignored)
    assert float(detector_losses(levels, grid, moved).points) == pytest.approx(0.1, rel=1e-3)
    blind = [LevelOutput(level.scores - 40, level.boxes * 0, level.points) for level in levels]
    losses = detector_losses(blind, grid, faces)
    assert float(losses.box) > 0.9
    nobody = SceneFaces(faces.points, faces.boxes, ~faces.labeled, faces.ignored)
    losses = detector_losses(levels, grid, nobody)
    assert float(losses.box) == 0 and float(losses.points) == 0 and float(losses.score) > 1


def randomized_detector():
    torch.manual_seed(4)
    detector = Detector()
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
    return detector.eval()


def test_exported_detector_equals_torch(tmp_path):
    detector = randomized_detector()
    parameters = sum(parameter.numel() for parameter in detector.parameters())
    assert 1e5 < parameters < 4e5
    path = tmp_path / "det.onnx"
    export_detector(path, detector)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for height, width in ((128, 128), (96, 160)):
        picture = torch.rand(1, 3, height, width) * 2 - 1
        outputs = session.run(None, {session.get_inputs()[0].name: picture.numpy()})
        with torch.no_grad():
            expected = InsightfaceDetector(detector)(picture)
        assert len(outputs) == 9
        for index, (output, tensor) in enumerate(zip(outputs, expected, strict=True)):
            stride, columns = (8, 16, 32)[index % 3], (1, 4, 10)[index // 3]
            assert output.shape == (height // stride * (width // stride) * 2, columns)
            assert np.abs(output - tensor.numpy()).max() <= 1e-4 * max(1.0, float(tensor.abs().max()))
    names = [node.name for node in onnx.load(str(path)).graph.node]
    assert not any(name.startswith(("Sub", "Mul", "_minus", "_mul")) for name in names)


def test_insightface_decodes_a_hand_set_detector(tmp_path):
    detector = Detector()
    for convolution in (detector.scores, detector.boxes, detector.points):
        torch.nn.init.zeros_(convolution.weight)
        torch.nn.init.zeros_(convolution.bias)
    # Only the second anchor detects, at distances of 0.05, 0.1, 0.15, 0.2 of its size, with points at 0.01 * index.
    detector.scores.bias.data[:] = torch.tensor([-10.0, 3.0])
    detector.boxes.bias.data[4:] = torch.tensor([0.05, 0.1, 0.15, 0.2])
    detector.points.bias.data[10:] = torch.arange(10) * 0.01
    path = tmp_path / "det.onnx"
    export_detector(path, detector)
    scrfd = SCRFD(str(path))
    scrfd.prepare(-1, nms_thresh=1.0, input_size=(64, 96))
    boxes, points = scrfd.detect(np.zeros((96, 64, 3), dtype=np.uint8))
    assert len(boxes) == 8 * 12 + 4 * 6 + 2 * 3
    assert boxes[:, 4] == pytest.approx(1 / (1 + np.exp(-3.0)), abs=1e-4)
    for _stride, size, offset, count in ((8, 80, 0.0, 96), (16, 160, 0.5, 24), (32, 320, 1.5, 6)):
        mine = np.isclose(boxes[:, 2] - boxes[:, 0], 0.2 * size, atol=1e-2)
        assert mine.sum() == count
        first = np.flatnonzero(mine)[np.lexsort((boxes[mine, 0], boxes[mine, 1]))[0]]
        expected = np.array([-0.05, -0.1, 0.15, 0.2]) * size + offset
        assert boxes[first, :4] == pytest.approx(expected, abs=1e-2)
        assert points[first].reshape(-1) == pytest.approx(np.arange(10) * 0.01 * size + offset, abs=1e-2)


def test_insightface_loads_the_pack_unmodified(tmp_path):
    export_detector(tmp_path / "det_demo.onnx", randomized_detector())
    export_recognizer(tmp_path / "arcface_demo.onnx", ResidualRecognizer())
    analysis = FaceAnalysis(name=str(tmp_path), providers=["CPUExecutionProvider"])
    assert set(analysis.models) == {"detection", "recognition"}
    assert analysis.models["recognition"].input_mean == 127.5 and analysis.models["recognition"].input_std == 127.5
    assert analysis.models["detection"].use_kps and analysis.models["detection"]._num_anchors == 2
    # At this threshold untrained networks detect something, with boxes, points and embeddings.
    analysis.prepare(ctx_id=-1, det_thresh=0.0)
    picture = np.random.default_rng(0).integers(0, 255, (150, 200, 3), dtype=np.uint8)
    faces = analysis.get(picture, max_num=2)
    assert faces and all(face.kps.shape == (5, 2) and face.embedding.shape == (512,) for face in faces)
    assert set(analysis.models["detection"].resolution_session_input_sizes) == {(128, 128), (640, 640)}


def dotted_pictures(count=12, size=96):
    """Gray pictures with a disk at each of the five points, in five colors."""
    colors = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]], dtype=np.float32)
    y, x = np.mgrid[:size, :size] + 0.5
    images, points = [], []
    for index in range(count):
        here = points_of_size(size * 0.5, (size * 0.5 + index % 3, size * 0.5 - index % 4)).numpy()
        image = np.full((size, size, 3), 128, dtype=np.float32)
        for (px, py), color in zip(here, colors, strict=True):
            image[np.hypot(x - px, y - py) < size * 0.035] = color
        images.append(image.astype(np.uint8).transpose(2, 0, 1))
        points.append(here)
    return PictureSet(np.stack(images), np.stack(points).astype(np.float32)), colors


def test_faces_of_scenes_are_where_their_points_are():
    pictures, colors = dotted_pictures()
    generator = torch.Generator().manual_seed(0)
    images, faces = compose(pictures, SceneConfig(), 40, 192, generator)
    assert images.shape == (40, 3, 192, 192) and images.min() >= 0 and images.max() <= 255
    checked = 0
    for scene, face in torch.nonzero(faces.labeled).tolist():
        if float(box_sizes(faces.boxes[scene, face])) < 60:
            continue
        for point, color in zip(faces.points[scene, face], colors, strict=True):
            x, y = point.round().long().tolist()  # insightface's coordinates are pixel indices
            assert np.abs(images[scene, :, y, x].numpy() - color).max() < 60
            checked += 1
    assert checked > 60


def test_scenes_are_reproducible_and_varied():
    pictures, _ = dotted_pictures()
    first = compose(pictures, SceneConfig(), 64, 128, torch.Generator().manual_seed(1))
    second = compose(pictures, SceneConfig(), 64, 128, torch.Generator().manual_seed(1))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1].points, second[1].points)
    faces = first[1]
    count = (faces.labeled | faces.ignored).sum(1)
    assert (count == 0).any() and (count == 1).any() and (count > 1).any()
    sizes = box_sizes(faces.boxes[faces.labeled])
    assert sizes.min() < 45 and sizes.max() > 90
    assert not (faces.labeled & faces.ignored).any()
    inside = (faces.points[faces.labeled] > -1) & (faces.points[faces.labeled] < 128)
    assert inside.all()


def test_decoys_lose_their_face():
    pictures, colors = dotted_pictures()
    config = SceneConfig(face_counts=(1.0, 0.0, 0.0, 0.0), decoy_share=1.0, letterbox_share=0.0, texture_share=1.0)
    images, faces = compose(pictures, config, 24, 128, torch.Generator().manual_seed(3))
    assert not faces.labeled.any() and not faces.ignored.any()
    for color in torch.from_numpy(colors):
        assert (images - color[None, :, None, None]).abs().amax(1).min() > 60


def test_corruption_is_reproducible_and_keeps_the_range():
    images = torch.rand(12, 3, 64, 64) * 255
    first = corrupt(CorruptionConfig(jpeg_share=1.0), images.clone(), torch.Generator().manual_seed(2))
    second = corrupt(CorruptionConfig(jpeg_share=1.0), images.clone(), torch.Generator().manual_seed(2))
    assert torch.equal(first, second) and first.min() >= 0 and first.max() <= 255
    nothing = CorruptionConfig(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, jpeg_share=0.0)
    assert torch.allclose(corrupt(nothing, images.clone(), torch.Generator()), images)


def test_short_training_learns_and_reports(tmp_path):
    pictures, _ = dotted_pictures()
    config = DetectorConfig(
        output=tmp_path / "det.onnx",
        canvases=(Canvas(96, 8, 0.5), Canvas(128, 6, 0.5)),
        steps=30,
        precision="fp32",
        evaluation_canvases=(128,),
        evaluation_scenes=8,
    )
    report = fit_detector(config, [pictures], pictures)
    short = fit_detector(DetectorConfig(**{**vars(config), "steps": 4, "output": tmp_path / "short.onnx"}), [pictures])
    assert report.points_loss < 0.7 * short.points_loss and report.box_loss < short.box_loss
    assert report.validation[0].canvas == 128 and report.validation[0].faces > 0
    saved = json.loads((tmp_path / "det.json").read_text())
    assert saved["report"]["sha256"] == report.sha256 and str(tmp_path) not in json.dumps(saved)


def test_untrained_detector_finds_nothing(tmp_path):
    pictures, _ = dotted_pictures()
    export_detector(tmp_path / "det.onnx", Detector())
    figures = evaluate_detector(tmp_path / "det.onnx", pictures, 128, scenes=12)
    assert figures.recall == 0 and figures.false_per_scene == 0 and figures.faces > 3


def test_pictures_are_read_from_full_frame_columns(tmp_path):
    build_columns(tmp_path / "frames", ColumnPlan(columns=2, members=1, size=64, identities=2), align=None)
    pictures = PictureSet.open(tmp_path / "frames")
    assert len(pictures) == 2 and pictures.size == 64
    assert [level.shape[-1] for level in pictures.levels] == [64, 32, 16]
    assert ((pictures.points > 8) & (pictures.points < 56)).all()
    with pytest.raises(StyleSwapError, match="elsewhere"):
        train_detector(DetectorConfig(tmp_path / "det.onnx", pictures=(tmp_path / "elsewhere",)))
