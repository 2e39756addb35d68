"""Summary of an ONNX file: its inputs, outputs, initializers and operators, without its weights.

The file is mapped into memory and its messages are walked, so that the weights of a file of hundreds of megabytes are
never read; `onnx.load` would read all of them. Source of the message numbers: onnx.proto.
"""

import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..errors import StyleSwapError, decoding
from ..io.files import require_file

if TYPE_CHECKING:
    import numpy as np

Shape = tuple[int | None, ...]
"""Dimensions of a tensor; None for a free one."""

FLOAT, FLOAT16 = 1, 10
"""Numbers of element types in ONNX."""

# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OPERATOR, _NODE_DOMAIN = 1, 4, 7
_TENSOR_DIMS, _TENSOR_NAME, _TENSOR_EXTERNAL = 1, 8, 13
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _TENSOR_TYPE_ELEMENT, _TENSOR_TYPE_SHAPE = 1, 1, 2
_DIMENSION_VALUE = 1
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_MAX_VARINT_BYTES = 10

Span = tuple[int, int]
"""Start and end of a message in its file."""


@dataclass(frozen=True)
class GraphValue:
    """An input or output of a graph.

    Attributes:
        name: Its name.
        shape: Its shape.
        element: Number of its element type, such as FLOAT.
        leading: Place of its first dimension in the file.
    """

    name: str
    shape: Shape
    element: int
    leading: Span = (0, 0)

    def __str__(self) -> str:
        return f"{self.name} ({', '.join('?' if side is None else str(side) for side in self.shape)})"


@dataclass(frozen=True)
class Initializer:
    """A stored tensor.

    Attributes:
        name: Its name.
        shape: Its shape.
        span: Its place in the file.
        external: File that holds its values, relative to the folder of the ONNX file; empty if they are in it.
        used: Whether a node reads it.
    """

    name: str
    shape: tuple[int, ...]
    span: Span
    external: str = ""
    used: bool = True


@dataclass(frozen=True)
class OnnxSummary:
    """What an ONNX file declares.

    Attributes:
        path: The file.
        inputs: Inputs that are not initializers.
        outputs: Outputs.
        initializers: Stored tensors in the order of the file.
        operators: Names of the operators, with their domain if it is not ONNX's own.
        value_infos: Places of the declared shapes of intermediate values, tag included.
        metadata: Free-form keys and values.
    """

    path: Path
    inputs: tuple[GraphValue, ...]
    outputs: tuple[GraphValue, ...]
    initializers: tuple[Initializer, ...]
    operators: frozenset[str]
    value_infos: tuple[int, ...]
    metadata: Mapping[str, str]

    def describe(self) -> str:
        """Inputs and outputs with their shapes, for messages."""
        inputs, outputs = (", ".join(map(str, values)) or "none" for values in (self.inputs, self.outputs))
        return f"inputs {inputs}; outputs {outputs}"

    def external_files(self) -> list[Path]:
        """Files beside this one that hold weights.

        Raises:
            StyleSwapError: One is missing, or lies outside the file's folder.
        """
        found = []
        for name in dict.fromkeys(tensor.external for tensor in self.initializers if tensor.external):
            relative = PurePosixPath(name.replace("\\", "/"))
            file = self.path.parent / relative
            inside = not relative.is_absolute() and ".." not in relative.parts and ":" not in name
            if not inside or not _real(file).is_relative_to(_real(self.path.parent)):
                raise StyleSwapError(
                    f"{self.path} keeps weights in {name!r}, outside its own folder, which is not read; use a file that"
                    " holds its weights"
                )
            if not file.is_file():
                raise StyleSwapError(
                    f"{self.path} keeps weights in {name!r}, which is missing; put that file beside it"
                )
            found.append(file)
        return found

    def stored_bytes(self) -> int:
        """Size of the file and of the files that hold its weights, about what the weights take in memory."""
        return sum(file.stat().st_size for file in (self.path, *self.external_files()))

    def tensor(self, initializer: Initializer) -> "np.ndarray":
        """Values of a stored tensor, read from the file.

        Raises:
            StyleSwapError: They lie in another file, or cannot be read.
        """
        import numpy as np
        from onnx import TensorProto, numpy_helper

        if initializer.external:
            raise StyleSwapError(f"{self.path} keeps {initializer.name} in {initializer.external}; use a single file")
        start, end = initializer.span
        problem = f"{self.path} is damaged: {initializer.name} cannot be read"
        with decoding(problem, "replace it"), open(self.path, "rb") as stream:
            stream.seek(start)
            return np.array(numpy_helper.to_array(TensorProto.FromString(stream.read(end - start))))


def _real(path: Path) -> Path:
    """A path without symbolic links; unlike `Path.resolve` it does not raise for loops of them."""
    return Path(os.path.realpath(path))


def summarize_onnx(path: str | Path) -> OnnxSummary:
    """Summary of an ONNX file.

    Raises:
        StyleSwapError: The file is missing, or is no ONNX file.
    """
    path = Path(path)
    require_file(path, "an ONNX file")
    try:
        with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _summarize(path, data)
    except OSError as error:
        raise StyleSwapError(f"cannot read {path}: {error.strerror}; check the path") from error
    except (ValueError, IndexError) as error:  # an empty file, or one that is no protocol buffer
        raise StyleSwapError(f"{path} is not an ONNX file or is damaged; download or export it again") from error


def _summarize(path: Path, data: mmap.mmap) -> OnnxSummary:
    graph, metadata = None, {}
    for number, span, _ in _messages(data, (0, len(data))):
        if number == _MODEL_GRAPH:
            graph = span
        elif number == _MODEL_METADATA:
            entry = _entry(data, span)
            metadata[entry.get(_ENTRY_KEY, "")] = entry.get(_ENTRY_VALUE, "")
    if graph is None:
        raise ValueError("no graph")
    inputs, outputs, initializers, value_infos = [], [], [], []
    operators: set[str] = set()
    read: set[str] = set()
    for number, span, start in _messages(data, graph):
        if number == _GRAPH_NODE:
            names, operator = _node(data, span)
            read.update(names)
            operators.add(operator)
        elif number == _GRAPH_INITIALIZER:
            initializers.append(_initializer(data, span))
        elif number == _GRAPH_INPUT:
            inputs.append(_value(data, span))
        elif number == _GRAPH_OUTPUT:
            outputs.append(_value(data, span))
        elif number == _GRAPH_VALUE_INFO:
            value_infos.append(start)
    if not operators:
        raise ValueError("no nodes")
    stored = {name for name, _, _, _ in initializers}
    return OnnxSummary(
        path,
        tuple(value for value in inputs if value.name not in stored),
        tuple(outputs),
        tuple(Initializer(name, shape, span, external, name in read) for name, shape, span, external in initializers),
        frozenset(operators),
        tuple(value_infos),
        metadata,
    )


def _node(data: mmap.mmap, span: Span) -> tuple[list[str], str]:
    """Inputs and operator of a node."""
    inputs, operator, domain = [], "", ""
    for number, part, _ in _messages(data, span):
        if number == _NODE_INPUT:
            inputs.append(_text(data, part))
        elif number == _NODE_OPERATOR:
            operator = _text(data, part)
        elif number == _NODE_DOMAIN:
            domain = _text(data, part)
    return inputs, operator if domain in ("", "ai.onnx") else f"{domain}::{operator}"


def _initializer(data: mmap.mmap, span: Span) -> tuple[str, tuple[int, ...], Span, str]:
    """Name, shape, place and external file of a stored tensor."""
    name, external = "", ""
    dimensions: list[int] = []
    for number, value, _ in _fields(data, span):
        if number == _TENSOR_DIMS:
            dimensions += [value] if isinstance(value, int) else _packed(data, value)
        elif number == _TENSOR_NAME and not isinstance(value, int):
            name = _text(data, value)
        elif number == _TENSOR_EXTERNAL and not isinstance(value, int):
            entry = _entry(data, value)
            external = entry.get(_ENTRY_VALUE, "") if entry.get(_ENTRY_KEY) == "location" else external
    return name, tuple(dimensions), span, external


def _entry(data: mmap.mmap, span: Span) -> dict[int, str]:
    """Texts of a pair of key and value."""
    return {number: _text(data, part) for number, part, _ in _messages(data, span)}


def _value(data: mmap.mmap, span: Span) -> GraphValue:
    """An input or output."""
    name, element, leading = "", 0, (0, 0)
    shape: list[int | None] = []
    for number, part, _ in _messages(data, span):
        if number == _VALUE_NAME:
            name = _text(data, part)
        if number != _VALUE_TYPE:
            continue
        for field, value in _inside(data, part, _TYPE_TENSOR):
            if field == _TENSOR_TYPE_ELEMENT and isinstance(value, int):
                element = value
            elif field == _TENSOR_TYPE_SHAPE and not isinstance(value, int):
                for _, dimension, _ in _messages(data, value):
                    leading = leading if shape else dimension
                    numbers = [side for key, side, _ in _fields(data, dimension) if key == _DIMENSION_VALUE]
                    # 0 and below mean free as well; some exporters write them.
                    shape.append(next((side for side in numbers if isinstance(side, int) and 0 < side < 1 << 32), None))
    return GraphValue(name, tuple(shape), element, leading)


def _inside(data: mmap.mmap, span: Span, wanted: int) -> Iterator[tuple[int, int | Span]]:
    """Fields of the messages numbered `wanted` in a message."""
    for number, part, _ in _messages(data, span):
        if number == wanted:
            yield from ((field, value) for field, value, _ in _fields(data, part))


def _messages(data: mmap.mmap, span: Span) -> Iterator[tuple[int, Span, int]]:
    """Number, place and start (tag included) of the length-delimited fields of a message."""
    for number, value, start in _fields(data, span):
        if not isinstance(value, int):
            yield number, value, start


def _text(data: mmap.mmap, span: Span) -> str:
    return data[slice(*span)].decode("utf-8", "replace")


def _packed(data: mmap.mmap, span: Span) -> list[int]:
    numbers, position = [], span[0]
    while position < span[1]:
        number, position = _varint(data, position)
        numbers.append(number)
    return numbers


def _fields(data: mmap.mmap, span: Span) -> Iterator[tuple[int, int | Span, int]]:
    """Number, content and start of each field of a message.

    The content is a number, or the place of a nested message, string or array; fields of fixed length are skipped.
    """
    position, end = span
    while position < end:
        start = position
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, position = _varint(data, position)
            yield number, value, start
            continue
        if kind == 2:
            length, position = _varint(data, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if not number or position + length > end:
            raise ValueError("a field beyond its message")
        if kind == 2:
            yield number, (position, position + length), start
        position += length


def _varint(data: mmap.mmap, position: int) -> tuple[int, int]:
    """A number of variable length, and the position after it."""
    value = 0
    for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number without end")
