"""What decides the result of a preparation; the same settings over the same files give the same bytes."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..errors import StyleSwapError
from ..faces.alignment import TEMPLATES

PEOPLE = ("cluster", "folders")
IMAGE_FORMATS = ("jpg", "png")


@dataclass(frozen=True)
class Settings:
    """Made consistent on construction.

    Attributes:
        size: side of the crops, px.
        template: where the five points lie in a crop, a name of `faces.alignment.TEMPLATES`.
        pack: insightface pack, by name or folder; "" for the demo pack.
        parsing: ONNX file of a face parsing model for the masks; "" makes them from landmarks.
        parsing_classes: which of its classes are face; empty: those of CelebAMask-HQ's order, see `parsing`.
        people: "cluster" finds people by their embeddings, "folders" takes each first-level folder as one person.
        likeness: cosine to a person's mean embedding from which a picture is that person's (clustering alone); 0: 0.62
            with the demo pack, whose recognizer holds strangers for more alike than others do, and 0.45 with any other.
        min_side: smallest side in the picture, px, of the square that becomes a crop; 0: two thirds of `size`.
        min_score: the detector's confidence, 0..1.
        max_blur: 0 (sharp) .. 1, see `quality.blur`.
        max_yaw, max_pitch: how far a face may be turned away, degrees.
        max_outside: share of the crop's area that may lie beyond the picture.
        duplicate_distance: bits of 64 in which the hashes of duplicates may differ; -1 keeps duplicates.
        frame_seconds: distance between the frames of a video that are looked at.
        image_format: of the crops: "jpg" (quality 95, full color resolution) or "png".
        shard_pictures: pictures in a shard.

    Raises:
        StyleSwapError: a value out of range, named.
    """

    size: int = 256
    template: str = "ffhq"
    pack: str = ""
    parsing: str = ""
    parsing_classes: tuple[int, ...] = ()
    people: str = "cluster"
    likeness: float = 0.0
    min_side: int = 0
    min_score: float = 0.6
    max_blur: float = 0.65
    max_yaw: float = 60.0
    max_pitch: float = 45.0
    max_outside: float = 0.25
    duplicate_distance: int = 8
    frame_seconds: float = 1.0
    image_format: str = "jpg"
    shard_pictures: int = 1000

    def __post_init__(self) -> None:
        object.__setattr__(self, "parsing_classes", tuple(self.parsing_classes))
        if not self.min_side:
            object.__setattr__(self, "min_side", round(self.size * 2 / 3))
        if not self.likeness:
            object.__setattr__(self, "likeness", 0.45 if self.pack else 0.62)
        self._check_choice("template", sorted(TEMPLATES))
        self._check_choice("people", PEOPLE)
        self._check_choice("image_format", IMAGE_FORMATS)
        for name, low, high in (
            ("size", 16, 2048),
            ("likeness", 0.0, 1.0),
            ("min_side", 1, 1 << 16),
            ("min_score", 0.05, 1.0),
            ("max_blur", 0.0, 1.0),
            ("max_yaw", 1.0, 90.0),
            ("max_pitch", 1.0, 90.0),
            ("max_outside", 0.0, 1.0),
            ("duplicate_distance", -1, 32),
            ("frame_seconds", 0.0, 86400.0),
            ("shard_pictures", 1, 1_000_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise StyleSwapError(f"{name}: expected a value from {low} to {high}, got {value}; change it")

    def _check_choice(self, name: str, known: list[str] | tuple[str, ...]) -> None:
        if getattr(self, name) not in known:
            raise StyleSwapError(f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}; change it")

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return dataclasses.asdict(self) | {"parsing_classes": list(self.parsing_classes)}
