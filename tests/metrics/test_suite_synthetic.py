"""The synthetic suite as a whole, with few people: its cases, and known figures of floor and ceiling."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import estimate_similarity, template_points, transform_points
from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.metrics.attribute_regressors import AttributeRegressor, RegressorConfig
from styleswap_core.metrics.evaluated_swappers import aligned_swapper
from styleswap_core.metrics.evaluation_sheet import SWAP_COLUMNS
from styleswap_core.metrics.render_workers import RenderWorkers
from styleswap_core.metrics.suite_synthetic import (
    SyntheticEvaluators,
    SyntheticSuite,
    build_gallery,
    evaluate_synthetic,
)
from styleswap_core.metrics.synthetic_cases import crop_pose, draw_cases, render_cases
from styleswap_core.model.generator import Generator
from styleswap_core.model.generator_config import GeneratorConfig
from styleswap_core.swappers.styleswap_network import StyleSwapNetwork
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import five_points

TINY = SyntheticSuite(identities=2, settings=2, seed=7, size=32, batch=3, sheet_rows=1)


def write_recognizer(path, seed):
    """Write a random recognizer with the inputs and outputs of ArcFace: two convolutions and a linear layer."""
    random = np.random.default_rng(seed)

    def weight(name, *shape):
        return numpy_helper.from_array(random.normal(0, shape[-1] ** -0.5, shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["data", "w1"], ["c1"], kernel_shape=[7, 7], strides=[7, 7], name="conv1"),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], kernel_shape=[4, 4], strides=[4, 4], name="conv2"),
        helper.make_node("Flatten", ["c2"], ["flat"], axis=1, name="flatten"),
        helper.make_node("Gemm", ["flat", "w3"], ["embedding"], transB=1, name="gemm"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", 3, 112, 112])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 512])],
        [weight("w1", 8, 3, 7, 7), weight("w2", 16, 8, 4, 4), weight("w3", 512, 256)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.fixture(scope="module")
def evaluators(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recognizers")
    torch.manual_seed(0)
    regressor = AttributeRegressor(RegressorConfig(size=32)).eval()
    return SyntheticEvaluators(
        swapper=copy_target,
        source_recognizer=TorchRecognizer(write_recognizer(folder / "first.onnx", 1)),
        recognizer=TorchRecognizer(write_recognizer(folder / "second.onnx", 2)),
        regressor=regressor,
        device=torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def gallery(evaluators):
    """The people of TINY."""
    return build_gallery(evaluators, draw_cases(2, 2, seed=7), 3, RenderWorkers())


def copy_target(batch, identities):
    return batch.target, torch.zeros_like(batch.target_face), torch.ones(len(identities), dtype=torch.bool)


def exact_swap(batch, identities):
    union = torch.maximum(batch.target_face, batch.exact_face)
    return batch.exact, union, torch.ones(len(identities), dtype=torch.bool)


def test_nobody_is_swapped_onto_themselves_and_all_seeds_are_held_out():
    cases = draw_cases(5, 3, seed=1)
    assert len(cases) == 15
    assert not (cases.source == cases.target).any()
    # Everybody is the target of one case per setting.
    assert all(sorted(column.tolist()) == list(range(5)) for column in cases.target.view(5, 3).T)
    assert all(seed in IDENTITY_SEEDS["test"] for seed in cases.identity_seeds)
    drawn = cases.photo_seeds + cases.other_photo_seeds + cases.attribute_seeds
    assert len(set(drawn)) == len(drawn) and all(seed in ATTRIBUTE_SEEDS["test"] for seed in drawn)


def test_the_seed_determines_the_cases():
    first, again, other = draw_cases(4, 2, seed=1), draw_cases(4, 2, seed=1), draw_cases(4, 2, seed=2)
    assert first.attribute_seeds == again.attribute_seeds and torch.equal(first.target, again.target)
    assert first.identity_seeds != other.identity_seeds


@pytest.mark.parametrize("counts", [(1, 8, 0), (2, 0, 0), (10**9, 8, 0), (2, 1, -1)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(StyleSwapError, match="change --identities"):
        draw_cases(*counts)


def test_points_of_the_target_are_relative_to_the_window():
    batch = render_cases(draw_cases(2, 1, seed=3), torch.arange(2), 32, "ffhq", torch.device("cpu"))
    assert batch.target.shape == batch.exact.shape == (2, 3, 32, 32)
    # A similarity transform does not map all five points onto the template, but it does map their center.
    center = template_points("ffhq", 32).mean(0).expand(2, 2)
    torch.testing.assert_close(batch.target_points.mean(1), center, atol=1e-3, rtol=0)


def test_roll_relative_to_the_crop():
    people = Identities.from_seeds([IDENTITY_SEEDS["test"][0]])
    upright, tilted = (Attributes.from_seeds([3], yaw=0.0, pitch=0.0, roll=roll) for roll in (0.0, 12.0))
    template = five_points(people, upright, 100)
    window = estimate_similarity(five_points(people, tilted, 100), template)
    pose = crop_pose(tilted.pose, window)
    assert pose[0].tolist() == pytest.approx([0, 0, 0], abs=0.3)
    torch.testing.assert_close(transform_points(window, five_points(people, tilted, 100)), template, atol=0.5, rtol=0)


def test_copies_of_the_target_score_the_floor(evaluators, gallery):
    figures = evaluate_synthetic(evaluators, replace(TINY, sheet_rows=0), gallery=gallery).figures
    for key in ("face_psnr", "psnr", "ssim", "sharpness_ratio"):
        assert figures[key] == pytest.approx(figures[f"{key}_floor"], abs=1e-6), key
    assert figures["outside_l1"] == figures["pose_error_deg"] == figures["gaze_error_deg"] == 0
    assert figures["face_psnr_gain"] == 0
    assert figures["mask_iou"] == 0
    # Results are cropped at the points of the exact swap, targets at their own.
    assert 0.8 < figures["id_cos_target"] < 1 and figures["id_cos_target_floor"] == pytest.approx(1, abs=1e-5)


def test_exact_swaps_score_the_ceiling(evaluators, gallery):
    evaluation = evaluate_synthetic(replace(evaluators, swapper=exact_swap), TINY, gallery=gallery)
    figures = evaluation.figures
    for key in [key for key in figures if key.endswith("_ceiling")]:
        assert figures[key.removesuffix("_ceiling")] == pytest.approx(figures[key], abs=1e-6), key
    assert figures["id_cos_other_photo_ratio"] == 1
    assert figures["sharpness_ratio"] == pytest.approx(1) and figures["ssim"] == pytest.approx(1)
    assert figures["mask_iou"] == 1
    assert figures["face_psnr"] == figures["psnr"] == 100
    assert [row.label.split("\n")[0] for row in evaluation.rows] == ["best", "median", "worst"]
    assert [len(row.pictures()) for row in evaluation.rows] == [len(SWAP_COLUMNS)] * 3


@pytest.mark.usefixtures("forked_workers")
def test_figures_are_reproducible(evaluators, gallery):
    torch.manual_seed(1)
    channels = {4: 8, 8: 8, 16: 8, 32: 8}
    generator = Generator(GeneratorConfig(size=32, w_dim=16, mapping_layers=1, channels=channels)).eval()
    swapping = replace(evaluators, swapper=aligned_swapper(StyleSwapNetwork(generator, baked=False)))
    # Rendered in this process, and then in two others.
    first, again = (
        evaluate_synthetic(replace(swapping, workers=workers), replace(TINY, sheet_rows=0), gallery=people).figures
        for workers, people in ((0, gallery), (2, None))
    )
    assert first == pytest.approx(again, rel=1e-4, abs=1e-4)
    assert all(np.isfinite(value) for value in first.values())
    assert first["face_psnr"] < 30 and 0 <= first["mask_iou"] <= 1


def test_whole_pictures(evaluators):
    figures = evaluate_synthetic(
        replace(evaluators, swapper=exact_swap), replace(TINY, settings=1, size=None, sheet_rows=0)
    ).figures
    assert figures["mask_iou"] == 1 and figures["detector_recall"] == 1


def test_identities_have_what_any_network_may_need(evaluators):
    seen = []

    def keep(batch, identities):
        seen.extend(identities)
        return exact_swap(batch, identities)

    suite = replace(TINY, settings=1, sheet_rows=0)
    evaluate_synthetic(replace(evaluators, swapper=keep), suite)
    assert all(identity.portrait is None for identity in seen)
    evaluate_synthetic(replace(evaluators, swapper=keep, portraits=True), suite)
    plain, full = seen[0], seen[2]
    assert torch.equal(plain.id_embedding, full.id_embedding) and full.recognizer == plain.recognizer
    assert full.embedding_norm > 0 and full.portrait.shape == (3, 512, 512) and full.portrait.float().std() > 10
