"""Gender and age of detected faces, as a network of insightface's larger packs estimates them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import StyleSwapError
from .boxes import longer_side
from .close_looks import Place, cut_place
from .detected import DetectedFace
from .packs import load_model_file

FILE = "genderage.onnx"
GENDERS = ("female", "male")
"""In the order of the network's scores."""
# Faces that are turned further are turned upright for the network, which sees 1.5 times the face's box.
_UPRIGHT_DEGREES = 30.0
_MARGIN, _CUT_SIZE = 2.0, 192
NO_GENDER_AGE = (
    f"a choice by gender or age needs a face analysis pack with {FILE}, such as insightface's buffalo_l; use one, or"
    " choose faces in another way"
)


class GenderAgeModel:
    """Network for gender and age, made by `load_gender_age` or `adopt_gender_age`."""

    def __init__(self, model: Any) -> None:
        # insightface's `Attribute`, which comes without types.
        self._model = model

    def describe(self, picture: np.ndarray, faces: Sequence[DetectedFace]) -> list[DetectedFace]:
        """The faces of a picture (H, W, 3) uint8 RGB with `gender` and `age`."""
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        return [self._described(bgr, face) for face in faces]

    def _described(self, bgr: np.ndarray, face: DetectedFace) -> DetectedFace:
        from insightface.app.common import Face

        box = np.asarray(face.box, dtype=np.float64)
        if abs(face.angle) > _UPRIGHT_DEGREES:
            # The network knows upright faces only.
            side = longer_side(box)
            place = Place((box[:2] + box[2:]) / 2, side * _MARGIN, face.angle)
            bgr, low = cut_place(bgr, place, _CUT_SIZE), _CUT_SIZE * (1 - 1 / _MARGIN) / 2
            box = np.array([low, low, _CUT_SIZE - low, _CUT_SIZE - low])
        # insightface places the centers of pixels at integers.
        gender, age = self._model.get(bgr, Face(bbox=box - 0.5))
        return replace(face, gender=GENDERS[int(gender)], age=int(age))


def load_gender_age(folder: Path, threads: int = 0, providers: Sequence[str] | None = None) -> GenderAgeModel | None:
    """Network in a pack's folder, or None if it has none.

    Args:
        folder: Folder of the pack, see `packs.find_pack`.
        threads: CPU threads of ONNX Runtime; 0 leaves the choice to it.
        providers: Execution providers of ONNX Runtime; by default the best available.

    Raises:
        StyleSwapError: insightface is missing, or the file is damaged or another network.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    model = load_model_file(path, threads, providers)
    if getattr(model, "taskname", "") != "genderage":
        raise StyleSwapError(f"expected a network for gender and age in {path}, got another one; replace the file")
    return GenderAgeModel(model)


def adopt_gender_age(models: Mapping[str, Any]) -> GenderAgeModel | None:
    """Network out of the models of an insightface `FaceAnalysis`, or None if it has none loaded."""
    return GenderAgeModel(models["genderage"]) if "genderage" in models else None
