"""A small folder of people of the face world as picture files, and the set that is prepared from it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from styleswap_core.devices import one_thread
from styleswap_core.io.images import to_uint8
from styleswap_core.preparation.preparation_settings import Settings
from styleswap_core.preparation.prepare import prepare
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import render

PEOPLE, PICTURES, SIDE = 4, 3, 128
SETTINGS = Settings(size=64, min_side=30, shard_pictures=5, max_yaw=80, max_pitch=80, max_outside=0.5, min_score=0.5)


def write(path: Path, picture: np.ndarray, quality: int = 95) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())
    return path


@pytest.fixture(scope="session")
def rendered():
    """PEOPLE * PICTURES pictures of the face world, person after person."""
    people = [seed for seed in list(IDENTITY_SEEDS["test"])[:PEOPLE] for _ in range(PICTURES)]
    settings = list(ATTRIBUTE_SEEDS["test"])[: len(people)]
    with one_thread():
        return render(Identities.from_seeds(people), Attributes.from_seeds(settings), size=SIDE)


@pytest.fixture(scope="session")
def pictures(rendered):
    return to_uint8(rendered.image)


@pytest.fixture(scope="session")
def people_folder(pictures, tmp_path_factory):
    """IN_DIR/person0/0.jpg ..."""
    folder = tmp_path_factory.mktemp("in") / "people"
    for number, picture in enumerate(pictures):
        write(folder / f"person{number // PICTURES}" / f"{number % PICTURES}.jpg", picture)
    return folder


@pytest.fixture(scope="session")
def prepared_folder(people_folder, tmp_path_factory):
    """The set of `people_folder`, each folder one person."""
    out = tmp_path_factory.mktemp("out") / "set"
    prepare(people_folder, out, settings(people="folders"))
    return out


def settings(**changes) -> Settings:
    return Settings(**{**SETTINGS.to_dict(), **changes})
