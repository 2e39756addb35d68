"""Peak rate of matrix products on this machine, in floating-point operations per second.

No library is fastest on every processor; on some, PyTorch's product reaches half the rate of its convolutions. The
product of two square matrices is therefore computed by every method that the contenders use, at several sizes, and the
fastest counts.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from machine import limits
from torch import Tensor

from styleswap_core.model.inference.packed_conv import FoldedConv, can_pack

CPU_SIZES = (512, 1024, 2048)
# Smaller matrices do not occupy a whole GPU.
CUDA_SIZES = (4096, 8192)
_ROWS = 32

Product = Callable[[], object]
Timer = Callable[[Product, float], list[float]]


def methods(a: Tensor, b: Tensor, threads: int) -> Iterator[tuple[str, Product]]:
    """Pairs (name, product) of all methods for a b^T of two matrices (N, N) on their device, in their data type."""
    yield "torch.mm", lambda: torch.mm(a, b.T)
    yield "linear layer", lambda: F.linear(a, b)
    if a.device.type != "cpu":
        return
    if can_pack(a.dtype):
        yield "1x1 convolution, packed", _convolution(a, b)
    # ONNX Runtime would reach the peak of instructions that the others must not use.
    if a.dtype == torch.float32 and not limits():
        yield "ONNX Runtime MatMul", _onnx_product(b, a, threads)


def measure_peak(
    dtype: torch.dtype,
    device: str,
    threads: int,
    seconds: float,
    timer: Timer,
    sizes: tuple[int, ...] | None = None,
) -> dict:
    """Highest rate over all methods and sizes.

    Args:
        dtype: Data type of the matrices.
        device: "cpu" or "cuda".
        threads: Threads of ONNX Runtime.
        seconds: Total time.
        timer: Calls a product repeatedly for some seconds and returns the duration of each call.
        sizes: Sides of the matrices, by default those that suit the device.

    Returns:
        flops_per_second, and the method (`way`) and size that reached it.
    """
    best = {"flops_per_second": 0.0}
    sizes = sizes or (CUDA_SIZES if device == "cuda" else CPU_SIZES)
    with torch.inference_mode():
        for size in sizes:
            a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
            products = list(methods(a, b, threads))
            for method, product in products:
                rate = 2 * size**3 / min(timer(product, seconds / len(sizes) / len(products)))
                if rate > best["flops_per_second"]:
                    best = {"flops_per_second": rate, "way": method, "size": size}
    return best


def _convolution(a: Tensor, b: Tensor) -> Product:
    """The product as a 1x1 convolution: each row of `a` is a pixel."""
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
