"""Pickles of NumPy arrays and plain values, read without running anything that they name.

`find_class` returns stand-ins for the few names that files of arrays need and refuses all others, so nothing is
imported. What `find_class` does not see is limited beforehand, opcode by opcode (`_check_opcodes`); memory stays within
a small multiple of the file's size.

Sources: `pickletools` for the opcodes; NumPy's `__reduce__` of arrays and dtypes for the names.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import NoReturn

import numpy as np

from ..errors import StyleSwapError, one_line

MAX_DIMENSIONS = 8
MAX_TUPLE_DEPTH = 8
"""Deepest nesting of tuples, of which an array needs two. Hashing tuples that hold each other twice takes twice the
time per level."""
_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
_TEXT = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE")
# Left out: opcodes for sets, objects of classes, persistent ids and extension codes.
_OPCODES = {
    *_TEXT,
    *("PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "LIST", "APPEND", "APPENDS"),
    *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"),
    *("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"),
    *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
}
# Raised by the unpickler for pickles that are truncated or inconsistent.
_DAMAGED = (pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


class ForbiddenPickleError(StyleSwapError):
    """The pickle uses something that files of arrays do not need."""


@dataclass
class PickledArray:
    """An array as a pickle describes it, unchecked.

    Attributes:
        shape: Its shape.
        dtype: Byte order and type code, such as "<f4".
        fortran: Whether memory is in column-major order.
        data: Its bytes.
    """

    shape: tuple[int, ...] = ()
    dtype: str = ""
    fortran: bool = False
    data: bytes | bytearray = b""

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("an array of a form that NumPy does not write")
        _, shape, dtype, fortran, data = state
        if not _is_shape(shape) or not isinstance(dtype, _PickledDtype) or not isinstance(data, bytes | bytearray):
            raise ValueError("an array that holds no plain numbers")
        self.shape, self.dtype, self.fortran, self.data = shape, dtype.order + dtype.code, bool(fortran), data

    def array(self) -> np.ndarray:
        """The array, a copy.

        Raises:
            StyleSwapError: Its bytes do not match its shape and dtype.
        """
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

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise ValueError("a dtype of a form that NumPy does not write")
        self.order = state[1]


@dataclass(frozen=True)
class _StandIn:
    """Stand-in for a name in a pickle. An instance, since a class or function could be altered by the pickle."""

    make: Callable[..., object]

    def __call__(self, *arguments: object) -> object:
        return self.make(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise ForbiddenPickleError("changes something that no file of arrays changes")


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickler of plain values and `PickledArray`."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self._size, self._encoded = len(data), 0

    def find_class(self, module: str, name: str) -> object:
        """The stand-in for a name.

        Raises:
            ForbiddenPickleError: Files of arrays do not need it.
        """
        # NumPy 2 renamed numpy.core to numpy._core.
        plain = re.sub(r"^numpy\._core\.", "numpy.core.", f"{module}.{name}")
        if plain == "_codecs.encode":
            return _StandIn(self._encode)
        if plain not in _STAND_INS:
            raise ForbiddenPickleError(f"tries to use {module}.{name}, which no file of arrays needs")
        return _STAND_INS[plain]

    def _encode(self, text: object, encoding: object) -> bytes:
        """_codecs.encode(text, "latin1"): bytes in protocol 2, each text used once."""
        if not isinstance(text, str) or encoding != "latin1":
            raise ForbiddenPickleError("encodes text in another way than arrays are written")
        self._encoded += len(text)
        if self._encoded > self._size:
            raise ValueError("more bytes than the file has")
        return text.encode("latin1")


def read_plain_pickle(data: bytes) -> object:
    """The value of a pickle: tables, lists, tuples, numbers, text, bytes and `PickledArray`.

    Raises:
        ForbiddenPickleError: It names anything but NumPy's array constructors; the message has the name.
        StyleSwapError: It is truncated, damaged or has other contents.
    """
    try:
        _check_opcodes(data)
        return _ArrayUnpickler(data).load()
    except StyleSwapError:
        raise
    except _DAMAGED as error:
        raise StyleSwapError(f"is damaged or truncated ({one_line(error)})") from error


def names_in_pickle(data: bytes) -> Iterator[str]:
    """Every name that a pickle would import, in order, as "module.name"; stops where the pickle is damaged."""
    recent: list[str] = []
    memo: dict[int, str] = {}
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            if opcode.name in _TEXT:
                recent.append(str(argument))
            elif opcode.name in ("GLOBAL", "INST"):
                yield str(argument).replace(" ", ".")
            elif opcode.name == "STACK_GLOBAL":
                yield ".".join(recent[-2:])
            elif opcode.name == "MEMOIZE":
                memo[len(memo)] = recent[-1] if recent else ""
            elif "GET" in opcode.name:
                recent.append(memo.get(int(argument or 0), ""))
            elif "PUT" in opcode.name:
                memo[int(argument or 0)] = recent[-1] if recent else ""
    except ValueError:
        return


def check_tuple_depth(data: bytes) -> None:
    """Raise ValueError if a pickle nests tuples more deeply than `MAX_TUPLE_DEPTH`, or is damaged."""
    depths = _TupleDepths()
    for opcode, operand, _ in pickletools.genops(data):
        if depths.follow(opcode, operand) > MAX_TUPLE_DEPTH:
            raise ValueError(f"tuples nested more than {MAX_TUPLE_DEPTH} deep")


def _check_opcodes(data: bytes) -> None:
    """Raise an error for opcodes that no file of arrays needs, and for operands that cost memory or overflow the stack.

    `genops` reads every operand and thereby checks all claimed lengths against the bytes that are there.
    """
    depths = _TupleDepths()
    for count, (opcode, operand, _) in enumerate(pickletools.genops(data)):
        if opcode.name not in _OPCODES:
            raise ForbiddenPickleError(f"uses the pickle operation {opcode.name}, which no file of arrays needs")
        # The unpickler allocates its memo up to the largest index; picklers count upwards.
        if opcode.name.endswith("PUT") and int(operand or 0) > count:
            raise ValueError(f"place {operand} of a memo that has at most {count}")
        if depths.follow(opcode, operand) > MAX_TUPLE_DEPTH:
            raise ValueError(f"tuples nested more than {MAX_TUPLE_DEPTH} deep")


class _TupleDepths:
    """The unpickler's stack and memo, with the depth of tuples in place of values; 0 for everything else."""

    def __init__(self) -> None:
        self._stack: list[int] = []
        self._marks: list[int] = []
        self._memo: dict[int, int] = {}

    def follow(self, opcode: pickletools.OpcodeInfo, operand: object) -> int:
        """Apply an opcode; returns the depth of what it put onto the stack.

        Raises:
            IndexError: The stack is too short.
        """
        name = opcode.name
        if name == "MARK":
            self._marks.append(len(self._stack))
            return 0
        if name == "MEMOIZE" or name.endswith("PUT"):
            self._memo[len(self._memo) if name == "MEMOIZE" else int(str(operand))] = self._stack[-1]
            return 0
        taken: list[int] = []
        if pickletools.markobject in opcode.stack_before:
            start = self._marks.pop()
            taken = self._stack[start:]
            del self._stack[start:]
        for _ in range(
            sum(kind not in (pickletools.markobject, pickletools.stackslice) for kind in opcode.stack_before)
        ):
            taken.append(self._stack.pop())
        depth = 0
        if name.endswith("GET"):
            depth = self._memo.get(int(str(operand)), 0)
        elif "TUPLE" in name:
            depth = 1 + max(taken, default=0)
        self._stack += [depth] * len(opcode.stack_after)
        return depth


def _is_shape(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) > MAX_DIMENSIONS:
        return False
    return all(type(edge) is int and edge >= 0 for edge in value)


def _no_call(*_: object) -> NoReturn:
    raise ForbiddenPickleError("calls something that no file of arrays calls")


_NDARRAY = _StandIn(_no_call)


def _empty_array(kind: object = None, *_: object) -> PickledArray:
    """numpy.core.multiarray._reconstruct(ndarray, (0,), b"b"); the BUILD that follows fills the array."""
    if kind is not _NDARRAY:
        raise ForbiddenPickleError("makes an array of a type that is not numpy.ndarray")
    return PickledArray()


def _array_from_buffer(data: object, dtype: object, shape: object, order: object) -> PickledArray:
    """numpy.core.numeric._frombuffer, which pickle protocol 5 uses."""
    array = PickledArray()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _dtype(name: object, *_: object) -> _PickledDtype:
    """numpy.dtype("f4", False, True); the BUILD that follows sets the byte order."""
    if not isinstance(name, str):
        raise ValueError("a dtype without a name")
    code = name.lstrip("<>|=")
    return _PickledDtype(code, name[0] if code != name else "=")


_STAND_INS = {
    "collections.OrderedDict": _StandIn(lambda *_: {}),
    "numpy.core.multiarray._reconstruct": _StandIn(_empty_array),
    "numpy.core.numeric._frombuffer": _StandIn(_array_from_buffer),
    "numpy.dtype": _StandIn(_dtype),
    "numpy.ndarray": _NDARRAY,
}
