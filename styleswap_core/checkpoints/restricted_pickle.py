"""Pickles read without unpickling: a small machine that knows plain values and NumPy arrays, and nothing else.

Python's own unpickler calls whatever a file names. Here a name is looked up in a table of four constructors that this
file implements itself; any other name ends the reading, and the error says which it was. Attributes are never set,
nothing is imported, and what a file claims about its sizes is checked before memory is taken for it.

Sources: the opcodes as `pickletools` documents them; the constructors as NumPy's arrays and dtypes pickle themselves.
"""

from __future__ import annotations

import io
import pickletools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from ..errors import StyleSwapError

MAX_DIMENSIONS = 8
_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
_MARK = object()
_STRINGS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE")
_VALUES = (
    *_STRINGS,
    "BININT",
    "BININT1",
    "BININT2",
    "INT",
    "LONG",
    "LONG1",
    "LONG4",
    "FLOAT",
    "BINFLOAT",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "BYTEARRAY8",
)
_CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}
_WITHOUT_EFFECT = ("PROTO", "FRAME", "STOP")


class ForbiddenName(StyleSwapError):
    """The pickle names something that is no part of a file of arrays."""


@dataclass
class PickledArray:
    """What a pickle says about one array: shape, dtype (such as "<f4"), memory order and the bytes, unchecked."""

    shape: tuple[int, ...] = ()
    dtype: str = ""
    fortran: bool = False
    data: bytes | bytearray = b""

    def array(self) -> np.ndarray:
        """The array, a copy. StyleSwapError where its bytes are not those of its shape and dtype."""
        if self.dtype.lstrip("<>|=") not in _DTYPES:
            raise StyleSwapError(f"holds {self.dtype or 'nothing'}; expected numbers")
        claimed = prod(self.shape) * np.dtype(self.dtype).itemsize
        if claimed != len(self.data):
            raise StyleSwapError(f"claims the shape {self.shape}, {claimed} bytes, and has {len(self.data)} bytes")
        flat = np.frombuffer(self.data, self.dtype)
        return flat.reshape(self.shape, order="F" if self.fortran else "C").copy()


@dataclass
class _PickledDtype:
    code: str
    order: str = "="


@dataclass(frozen=True)
class _Name:
    text: str


def read_plain_pickle(data: bytes) -> object:
    """The value of a pickle: dicts with text keys, lists, tuples, numbers, text, bytes and PickledArray.

    Raises:
        ForbiddenName: it names anything but NumPy's array constructors; the message gives the name.
        StyleSwapError: it is truncated, damaged or has other contents.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            machine.step(opcode.name, argument)
        return machine.pop()
    except StyleSwapError:
        raise
    # What pickletools and the machine's stack raise where opcodes are cut off, misplaced or lack what they work on.
    except (ValueError, IndexError, KeyError, MemoryError, OverflowError) as error:
        raise StyleSwapError(
            f"is damaged or truncated ({' '.join(str(error).split()) or type(error).__name__})"
        ) from error


def names_in_pickle(data: bytes) -> Iterator[str]:
    """Every name that a pickle would have imported, in order, as "module.name"; stops where it is damaged."""
    recent: list[str] = []
    memo: dict[int, str] = {}
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            if opcode.name in _STRINGS:
                recent.append(argument)
            elif opcode.name in ("GLOBAL", "INST"):
                yield argument.replace(" ", ".")
            elif opcode.name == "STACK_GLOBAL":
                yield ".".join(recent[-2:])
            elif opcode.name == "MEMOIZE":
                memo[len(memo)] = recent[-1] if recent else ""
            elif "GET" in opcode.name:
                recent.append(memo.get(argument, ""))
            elif "PUT" in opcode.name:
                memo[argument] = recent[-1] if recent else ""
    except ValueError:
        return


class _Machine:
    """Stack and memo of a pickle; `step` runs one opcode."""

    def __init__(self) -> None:
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}

    def step(self, name: str, argument: object) -> None:
        """Run the opcode `name` of pickletools on its argument.

        Raises:
            ForbiddenName: an opcode that could do more than build values.
        """
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif hasattr(self, f"_{name.lower()}"):
            getattr(self, f"_{name.lower()}")(argument)
        elif name not in _WITHOUT_EFFECT:
            raise ForbiddenName(f"uses the pickle operation {name}, which no file of arrays needs")

    def pop(self) -> object:
        """Take the topmost value off the stack; ValueError where a mark is in its place, IndexError where nothing is."""
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value was expected")
        return value

    def _since_mark(self) -> list[object]:
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _tuple(self, _) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _tuple1(self, _) -> None:
        self.stack.append((self.pop(),))

    def _tuple2(self, _) -> None:
        last = self.pop()
        self.stack.append((self.pop(), last))

    def _tuple3(self, _) -> None:
        last, middle = self.pop(), self.pop()
        self.stack.append((self.pop(), middle, last))

    def _list(self, _) -> None:
        self.stack.append(self._since_mark())

    def _dict(self, _) -> None:
        items = self._since_mark()
        self.stack.append({})
        self._update(items)

    def _append(self, _) -> None:
        self._extend([self.pop()])

    def _appends(self, _) -> None:
        self._extend(self._since_mark())

    def _extend(self, values: list[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise ValueError("something is appended that has no list to go to")
        target.extend(values)

    def _setitem(self, _) -> None:
        value = self.pop()
        self._update([self.pop(), value])

    def _setitems(self, _) -> None:
        self._update(self._since_mark())

    def _update(self, items: list[object]) -> None:
        target = self.stack[-1]
        keys = items[::2]
        # Text alone: other keys would have to be hashed, and hashing a deep tuple can overflow the C stack.
        if not isinstance(target, dict) or len(items) % 2 or not all(isinstance(key, str) for key in keys):
            raise ValueError("a table with other keys than names")
        target.update(zip(keys, items[1::2], strict=True))

    def _global(self, argument: str) -> None:
        self._look_up(argument.replace(" ", "."))

    def _stack_global(self, _) -> None:
        name, module = self.pop(), self.pop()
        self._look_up(f"{module}.{name}")

    def _look_up(self, name: str) -> None:
        # NumPy 2 moved numpy.core to numpy._core.
        plain = re.sub(r"^numpy\._core\.", "numpy.core.", name)
        if plain not in _CONSTRUCTORS and plain != _ARRAY_TYPE:
            raise ForbiddenName(f"tries to use {name}, which no file of arrays needs")
        self.stack.append(_Name(plain))

    def _reduce(self, _) -> None:
        arguments, name = self.pop(), self.pop()
        if not isinstance(name, _Name) or name.text not in _CONSTRUCTORS or not isinstance(arguments, tuple):
            raise ForbiddenName("calls something that no file of arrays calls")
        self.stack.append(_CONSTRUCTORS[name.text](arguments))

    def _build(self, _) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, PickledArray):
            _fill_array(target, state)
        elif isinstance(target, _PickledDtype):
            _fill_dtype(target, state)
        else:
            raise ForbiddenName("changes something that no file of arrays changes")


def _is_shape(value: object) -> bool:
    whole = isinstance(value, tuple) and all(type(edge) is int and edge >= 0 for edge in value)
    return whole and len(value) <= MAX_DIMENSIONS


def _empty_array(arguments: tuple) -> PickledArray:
    """numpy.core.multiarray._reconstruct(ndarray, (0,), b"b"): filled by the BUILD that follows."""
    if not arguments or arguments[0] != _Name(_ARRAY_TYPE):
        raise ForbiddenName("makes an array of a type that is not numpy.ndarray")
    return PickledArray()


def _fill_array(array: PickledArray, state: object) -> None:
    if not isinstance(state, tuple) or len(state) != 5:
        raise ValueError("an array of a form that NumPy does not write")
    _, shape, dtype, fortran, data = state
    if not _is_shape(shape) or not isinstance(dtype, _PickledDtype) or not isinstance(data, bytes | bytearray):
        raise ValueError("an array that holds no plain numbers")
    array.shape, array.dtype, array.fortran, array.data = shape, dtype.order + dtype.code, bool(fortran), data


def _array_from_buffer(arguments: tuple) -> PickledArray:
    """numpy.core.numeric._frombuffer(data, dtype, shape, order), which pickle protocol 5 uses."""
    array = PickledArray()
    if len(arguments) != 4:
        raise ValueError("an array of a form that NumPy does not write")
    data, dtype, shape, order = arguments
    _fill_array(array, (1, shape, dtype, order == "F", data))
    return array


def _dtype(arguments: tuple) -> _PickledDtype:
    """numpy.dtype("f4", False, True); the BUILD that follows gives the byte order."""
    if not arguments or not isinstance(arguments[0], str):
        raise ValueError("a dtype without a name")
    code = arguments[0].lstrip("<>|=")
    return _PickledDtype(code, arguments[0][0] if code != arguments[0] else "=")


def _fill_dtype(dtype: _PickledDtype, state: object) -> None:
    if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
        raise ValueError("a dtype of a form that NumPy does not write")
    dtype.order = state[1]


def _latin1(arguments: tuple) -> bytes:
    """_codecs.encode(text, "latin1"): how protocol 2 writes bytes."""
    if len(arguments) != 2 or not isinstance(arguments[0], str) or arguments[1] != "latin1":
        raise ForbiddenName("encodes text in another way than arrays are written")
    return arguments[0].encode("latin1")


_ARRAY_TYPE = "numpy.ndarray"
_CONSTRUCTORS: dict[str, Callable[[tuple], object]] = {
    "numpy.core.multiarray._reconstruct": _empty_array,
    "numpy.core.numeric._frombuffer": _array_from_buffer,
    "numpy.dtype": _dtype,
    "_codecs.encode": _latin1,
}
