"""Inversion from pictures: missing faces, recognizers, cancellation, saved identities, notes."""

import math

import numpy as np
import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.detected import DetectedFace
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity_format import load_identity, save_identity
from styleswap_core.inversion import Callbacks, Canceled, InversionSettings, InvertibleGenerator, invert
from styleswap_core.model import Generator
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.styleswap_network import StyleSwapNetwork

SETTINGS = InversionSettings(steps=2, check_every=1, guide_batch=2, views=1, rendered_guides=2, precision="float32")
SHA = "c" * 64


class CenteredFace:
    """A face analysis that detects one centered face in every picture that is not black."""

    recognizer = RecognizerId("tiny", "a" * 64)

    def detect(self, picture, order="largest", embed=True, quick=False):
        if not picture.any():
            return []
        side = min(picture.shape[:2])
        points = (template_points("ffhq", 1).numpy() * side).astype(np.float32)
        return [DetectedFace(0, 0.9, np.float32([0, 0, side, side]), points, self.embed(picture, points))]

    def embed(self, picture, points):
        embedding = np.random.default_rng(int(picture[0, 0, 0])).standard_normal(512).astype(np.float32)
        return embedding / np.linalg.norm(embedding)


def picture(seed):
    made = np.random.default_rng(seed).integers(1, 256, (48, 48, 3), dtype=np.uint8)
    made[0, 0, 0] = seed
    return made


BLACK = np.zeros((48, 48, 3), np.uint8)


@pytest.fixture
def run(generator, recognizer):
    def run(sources, guides=(), settings=SETTINGS, sha=SHA, generator=generator, **more):
        return invert(
            InvertibleGenerator(generator, sha),
            CenteredFace(),
            sources,
            guides,
            settings=settings,
            recognizer=recognizer,
            **more,
        )

    return run


def test_the_identity_records_its_origin(run, generator):
    inversion = run([picture(1)], [picture(2), picture(3)], source_hashes=["f" * 64])
    identity = inversion.identity
    assert identity.w_plus.shape == (generator.num_ws, 16) and identity.generator_sha256 == SHA
    assert identity.recognizer == RecognizerId("tiny", "a" * 64) and identity.sources == ("f" * 64,)
    assert np.allclose(identity.id_embedding.numpy(), CenteredFace().embed(picture(1), None), atol=1e-6)
    assert (inversion.outcome.guides, inversion.outcome.held_out, inversion.guides_rendered) == (1, 1, 0)


def test_a_saved_identity_swaps_the_same_pixels(run, generator, tmp_path):
    identity = run([picture(1)], [picture(2), picture(3)]).identity
    save_identity(tmp_path / "id.safetensors", identity)
    results = [
        Swapper(StyleSwapNetwork(generator, sha256=SHA, baked=False), CenteredFace()).swap(picture(4), who).image
        for who in (identity, load_identity(tmp_path / "id.safetensors"))
    ]
    assert np.array_equal(*results)


def test_an_identity_of_another_generator_is_refused(run, generator):
    identity = run([picture(1)], [picture(2), picture(3)]).identity
    with pytest.raises(StyleSwapError, match="another model"):
        Swapper(StyleSwapNetwork(generator, sha256="d" * 64), CenteredFace()).swap(picture(4), identity)


def test_guides_without_a_face_are_skipped_and_counted(run):
    inversion = run([picture(1)], [BLACK, picture(2), BLACK, picture(3)])
    assert inversion.guides_skipped == 2 and inversion.outcome.guides + inversion.outcome.held_out == 2
    assert any("without a face, skipped: 2" in note for note in inversion.notes())


def test_rendered_guides_join_a_single_guide(run):
    inversion = run([picture(1)], [picture(2)])
    assert inversion.guides_rendered == 2 and inversion.outcome.guides + inversion.outcome.held_out == 3


def test_without_guides_some_are_rendered(run):
    assert run([picture(1)]).guides_rendered == 2


def test_guides_without_any_face_are_refused(run):
    with pytest.raises(StyleSwapError, match="none of the 2 pictures"):
        run([picture(1)], [BLACK, BLACK])


def test_sources_without_a_face_are_refused(run):
    with pytest.raises(StyleSwapError, match="picture 2 of 2 shows none"):
        run([picture(1), BLACK], [picture(2), picture(3)])
    with pytest.raises(StyleSwapError, match="at least one source"):
        run([])


def test_embeddings_of_several_sources_are_averaged(run):
    identity = run([picture(1), picture(2)], [picture(3), picture(4)]).identity
    mean = sum(CenteredFace().embed(picture(seed), None) for seed in (1, 2))
    assert np.allclose(identity.id_embedding.numpy(), mean / np.linalg.norm(mean), atol=1e-5)


def test_another_recognizer_than_the_generators_is_refused(run, generator):
    torch.manual_seed(0)
    foreign = Generator(generator.config.replace(recognizer="w600k_r50")).eval()
    with pytest.raises(StyleSwapError, match="w600k_r50.*tiny"):
        run([picture(1)], generator=foreign)


def test_a_missing_hash_of_the_generator_is_refused(run):
    with pytest.raises(StyleSwapError, match="SHA-256"):
        run([picture(1)], sha="")


@pytest.mark.parametrize("guides", [[], [picture(2), picture(3)]])
@pytest.mark.parametrize("calls", [0, 2])
def test_canceling_before_the_search_raises(run, monkeypatch, guides, calls):
    monkeypatch.setenv("STYLESWAP_CACHE", "")  # cached guides would leave nothing to cancel
    asked = []
    with pytest.raises(Canceled):
        run([picture(1)], guides, callbacks=Callbacks(canceled=lambda: asked.append(1) or len(asked) > calls))


def test_notes_explain_the_outcome(run, generator):
    guides = [picture(2), picture(3)]
    assert any("plain identity" in note for note in run([picture(1)], guides, InversionSettings(steps=0)).notes())
    assert any("no room" in note for note in run([picture(1)], guides, InversionSettings(trust=1.0)).notes())
    with torch.no_grad():
        generator.synthesis.blocks["16"].to_rgb.bias.fill_(math.nan)
    assert any(
        "stopped at step 1 because" in note and "from step 0, was kept" in note
        for note in run([picture(1)], guides).notes()
    )
    with torch.no_grad():
        generator.synthesis.blocks["16"].to_rgb.bias.zero_()
    asked = []
    canceled = run([picture(1)], guides, callbacks=Callbacks(canceled=lambda: asked.append(1) or len(asked) > 4))
    assert canceled.canceled and "canceled after 0 steps" in canceled.notes()[0]
    assert math.isnan(canceled.outcome.likeness)
