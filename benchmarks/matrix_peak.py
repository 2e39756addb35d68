"""How many floating-point operations per second a matrix product reaches on this machine, by the fastest way there is.

No library is the fastest on every processor: on some, PyTorch's product reaches half of what its convolutions do. So the
product of two square matrices runs in every way that the contenders use, at several sizes, and the best counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from styleswap_core.model.inference.packed_conv import FoldedConv, can_pack

CPU_SIZES = (512, 1024, 2048)
# Smaller ones do not fill a GPU.
CUDA_SIZES = (4096, 8192)
_ROWS = 32

Product = Callable[[], object]
Timer = Callable[[Product, float], list[float]]


def ways(a: Tensor, b: Tensor, threads: int) -> Iterator[tuple[str, Product]]:
    """(name, the product a b^T of two matrices (N, N)) for every way that this device and type have."""
    yield "torch.mm", lambda: torch.mm(a, b.T)
    yield "linear layer", lambda: F.linear(a, b)
    if a.device.type != "cpu":
        return
    if can_pack(a.dtype):
        yield "1x1 convolution, packed", _convolution(a, b)
    if a.dtype == torch.float32:
        yield "ONNX Runtime MatMul", _onnx_product(b, a, threads)


def measure_peak(dtype: torch.dtype, device: str, threads: int, seconds: float, timer: Timer) -> dict:
    """The best rate of all ways and sizes, and which it was.

    Args:
        seconds: for all of them together.
        timer: calls a product for so many seconds; the seconds of each call.
    Returns:
        flops_per_second, way, size.
    """
    best = {"flops_per_second": 0.0}
    sizes = CUDA_SIZES if device == "cuda" else CPU_SIZES
    with torch.inference_mode():
        for size in sizes:
            a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
            products = list(ways(a, b, threads))
            for way, product in products:
                rate = 2 * size**3 / min(timer(product, seconds / len(sizes) / len(products)))
                if rate > best["flops_per_second"]:
                    best = {"flops_per_second": rate, "way": way, "size": size}
    return best


def _convolution(a: Tensor, b: Tensor) -> Product:
    """Each row of `a` is a pixel."""
    size = len(a)
    pixels = a.reshape(1, _ROWS, size // _ROWS, size).permute(0, 3, 1, 2)  # (1, N, 32, N / 32), channels last
    convolution = FoldedConv(b[:, :, None, None])
    convolution.pack(tuple(pixels.shape))
    return lambda: convolution(pixels)


def _onnx_product(weight: Tensor, rows: Tensor, threads: int) -> Product:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    shape = list(rows.shape)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "weight"], ["product"])],
        "product",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weight.T.contiguous().numpy(), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = {"rows": rows.numpy()}
    return lambda: session.run(None, inputs)
