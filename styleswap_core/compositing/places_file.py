"""File format of the places of faces: a JSON file, so that crops can be pasted by another process than cut them.

    {
      "format": "styleswap-places", "format_version": 1,
      "pictures": [
        {
          "picture": "party.jpg", "width": 1280, "height": 960, "mark": "...",
          "faces": [
            {"crop": "party_face0.png", "size": 512, "template": "ffhq",
             "points": [[x, y], ...], "matrix": [[a, b, x], [c, d, y]]}
          ]
        }
      ]
    }

Names are paths below the folders of pictures and crops, with slashes. `mark` holds the 24 x 24 x 3 bytes of
`placed_faces.frame_mark` in Base64, null for a picture without faces; further entries are as in `PlacedFace`.
"""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from ..errors import StyleSwapError, decoding
from ..faces.alignment import template_points
from ..io.files import atomic_write
from ..io.json_text import read_json, require_table
from .placed_faces import MARK_SHAPE, PlacedFace, PlacedFaces, join_frames

FORMAT = "styleswap-places"
FORMAT_VERSION = 1

# Crops of a swap have up to eight times the side of the network's.
_MAX_CROP = 8192
_MAX_SIDE = 1 << 20
# Coordinates of faces, which may lie outside of their picture.
_MAX_COORDINATE = 1e7
# Pixels of the picture that a crop spans, and how far it may be scaled down: scaling takes memory for the square of it.
_SPANS, _MAX_REDUCTION = (1.0, 65536.0), 2048.0
# Difference of a matrix from a rotation with a scale, from rounding alone.
_SKEW = 1e-3
_MAX_NAME, _MAX_TEMPLATE = 4096, 64
_REMEDY = "cut the faces again"


@dataclass(frozen=True, eq=False)
class PicturePlaces:
    """The faces of one picture, with the names of its files.

    Attributes:
        picture: Path of the picture below the folder of pictures, with slashes.
        crops: Paths of the crops below their folder, one for each face.
        placed: The faces, of a batch that is this picture alone.
    """

    picture: str
    crops: tuple[str, ...]
    placed: PlacedFaces


def save_places(path: str | Path, placed: PlacedFaces, pictures: Sequence[str] | None = None) -> None:
    """Write the places of faces atomically, so that their crops can be pasted later.

    Args:
        path: The file, `.json`.
        placed: The faces.
        pictures: A file name for each frame, by which `styleswap paste` finds it and its crops; by default
            frame00000.png and so on. The crops of a.png are called a_face0.png, a_face1.png and so on.

    Raises:
        StyleSwapError: Another number of names than frames, or a file that cannot be written.
    """
    names = [f"frame{number:05}.png" for number in range(len(placed.marks))] if pictures is None else list(pictures)
    if len(names) != len(placed.marks):
        raise StyleSwapError(f"expected a name for each of {len(placed.marks)} frames, got {len(names)}")
    if outside := next((name for name in names if not _is_inner(name)), None):
        raise StyleSwapError(f"expected names of pictures such as party.jpg or day1/party.jpg, got {outside!r}")
    frames = zip(names, placed.split_frames(), strict=True)
    write_places(path, [PicturePlaces(name, crop_names(name, len(one.faces)), one) for name, one in frames])


def load_places(path: str | Path, picture: str | None = None) -> PlacedFaces:
    """Places of faces from a file of `save_places` or `styleswap align`.

    Args:
        path: The file.
        picture: Name of one of its pictures; by default all of them, as the frames of a batch.

    Raises:
        StyleSwapError: A missing, damaged or newer file, no such picture, or pictures of several sizes, which are no
            batch.
    """
    rows = read_places(path)
    if picture is not None:
        rows = [row for row in rows if row.picture == picture]
        if not rows:
            raise StyleSwapError(f"{path} has no picture named {picture!r}; name one of those that were cut")
    if not rows:
        raise StyleSwapError(f"{path} lists no pictures; {_REMEDY}")
    if len({row.placed.frame_size for row in rows}) > 1:
        raise StyleSwapError(f"{path} has pictures of several sizes, which are no batch; name one of the pictures")
    return join_frames([row.placed for row in rows])


def _is_inner(name: str) -> bool:
    """Whether a name is a path that leads below the folder that it starts from, on this system."""
    path = Path(name)
    return bool(path.name) and not path.anchor and ".." not in path.parts and len(name) <= _MAX_NAME


def crop_names(picture: str, faces: int) -> tuple[str, ...]:
    """Paths of the crops of a picture below their folder."""
    path = PurePosixPath(picture)
    return tuple(str(path.with_name(f"{path.stem}_face{row}.png")) for row in range(faces))


def write_places(path: str | Path, rows: Sequence[PicturePlaces]) -> None:
    """Write the places of faces in pictures of any sizes, atomically.

    Raises:
        StyleSwapError: The file cannot be written.
    """
    # One picture on each line.
    pictures = ",\n".join(json.dumps(_picture_value(row)) for row in rows)
    head = f'"format": "{FORMAT}", "format_version": {FORMAT_VERSION}'
    with atomic_write(path) as temporary:
        temporary.write_text(f'{{{head}, "pictures": [\n{pictures}\n]}}\n', encoding="utf-8")


def read_places(path: str | Path) -> list[PicturePlaces]:
    """Places of faces in pictures of any sizes.

    Raises:
        StyleSwapError: A missing, damaged or newer file, or one of another kind.
    """
    problem = f"{path} is damaged"
    value = require_table(read_json(Path(path), problem, _REMEDY), problem, _REMEDY)
    if value.get("format") != FORMAT:
        raise StyleSwapError(f"{path} does not contain places of faces; name the file that was written with the crops")
    value = require_table(value, problem, _REMEDY, format_version=int, pictures=list)
    if value["format_version"] > FORMAT_VERSION:
        raise StyleSwapError(
            f"expected {FORMAT} {FORMAT_VERSION} or older, {path} has version {value['format_version']}; update this"
            " program"
        )
    return [_Reader(path, number).picture(picture) for number, picture in enumerate(value["pictures"])]


def _picture_value(row: PicturePlaces) -> dict[str, Any]:
    placed = row.placed
    mark = placed.marks[0]
    faces = [
        {
            "crop": crop,
            "size": face.size,
            "template": face.template,
            "points": face.points.astype(np.float64).tolist(),
            "matrix": face.matrix.double().tolist(),
        }
        for crop, face in zip(row.crops, placed.faces, strict=True)
    ]
    return {
        "picture": row.picture,
        "width": placed.frame_size[1],
        "height": placed.frame_size[0],
        "mark": None if mark is None else base64.b64encode(mark.tobytes()).decode("ascii"),
        "faces": faces,
    }


class _Reader:
    """Reads one picture of a file; whatever is wrong is said with the name of the file."""

    def __init__(self, path: str | Path, number: int) -> None:
        self._problem = f"{path} is damaged in picture {number}"

    def picture(self, value: Any) -> PicturePlaces:
        """The faces of a picture."""
        table = self._table(value, picture=str, width=int, height=int, faces=list)
        size = self._whole(table, "height", 1, _MAX_SIDE), self._whole(table, "width", 1, _MAX_SIDE)
        faces = [self._face(face) for face in table["faces"]]
        crops = tuple(self._name(face["crop"]) for face in table["faces"])
        if len(set(crops)) < len(crops):
            raise self._error("two faces have one crop")
        mark = self._mark(table.get("mark"))
        if faces and mark is None:
            raise self._error("mark is missing")
        placed = PlacedFaces(tuple(faces), size, (mark,))
        return PicturePlaces(self._name(table["picture"]), crops, placed)

    def _face(self, value: Any) -> PlacedFace:
        table = self._table(value, crop=str, size=int, template=str, points=list, matrix=list)
        size = self._whole(table, "size", 1, _MAX_CROP)
        points = self._numbers(table["points"], (5, 2), "points")
        matrix = self._numbers(table["matrix"], (2, 3), "matrix")
        (a, b, _), (c, d, _) = matrix.tolist()
        scale = math.hypot(a, c)
        fits = scale * _MAX_REDUCTION >= 1.0 and _SPANS[0] <= size / scale <= _SPANS[1]
        if not fits or math.hypot(a - d, b + c) > _SKEW * scale:
            raise self._error("matrix is not of a turned and scaled picture")
        # Names that the product writes are short, and Python converts no text of thousands of digits.
        if len(table["template"]) > _MAX_TEMPLATE:
            raise self._error("template is unknown")
        template_points(table["template"], size)
        return PlacedFace(0, points, torch.from_numpy(matrix), size, table["template"])

    def _mark(self, value: Any) -> np.ndarray | None:
        if value is None:
            return None
        with decoding(f"{self._problem}: mark cannot be read", _REMEDY):
            return np.frombuffer(base64.b64decode(value, validate=True), np.uint8).reshape(MARK_SHAPE)

    def _name(self, name: str) -> str:
        """A path that leads nowhere else than below its folder."""
        if not _is_inner(name):
            raise self._error(f"{name[:80]!r} is no path below a folder")
        return name

    def _numbers(self, value: list[Any], shape: tuple[int, int], name: str) -> np.ndarray:
        rows = [row for row in value if isinstance(row, list) and len(row) == shape[1]]
        numbers = [number for row in rows for number in row]
        if (
            (len(rows), len(value)) != (shape[0], shape[0])
            or not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers)
            or not all(math.isfinite(one) and abs(one) <= _MAX_COORDINATE for one in numbers)
        ):
            raise self._error(f"{name} are no {shape[0]} x {shape[1]} numbers of a picture")
        return np.asarray(value, np.float32)

    def _whole(self, table: dict[str, Any], name: str, least: int, most: int) -> int:
        if not least <= table[name] <= most:
            raise self._error(f"{name} is not from {least} to {most}")
        return int(table[name])

    def _table(self, value: Any, **kinds: type) -> dict[str, Any]:
        return require_table(value, self._problem, _REMEDY, **kinds)

    def _error(self, reason: str) -> StyleSwapError:
        return StyleSwapError(f"{self._problem} ({reason}); {_REMEDY}")
