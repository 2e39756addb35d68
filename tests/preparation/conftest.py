"""Fixtures: people of the face world as picture files, and the set prepared from them."""

import dataclasses

import pytest
from killed_worker import SETTINGS as KILLED_SETTINGS
from picture_files import write_picture

from styleswap_core.io.images import to_uint8
from styleswap_core.preparation.prepare import prepare

PICTURES = 3
SETTINGS = dataclasses.replace(KILLED_SETTINGS, duplicate_distance=8)


@pytest.fixture(scope="session")
def pictures(rendered):
    return to_uint8(rendered.image)


@pytest.fixture(scope="session")
def people_folder(pictures, tmp_path_factory):
    """Folder with person0/0.jpg and so on."""
    folder = tmp_path_factory.mktemp("in") / "people"
    for number, picture in enumerate(pictures):
        write_picture(folder / f"person{number // PICTURES}" / f"{number % PICTURES}.jpg", picture)
    return folder


@pytest.fixture(scope="session")
def prepared_folder(people_folder, tmp_path_factory):
    """The set of `people_folder`, with one person per folder."""
    out = tmp_path_factory.mktemp("out") / "set"
    prepare(people_folder, out, dataclasses.replace(SETTINGS, people="folders"))
    return out
