"""Files that hold graphs: JSON, and pictures in which ComfyUI stored the graph that made them."""

import json
import math
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import Any

from ..errors import StyleSwapError, decoding
from ..io.files import atomic_write, require_file
from ..io.json_text import MAX_JSON_BYTES, parse_json
from ..io.png_chunks import SIGNATURE, texts

_KEYS = ("workflow", "prompt")
_REMEDY = "save the workflow again in ComfyUI"
# ComfyUI leaves NaN here when it stores a prompt in a picture.
_CACHE_KEY = "is_changed"


def read_workflow(path: str | Path) -> Any:
    """The JSON value of a file: that of a JSON file, or the graph that a PNG or WebP picture carries.

    A picture with both the editor's graph and a prompt gives the graph.

    Raises:
        StyleSwapError: No such file, no JSON, a picture without a graph, or numbers that JSON does not have.
    """
    path = Path(path)
    require_file(path, "a workflow file")
    with open(path, "rb") as stream:
        start = stream.read(12)
    if start.startswith(SIGNATURE):
        text = _of_picture(path, texts(path))
    elif start[:4] == b"RIFF" and start[8:] == b"WEBP":
        text = _of_picture(path, _webp_texts(path))
    else:
        text = _text_of(path)
    value = parse_json(text, f"{path} is not a workflow", _REMEDY)
    _check_numbers(value, path)
    return value


def write_workflow(path: str | Path, value: Any) -> None:
    """Write a JSON value in the layout of ComfyUI's editor.

    Raises:
        StyleSwapError: The folder does not exist or cannot be written to.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        # Halves of characters, which JSON can hold only as escapes.
        data = json.dumps(value, indent=2, allow_nan=False).encode()
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def _text_of(path: Path) -> str:
    """Text of a file in UTF-8, or in UTF-16 as Windows PowerShell writes it."""
    with decoding(f"{path} is not a workflow", _REMEDY):
        if (size := path.stat().st_size) > MAX_JSON_BYTES:
            raise ValueError(f"{size >> 20} MB; at most {MAX_JSON_BYTES >> 20} are read")
        data = path.read_bytes()
    try:
        text = data.decode("utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise StyleSwapError(
            f"{path} is not a workflow: neither JSON in UTF-8 nor a PNG or WebP picture; save the workflow in ComfyUI"
            " with Save or Export (API)"
        )
    return text


def _of_picture(path: Path, found: dict[str, str]) -> str:
    for key in _KEYS:
        if key in found:
            return found[key]
    raise StyleSwapError(
        f"{path} carries no workflow; take the picture as ComfyUI saved it, since other programs remove workflows"
    )


def _webp_texts(path: Path) -> dict[str, str]:
    """Texts in the EXIF entries of a WebP picture, in which ComfyUI writes them as `key:text`."""
    from PIL import Image

    found: dict[str, str] = {}
    with decoding(f"{path} is damaged", "take another picture"), Image.open(path) as picture:
        for value in picture.getexif().values():
            key, colon, text = value.partition(":") if isinstance(value, str) else ("", "", "")
            if colon and key.lower() in _KEYS:
                found.setdefault(key.lower(), text)
    return found


def _check_numbers(value: Any, path: Path) -> None:
    """Refuse NaN and infinity, which are no JSON, and remove those that ComfyUI itself leaves behind."""
    pending: list[tuple[Any, str]] = [(value, "")]
    while pending:
        each, place = pending.pop()
        if isinstance(each, dict):
            if "class_type" in each:
                each.pop(_CACHE_KEY, None)
            pending += [(entry, f"{place}.{key}" if place else str(key)) for key, entry in each.items()]
        elif isinstance(each, list):
            pending += [(entry, f"{place}[{number}]") for number, entry in enumerate(each)]
        elif isinstance(each, float) and not math.isfinite(each):
            raise StyleSwapError(f"{path} has {each} at {place}, which no node takes; correct the value there")
