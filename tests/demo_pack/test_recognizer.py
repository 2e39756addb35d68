"""Recognizer and judge: export to insightface, crops, augmentation, losses, verification, training."""

import json
import math
from dataclasses import replace

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from insightface.utils import face_align

from styleswap_core.demo_pack.recognizer import (
    RecognizerConfig,
    export_recognizer,
    judge_config,
    recognizer_window,
    train_recognizer,
)
from styleswap_core.demo_pack.recognizer.margin_loss import IdentityRegression, MarginLoss
from styleswap_core.demo_pack.recognizer.recognizer_augmentation import CropAugmentation, augment, jitter_matrices
from styleswap_core.demo_pack.recognizer.recognizer_data import CropSource, RecognizerData, column_source
from styleswap_core.demo_pack.recognizer.recognizer_network import PlainRecognizer, ResidualRecognizer
from styleswap_core.demo_pack.recognizer.recognizer_training import fit_recognizer
from styleswap_core.demo_pack.recognizer.verification import explained_variance, verification
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import estimate_similarity, template_points
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.synthetic.columns import ColumnPlan, build_columns

# Operators of insightface's recognizers, which the loader of the torch twin supports.
OPERATORS = {"Conv", "PRelu", "Relu", "Add", "Gemm", "MatMul", "Flatten", "BatchNormalization", "GlobalAveragePool"}


def randomized(network):
    """Network with random norms and slopes; initial ones are too simple to reveal a wrong export."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            count = module.num_features
            module.weight.data = 0.5 + torch.rand(count, generator=generator)
            module.bias.data = torch.randn(count, generator=generator) * 0.2
            module.running_mean = torch.randn(count, generator=generator) * 0.2
            module.running_var = 0.5 + torch.rand(count, generator=generator)
        if isinstance(module, torch.nn.PReLU):
            module.weight.data = torch.rand(module.num_parameters, generator=generator)
    return network.eval()


@pytest.mark.parametrize("kind", [ResidualRecognizer, PlainRecognizer])
def test_exported_recognizer_equals_torch(tmp_path, kind):
    network = randomized(kind())
    path = tmp_path / "arcface.onnx"
    export_recognizer(path, network)
    crops = torch.rand(3, 3, 112, 112, generator=torch.Generator().manual_seed(1)) * 2 - 1
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {session.get_inputs()[0].name: crops.numpy()})
    expected = network(crops).detach().numpy()
    assert output.shape == (3, 512)
    assert np.abs(output - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())
    assert 2.2e6 < path.stat().st_size < 4.5e6
    graph = onnx.load(str(path)).graph
    assert {node.op_type for node in graph.node} <= OPERATORS
    assert not any(node.name.startswith(("Sub", "Mul", "_minus", "_mul")) for node in graph.node)


@pytest.mark.parametrize("kind", [ResidualRecognizer, PlainRecognizer])
def test_torch_twin_loads_the_export(tmp_path, kind):
    network = randomized(kind())
    export_recognizer(tmp_path / "arcface.onnx", network)
    crops = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(1)) * 2 - 1
    twin = TorchRecognizer(tmp_path / "arcface.onnx")(crops)
    assert torch.allclose(twin, network(crops), rtol=1e-4, atol=1e-4)


def test_export_leaves_the_network_in_its_mode(tmp_path):
    network = ResidualRecognizer().train()
    export_recognizer(tmp_path / "a.onnx", network)
    assert network.training


def test_crops_from_larger_pictures_equal_insightface():
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8), (160, 160), interpolation=cv2.INTER_CUBIC)
    points = np.array([[60.3, 70.1], [101.0, 66.2], [80.4, 92.0], [66.2, 112.7], [99.1, 110.3]], dtype=np.float32)
    data = RecognizerData(
        [CropSource(np.stack([picture.transpose(2, 0, 1)] * 2), np.array([4, 9]), np.stack([points] * 2))]
    )
    crops, labels = data.crops(np.array([1]))
    # insightface has the center of the first pixel at 0.
    expected = face_align.norm_crop(picture, points - 0.5).astype(np.float32)
    ours = (crops[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert labels.tolist() == [1]
    # OpenCV rounds positions to 1/32 px.
    assert np.abs(ours - expected).mean() < 0.5
    assert np.abs(ours - expected).max() < 6


def test_recognizer_window_places_points_on_the_template():
    points = template_points("ffhq", 256)[None] + torch.tensor([3.0, -5.0])
    window = recognizer_window(points)
    moved = points @ window[:, :, :2].transpose(1, 2) + window[:, None, :, 2]
    best = estimate_similarity(points, template_points("arcface_112", 112))
    without_shift = points @ best[:, :, :2].transpose(1, 2) + best[:, None, :, 2]
    assert torch.allclose(moved, without_shift + 0.5, atol=1e-3)


def patterned_source(identities, pictures, seed=0):
    """Pictures of people who are coarse color patterns, with a little noise."""
    rng = np.random.default_rng(seed)
    images, seeds = [], []
    for identity in identities:
        coarse = np.random.default_rng(identity).integers(0, 255, (5, 5, 3)).astype(np.float32)
        pattern = cv2.resize(coarse, (112, 112))
        for _ in range(pictures):
            noisy = pattern + rng.normal(0, 12, pattern.shape)
            images.append(noisy.clip(0, 255).astype(np.uint8).transpose(2, 0, 1))
            seeds.append(identity)
    return CropSource(np.stack(images), np.array(seeds, dtype=np.int64))


def test_identity_range_and_labels():
    data = RecognizerData([patterned_source([7, 3], 2), patterned_source([3, 11], 1)], (3, 11))
    assert data.identity_seeds.tolist() == [3, 7]
    assert data.labels.tolist() == [1, 1, 0, 0, 0]
    with pytest.raises(StyleSwapError, match="two identities"):
        RecognizerData([patterned_source([7, 3], 1)], (0, 5))


def test_batches_contain_all_pictures_before_repeating_any():
    data = RecognizerData([patterned_source([1, 2, 3], 3)])
    drawn = np.concatenate(list(data.batches(6, 3, np.random.default_rng(0))))
    assert sorted(drawn[:9]) == list(range(9)) and sorted(drawn[9:]) == list(range(9))


def test_wrong_arrays_are_refused():
    with pytest.raises(StyleSwapError, match="uint8"):
        CropSource(np.zeros((2, 3, 112, 112), dtype=np.float32), np.zeros(2, dtype=np.int64))
    with pytest.raises(StyleSwapError, match="points"):
        CropSource(np.zeros((2, 3, 96, 96), dtype=np.uint8), np.zeros(2, dtype=np.int64))


def test_augmentation_is_reproducible_keeps_the_range_and_does_not_mirror():
    crops = torch.rand(16, 3, 112, 112) * 2 - 1
    config = CropAugmentation()
    first = augment(config, crops.clone(), torch.Generator().manual_seed(5))
    second = augment(config, crops.clone(), torch.Generator().manual_seed(5))
    assert torch.equal(first, second)
    assert first.abs().max() <= 1 and not torch.equal(first, crops)
    matrices = jitter_matrices(config, 200, torch.Generator().manual_seed(5))
    assert (torch.linalg.det(matrices[:, :, :2]) > 0).all()
    mirrored = jitter_matrices(CropAugmentation(flip=True), 200, torch.Generator().manual_seed(5))
    assert 60 < int((torch.linalg.det(mirrored[:, :, :2]) < 0).sum()) < 140


def test_mirroring_maps_the_crop_onto_itself():
    config = CropAugmentation(jitter_share=0.0, flip=True)
    matrices = jitter_matrices(config, 20, torch.Generator().manual_seed(1))
    corner = torch.tensor([0.0, 0.0, 1.0])
    reached = {tuple(point) for point in (matrices @ corner).tolist()}
    assert reached == {(0.0, 0.0), (112.0, 0.0)}


@pytest.mark.parametrize(
    ("kind", "shifted"), [("arcface", math.cos(math.pi / 3 + 0.4)), ("cosface", math.cos(math.pi / 3) - 0.4)]
)
def test_margin_loss_agrees_with_values_computed_by_hand(kind, shifted):
    loss = MarginLoss(2, kind, margin=0.4, scale=10.0)
    loss.centers.data = torch.zeros(2, 512)
    loss.centers.data[0, 0], loss.centers.data[1, 1] = 2.0, 3.0
    embedding = torch.zeros(1, 512)
    # 60 degrees from the center of its identity, 30 from the other center.
    embedding[0, 0], embedding[0, 1] = math.cos(math.pi / 3), math.sin(math.pi / 3)
    right, wrong = 10 * shifted, 10 * math.cos(math.pi / 6)
    expected = math.log(math.exp(right) + math.exp(wrong)) - right
    assert loss(embedding, torch.tensor([0])).item() == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="softmax"):
        MarginLoss(2, "softmax", 0.1, 10.0)


def test_identity_regression_loss_of_the_mean_is_one():
    regression = IdentityRegression(6)
    torch.nn.init.zeros_(regression.read.weight)
    torch.nn.init.zeros_(regression.read.bias)
    values = torch.rand(20000, 6) * 2 - 1
    assert regression.loss(torch.zeros(20000, 512), values).item() == pytest.approx(1.0, abs=0.03)


def test_verification_of_perfect_and_random_embeddings():
    labels = torch.arange(40).repeat_interleave(5)
    perfect = F.normalize(F.one_hot(labels, 512).float(), dim=1)
    figures = verification(perfect, labels)
    assert figures.accuracy == 1.0 and figures.tar_at_far_1e3 == 1.0 and figures.impostor_mean == 0.0
    blind = F.normalize(torch.randn(200, 512, generator=torch.Generator().manual_seed(0)), dim=1)
    figures = verification(blind, labels)
    assert figures.accuracy < 0.6 and figures.tar_at_far_1e3 < 0.05
    with pytest.raises(StyleSwapError, match="two identities"):
        verification(perfect[:5], labels[:5])


def test_explained_variance_agrees_with_values_computed_by_hand():
    values = torch.tensor([[1.0, 2.0], [-1.0, 4.0]])
    predicted = torch.tensor([[1.0, 3.0], [-1.0, 3.0]])
    assert explained_variance(predicted, values).tolist() == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize("judge", [False, True])
def test_short_training_learns_and_reports(tmp_path, judge):
    settings = {"steps": 24, "batch": 16, "precision": "fp32", "learning_rate": 2e-3}
    make = judge_config if judge else RecognizerConfig
    config = replace(make(tmp_path / "arcface.onnx"), **settings)
    report = fit_recognizer(
        config, RecognizerData([patterned_source(range(8), 4)]), RecognizerData([patterned_source(range(100, 112), 4)])
    )
    assert report.identities == 8 and report.pictures == 32
    assert report.verification_accuracy > 0.85
    assert (report.identity_r2 is None) == judge
    saved = json.loads((tmp_path / "arcface.json").read_text())
    assert saved["report"]["sha256"] == report.sha256
    assert saved["config"]["loss"] == ("cosface" if judge else "arcface")
    assert str(tmp_path) not in json.dumps(saved)


@pytest.mark.parametrize("size", [112, 128])
def test_columns_of_the_face_world_are_read(tmp_path, size):
    plan = ColumnPlan(columns=2, members=2, size=size, identities=4)
    build_columns(tmp_path / "columns", plan, align=recognizer_window)
    source = column_source(tmp_path / "columns")
    assert (source.points is None) == (size == 112)
    data = RecognizerData([source])
    crops, labels = data.crops(np.arange(4))
    assert crops.shape == (4, 3, 112, 112) and crops.abs().max() <= 1.001
    seeds = torch.from_numpy(data.identity_seeds)[labels]
    assert seeds.tolist() == plan.identity_seeds().reshape(-1).tolist()


def test_missing_columns_are_reported(tmp_path):
    with pytest.raises(StyleSwapError, match="nothing-here"):
        train_recognizer(RecognizerConfig(tmp_path / "judge.onnx", columns=(tmp_path / "nothing-here",)))
