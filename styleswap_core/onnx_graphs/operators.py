"""Table of the ONNX operators that graphs are built of.

Source: the ONNX operator specification, https://onnx.ai/onnx/operators. Each function takes the operator's inputs by
position, with None for an optional input that is left out, and its attributes by keyword, under their names in the
specification. Where an attribute became an input in a later opset, both forms are read.
"""

from collections.abc import Callable

from torch import Tensor

from .convolution_operators import CONVOLUTIONS
from .elementwise_operators import ELEMENTWISE
from .reduction_operators import REDUCTIONS, flat_softmax
from .resize_operator import resize, upsample
from .shape_operators import SHAPES

Operator = Callable[..., Tensor | tuple[Tensor, ...]]

OPERATORS: dict[str, Operator] = dict(
    sorted((ELEMENTWISE | REDUCTIONS | CONVOLUTIONS | SHAPES | {"Resize": resize, "Upsample": upsample}).items())
)


def operators_of(opset: int) -> dict[str, Operator]:
    """The operators as an opset defines them, where their inputs do not tell."""
    return OPERATORS | {"Softmax": flat_softmax} if opset < 13 else OPERATORS
