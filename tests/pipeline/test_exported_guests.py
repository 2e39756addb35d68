"""The demo generator, exported in the form of other networks and run like one, against itself."""

import pytest
import torch
import torch.nn.functional as F

from styleswap_core.checkpoints import DEMO_MODEL, load_generator
from styleswap_core.export.guest_onnx import export_guest
from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.identities.identity import Identity
from styleswap_core.model.generator_output import composite
from styleswap_core.pipeline.swap_options import SwapOptions
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.model_files import load_model
from styleswap_core.swappers.network import SwappedCrops
from styleswap_core.swappers.styleswap_network import StyleSwapNetwork
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import render

# In -1..1: 2e-3 of a picture in 0..1.
TOLERANCE = 4e-3


class Composited(StyleSwapNetwork):
    """The generator with its picture composited over the target and no mask, as in inswapper's form."""

    has_mask = False

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        rgb, mask = super().swap_crops(crops, identities, own_embeddings, strength)
        return SwappedCrops(composite(rgb, mask, crops).clamp(-1, 1), torch.ones_like(mask))


@pytest.fixture(scope="module")
def analysis():
    return load_face_analysis()


@pytest.fixture(scope="module")
def pictures():
    """Pictures (2, 3, S, S), -1..1, of faces without glasses or occluders."""
    people = Identities.from_seeds(IDENTITY_SEEDS["test"][:2])
    attributes = Attributes.from_seeds(ATTRIBUTE_SEEDS["test"][:2], glasses=0.0, occluder=0.0)
    return render(people, attributes, size=256).image


@pytest.mark.parametrize(("form", "native"), [("hyperswap", StyleSwapNetwork), ("inswapper", Composited)])
@pytest.mark.parametrize("strength", [1.0, 1.3])
def test_the_same_picture_as_the_native_way(tmp_path, analysis, pictures, form, native, strength):
    generator, _ = load_generator(DEMO_MODEL)
    export_guest(tmp_path / "guest.onnx", generator.eval(), form, template_ok=True)
    guest = load_model(tmp_path / "guest.onnx", "cpu")
    assert guest.template == "ffhq" and guest.recognizer.matches(analysis.recognizer)
    direction = torch.randn(512, generator=torch.Generator().manual_seed(3))
    identity = Identity(F.normalize(direction, dim=0), analysis.recognizer)
    options = SwapOptions(strength=strength, resolution=1)
    embedding_space = strength != 1.0
    own = native(generator, baked=False)
    if embedding_space:
        # Guests are exaggerated among embeddings, the generator in w: give both what the guest's route makes of it.
        own = _Moved(own, strength)
    results = [Swapper(network, analysis, options).swap(pictures[0], identity) for network in (own, guest)]
    images = [torch.as_tensor(result.image) for result in results]
    assert (images[0] - pictures[0]).abs().max() > 0.2, "the face is swapped"
    assert (images[0] - images[1]).abs().max() < TOLERANCE


class _Moved:
    """The generator, with the strength applied to embeddings."""

    def __init__(self, network, strength):
        self.network, self.strength = network, strength

    def __getattr__(self, name):
        return getattr(self.network, name)

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        moved = [
            Identity(F.normalize(torch.lerp(own, identity.id_embedding, strength), dim=0), identity.recognizer)
            for own, identity in zip(own_embeddings, identities, strict=True)
        ]
        return self.network.swap_crops(crops, moved)


def test_a_batch_of_two_people(tmp_path, analysis, pictures):
    generator, _ = load_generator(DEMO_MODEL)
    export_guest(tmp_path / "guest.onnx", generator.eval(), "hyperswap", template_ok=True)
    guest, own = load_model(tmp_path / "guest.onnx", "cpu"), StyleSwapNetwork(generator, baked=False)
    embeddings = F.normalize(torch.randn(2, 512, generator=torch.Generator().manual_seed(3)), dim=1)
    identities = [Identity(embedding, analysis.recognizer) for embedding in embeddings]
    crops = F.interpolate(pictures, 128, mode="area")
    found, expected = guest.swap_crops(crops, identities), own.swap_crops(crops, identities)
    assert (composite(*found, crops) - composite(*expected, crops)).abs().max() < TOLERANCE
