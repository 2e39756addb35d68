"""What commands import. Processes that are forked from one that has imported this find it."""

import importlib

import av
import cv2
import insightface.app
import kornia
import onnx
import onnxruntime
import torch

# Optimizers import it when they are made, and runs of training when they write their curves.
import torch._dynamo
import torch.utils.tensorboard

torch.set_num_threads(1)
assert all((av, cv2, insightface, kornia, onnx, onnxruntime))
for name in ("swap", "detect", "invert", "evaluate", "render", "prepare", "train", "export"):
    importlib.import_module(f"styleswap_core.commands.{name}_command")
for name in ("pipeline.swapper", "metrics.samples", "preparation.prepare", "training.training_loop"):
    importlib.import_module(f"styleswap_core.{name}")
for name in ("commands.file_swapper", "video.swap_video", "inversion.invert", "synthetic.columns"):
    importlib.import_module(f"styleswap_core.{name}")
