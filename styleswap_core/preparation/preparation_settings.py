"""Settings of a preparation; the same settings for the same files give the same bytes."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..errors import StyleSwapError
from ..faces.alignment import TEMPLATES

PEOPLE = ("cluster", "folders")
IMAGE_FORMATS = ("jpg", "png")


@dataclass(frozen=True)
class PreparationSettings:
    """Settings of a preparation; construction replaces the values 0 of `likeness` and `min_side` by their defaults.

    Attributes:
        size: Size of the crops in pixels.
        template: Crop template, a key of `faces.alignment.TEMPLATES`.
        pack: insightface pack, by name or folder; "" for the demo pack.
        parsing: ONNX file of a face parsing model for the masks; "" for masks from landmarks.
        parsing_classes: Regions of that model that are face, by name or number; empty for those of a bare face, see
            masking/face_parsing.py.
        people: "cluster" groups pictures by their embeddings, "folders" takes each first-level folder as one person.
        likeness: Minimum cosine similarity to a person's mean embedding, for clustering only. 0: 0.62 with the demo
            pack, whose recognizer finds strangers more similar than others do, and 0.45 with any other.
        detection_size: Side in pixels to which pictures are scaled for detection; 0: automatic.
        min_side: Minimum side of the square that becomes a crop, in pixels of the picture; 0: two thirds of `size`.
        min_score: Minimum score of the detector, 0..1.
        max_blur: Maximum blur, 0 (sharp) to 1, see `face_quality.blur`.
        max_yaw: Maximum yaw in degrees.
        max_pitch: Maximum pitch in degrees.
        max_outside: Maximum share of the crop outside the picture.
        duplicate_distance: Bits, out of 64, in which the hashes of duplicates may differ; -1 keeps duplicates.
        frame_seconds: Interval between the frames of a video that are examined.
        image_format: Format of the crops, "jpg" (quality 95, without chroma subsampling) or "png".
        shard_pictures: Pictures per shard.
        ignore_training_opt_outs: Whether to use files whose metadata forbid training, too.

    Raises:
        StyleSwapError: A value is out of range; the message names it.
    """

    size: int = 256
    template: str = "ffhq"
    pack: str = ""
    parsing: str = ""
    parsing_classes: tuple[str | int, ...] = ()
    people: str = "cluster"
    likeness: float = 0.0
    detection_size: int = 0
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
    ignore_training_opt_outs: bool = False

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
            ("detection_size", 0, 1 << 16),
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
                raise StyleSwapError(f"{name}: expected a value from {low} to {high}, got {value}")

    def _check_choice(self, name: str, known: list[str] | tuple[str, ...]) -> None:
        if getattr(self, name) not in known:
            raise StyleSwapError(f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return dataclasses.asdict(self) | {"parsing_classes": list(self.parsing_classes)}
