"""ONNX files of baked generators against the generators."""

import onnxruntime
import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.export.baked_onnx import export_baked, onnx_difference
from styleswap_core.model import Generator, preset
from styleswap_core.model.inference.baked_generator import bake

FORMS = [
    {},
    {"attribute_injection": "every_conv", "attribute_masking": "mean", "mask_accumulation": "sigmoid"},
    {"attribute_masking": "none", "mask_branch": False, "rgb_bound": "tanh"},
    {"attribute_masking": "mean", "encoder_blocks": 1},
]


def baked_tiny(dtype=torch.float32, packed=False, **changes):
    torch.manual_seed(3)
    generator = Generator(preset("tiny", **changes)).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return bake(generator, torch.randn(generator.num_ws, generator.config.w_dim), dtype, packed)


@pytest.mark.parametrize("changes", FORMS, ids=range(len(FORMS)))
def test_onnx_runtime_gives_the_same_output(tmp_path, changes):
    baked = baked_tiny(**changes)
    export_baked(tmp_path / "baked.onnx", baked, "for tests")
    session = onnxruntime.InferenceSession(str(tmp_path / "baked.onnx"), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert names == (["image", "rgb", "mask"] if baked.config.mask_branch else ["image"])
    for batch in (1, 3):
        crop = torch.rand(batch, 3, 32, 32) * 2 - 1
        expected = baked(crop)
        for name, found in zip(names, session.run(None, {"input": crop.numpy()}), strict=True):
            assert (getattr(expected, name) - torch.from_numpy(found)).abs().max() < 1e-3, name
    assert onnx_difference(tmp_path / "baked.onnx", baked) < 1e-3
    other = baked_tiny(**{**changes, "rgb_bound": "tanh" if changes.get("rgb_bound", "none") == "none" else "none"})
    assert onnx_difference(tmp_path / "baked.onnx", other) > 1e-3, "another generator is detected"


def test_only_unpacked_float32_is_exported(tmp_path):
    for baked in (baked_tiny(torch.bfloat16), baked_tiny(packed=None)):
        if baked.packed or baked.dtype != torch.float32:
            with pytest.raises(StyleSwapError, match="packed=False"):
                export_baked(tmp_path / "baked.onnx", baked)
    assert not list(tmp_path.iterdir())
