"""Toy inputs of the training tests: a source of synthetic pictures, a small recognizer, and a small configuration."""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from styleswap_core.faces.alignment import template_points
from styleswap_core.losses import LossWeights
from styleswap_core.training.batches import Batch
from styleswap_core.training.run_folder import RunFolder
from styleswap_core.training.training_config import TrainingConfig


class ToySource:
    """Source of disks as faces: the disk's color is the identity, the background the attributes."""

    def __init__(self, size: int = 32, batch: int = 4, exact_swap: bool = True, poison_step: int = -1):
        self.size, self.batch_size, self.exact_swap, self.poison_step = size, batch, exact_swap, poison_step

    def batch(self, step: int, source_crop: bool = False) -> Batch:
        random = torch.Generator().manual_seed(step % (1 << 31))
        count, size = self.batch_size, self.size
        background = F.interpolate(torch.rand(count, 3, 4, 4, generator=random) * 2 - 1, (size, size), mode="bilinear")
        colors = torch.rand(2, count, 3, 1, 1, generator=random) * 2 - 1
        same = torch.rand(count, generator=random) < 0.3
        colors[1] = torch.where(same[:, None, None, None], colors[0], colors[1])
        axis = torch.linspace(-1, 1, size)
        mask = (axis[:, None].square() + axis[None].square() < 0.4).float().expand(count, 1, size, size)
        target, truth = (torch.lerp(background, color.expand(count, 3, size, size), mask) for color in colors)
        if step == self.poison_step:
            target = target * float("nan")
        id_embedding = F.normalize(colors[1].flatten(1) @ torch.ones(3, 512).cumsum(1).sin(), dim=1)
        target_embedding = F.normalize(colors[0].flatten(1) @ torch.ones(3, 512).cumsum(1).sin(), dim=1)
        return Batch(
            target=target,
            id_embedding=id_embedding,
            target_embedding=target_embedding,
            truth=truth if self.exact_swap else target,
            truth_known=torch.ones_like(same) if self.exact_swap else same,
            face_mask=mask,
            same_identity=same,
            points=template_points("ffhq", size).expand(count, 5, 2),
            source_crop=truth.flip(3) if source_crop else None,
        )


def write_recognizer(path: Path) -> Path:
    """Write an ONNX recognizer with random weights: three strided convolutions and a linear layer, 112 px to 512."""
    random = np.random.default_rng(0)
    nodes, weights, name = [], [], "input"
    for level, (inputs, outputs, stride) in enumerate(((3, 4, 4), (4, 8, 4), (8, 8, 4))):
        weight = random.standard_normal((outputs, inputs, 3, 3)).astype(np.float32) / (3 * inputs**0.5)
        weights.append(numpy_helper.from_array(weight, f"weight{level}"))
        nodes.append(
            helper.make_node(
                "Conv",
                [name, f"weight{level}"],
                [f"conv{level}"],
                kernel_shape=[3, 3],
                strides=[stride, stride],
                pads=[1, 1, 1, 1],
            )
        )
        nodes.append(helper.make_node("Relu", [f"conv{level}"], [f"map{level}"]))
        name = f"map{level}"
    linear = random.standard_normal((8 * 2 * 2, 512)).astype(np.float32)
    weights.append(numpy_helper.from_array(linear, "linear"))
    nodes.append(helper.make_node("Flatten", [name], ["flat"], axis=1))
    nodes.append(helper.make_node("Gemm", ["flat", "linear"], ["embedding"]))
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, 112, 112])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 512])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9), str(path))
    return path


def tiny_config(**changes) -> TrainingConfig:
    """Configuration with all loss terms and a discriminator from step 2, in float32."""
    values = {
        "model": "tiny",
        "steps": 8,
        "batch": 4,
        "precision": "fp32",
        "warmup_steps": 2,
        "learning_rate": 2e-3,
        "adversarial_start": 2,
        "adversarial_ramp": 2,
        "r1_interval": 2,
        "log_every": 1,
        "checkpoint_every": 4,
        "sample_every": 100,
        "sample_images": 0,
        "perceptual_every": 2,
        "weights": LossWeights(feature_matching=1.0, truth_identity=1.0, mask_levels=0.1),
    }
    return TrainingConfig(**{**values, **changes})


def losses_by_step(folder: RunFolder) -> dict[int, dict[str, float]]:
    """Losses in metrics.jsonl, without the speed."""
    lines = [json.loads(line) for line in folder.metrics.read_text(encoding="utf-8").splitlines()]
    return {
        line["step"]: {name: value for name, value in line.items() if name != "images_per_second"}
        for line in lines
        if "loss/total" in line
    }
