"""Photographs of nobody and networks for them, in a folder beside the repository that is no part of it."""

import os
from pathlib import Path

import pytest

REAL_FACES = Path(os.environ.get("STYLESWAP_REAL_FACES", Path(__file__).parents[3] / "shared/real_faces"))
PACK = REAL_FACES / "insightface_form"
RECOGNIZER = PACK / "omz_reid0095_512.onnx"
PORTRAITS = REAL_FACES / "portraits"

needs_real_faces = pytest.mark.skipif(not RECOGNIZER.is_file(), reason=f"{REAL_FACES} is not there")
