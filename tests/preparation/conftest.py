"""Fixtures: people of the face world as picture files, and the set prepared from them."""

import dataclasses

import pytest
from killed_worker import SETTINGS as KILLED_SETTINGS
from picture_files import write_picture

from styleswap_core.devices import one_thread
from styleswap_core.io.images import to_uint8
from styleswap_core.preparation.prepare import prepare
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import render

PEOPLE, PICTURES, SIDE = 4, 3, 128
SETTINGS = dataclasses.replace(KILLED_SETTINGS, duplicate_distance=8)


@pytest.fixture(scope="session")
def rendered():
    """PEOPLE * PICTURES pictures of the face world, ordered by person."""
    people = [seed for seed in list(IDENTITY_SEEDS["test"])[:PEOPLE] for _ in range(PICTURES)]
    attributes = list(ATTRIBUTE_SEEDS["test"])[: len(people)]
    with one_thread():
        return render(Identities.from_seeds(people), Attributes.from_seeds(attributes), size=SIDE)


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
