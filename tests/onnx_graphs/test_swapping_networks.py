"""Networks in the form of each published family as torch modules, against ONNX Runtime."""

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from swapping_networks import FORMS, SIZE, WIDTH, inswapper

from styleswap_core.onnx_graphs.onnx_graph import OnnxGraph


def inputs(form):
    random = torch.Generator().manual_seed(4)
    target = torch.rand(2, 3, SIZE, SIZE, generator=random)
    if form == "uniface":
        return target, torch.rand(2, 3, SIZE, SIZE, generator=random)
    return target, F.normalize(torch.randn(2, WIDTH, generator=random), dim=1)


def expected(path, target, source):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"target": target.numpy(), "source": source.numpy()})


@pytest.mark.parametrize("form", FORMS)
def test_parity_and_gradient(tmp_path, form):
    FORMS[form](tmp_path / "swap.onnx")
    target, source = inputs(form)
    wanted = expected(tmp_path / "swap.onnx", target, source)
    graph = OnnxGraph(tmp_path / "swap.onnx")
    found = graph.collect(graph.output_names, target, source)
    assert len(found) == len(wanted) == (2 if form == "hyperswap" else 1)
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.abs(ours.numpy() - theirs).max() < 1e-4
    assert np.abs(wanted[0] - expected(tmp_path / "swap.onnx", target, source.flip(0))[0]).max() > 0.05

    graph, source = graph.double(), source.double().requires_grad_()
    direction = torch.randn(source.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    weight = torch.randn(found[0].shape, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((graph(target.double(), source) * weight).sum(), source)
    with torch.no_grad():
        ahead, behind = (graph(target.double(), source + step * direction) for step in (1e-6, -1e-6))
    assert float((gradient * direction).sum()) == pytest.approx(
        float(((ahead - behind) * weight).sum() / 2e-6), rel=1e-4
    )


def test_half_precision_runs_in_single_precision(tmp_path):
    inswapper(tmp_path / "half.onnx", half=True)
    target, source = inputs("inswapper")
    graph = OnnxGraph(tmp_path / "half.onnx")
    found = graph(target, source)
    assert found.dtype == torch.float32 and {buffer.dtype for buffer in graph.buffers()} == {torch.float32}
    # ONNX Runtime rounds every value to 11 bits.
    assert np.abs(found.numpy() - expected(tmp_path / "half.onnx", target, source)[0]).max() < 2e-2
