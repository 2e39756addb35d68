"""Fixtures: faces of the face world with the ground truth of their masks."""

import pytest

from styleswap_core.devices import one_thread
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import render


@pytest.fixture(scope="session")
def rendered():
    """Twelve pictures of 128 px, three of each person."""
    people = [seed for seed in list(IDENTITY_SEEDS["test"])[:4] for _ in range(3)]
    attributes = list(ATTRIBUTE_SEEDS["test"])[: len(people)]
    with one_thread():
        return render(Identities.from_seeds(people), Attributes.from_seeds(attributes), size=128)
