"""The pipeline with a small random generator and faces at given positions."""

import numpy as np
import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.choice import FaceChoice
from styleswap_core.faces.detected import DetectedFace, order_faces
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.io.images import from_uint8, to_uint8
from styleswap_core.model import Generator, GeneratorOutput
from styleswap_core.model.generator_config import preset
from styleswap_core.pipeline.swap_options import SwapOptions
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.styleswap_network import StyleSwapNetwork, domain_notice, run_generator


def unit(seed):
    return torch.nn.functional.normalize(torch.randn(512, generator=torch.Generator().manual_seed(seed)), dim=0)


def swap(generator, analysis, picture, identity, faces="largest", sha256="", **options):
    model = StyleSwapNetwork(generator, sha256=sha256, baked=False)
    return Swapper(model, analysis, SwapOptions(**options)).swap(picture, identity, faces)


class KnownFaces:
    """Face analysis with given faces; an embedding is a projection of the pixels of a face."""

    recognizer = RecognizerId("projection", "a" * 64)

    def __init__(self, *centers, side=80.0):
        self.side = side
        self.faces = [self._face(*center) for center in centers]
        self.projection = np.random.default_rng(0).standard_normal((512, 3)).astype(np.float32)

    def _face(self, x, y):
        points = template_points("ffhq", 1).numpy() * self.side + [x - self.side / 2, y - self.side / 2]
        box = np.float32([x - self.side / 3, y - self.side / 3, x + self.side / 3, y + self.side / 2])
        return DetectedFace(0, 0.9, box, points.astype(np.float32))

    def detect(self, picture, order="largest", embed=True, quick=False):
        # Black frames have no faces.
        return order_faces(self.faces, order) if picture.any() else []

    def embed(self, picture, points):
        x, y = np.clip(points[2].astype(int), 0, [picture.shape[1] - 1, picture.shape[0] - 1])
        color = picture[max(0, y - 4) : y + 4, max(0, x - 4) : x + 4].reshape(-1, 3).mean(0) + 1.0
        embedding = self.projection @ color.astype(np.float32)
        return embedding / np.linalg.norm(embedding)


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    made = Generator(preset("tiny")).eval()
    # An untrained mask is about one half everywhere; this bump in the middle is like a trained one.
    center = 1.0 - torch.linspace(-1.6, 1.6, 32).square()
    bump = torch.sigmoid(6 * torch.minimum(center[:, None], center[None, :]))[None, None]

    class WithFaceMask(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.config = made, made.config
            self.encode, self.map_identity, self.broadcast = made.encode, made.map_identity, made.broadcast

        def _masked(self, output, crop):
            mask = bump.expand(len(crop), -1, -1, -1)
            return output._replace(mask=mask, image=torch.lerp(crop, output.rgb, mask))

        def synthesis(self, w_plus, attributes, crop):
            return self._masked(self.inner.synthesis(w_plus, attributes, crop), crop)

    return WithFaceMask()


@pytest.fixture
def identity():
    return Identity(unit(1), RecognizerId("projection", "a" * 64))


@pytest.fixture(scope="module")
def target():
    return np.random.default_rng(2).integers(1, 256, (160, 240, 3), dtype=np.uint8)


def test_only_the_face_changes(generator, identity, target):
    before = target.copy()
    result = swap(generator, KnownFaces((120, 80)), target, identity)
    assert np.array_equal(target, before), "the caller's picture is not written to"
    assert result.image.dtype == np.uint8 and result.image.shape == target.shape
    assert tuple(result.mask.shape) == (160, 240) and result.mask.max() > 0.9
    untouched = (result.mask == 0).numpy()
    assert np.array_equal(result.image[untouched], target[untouched]) and untouched.mean() > 0.7
    assert not np.array_equal(result.image, target)


def test_a_generator_that_returns_its_input_does_not_change_the_picture(identity):
    """If rgb is the crop itself, only resampling changes the picture: the crop is pasted where it came from."""

    class Mirror(torch.nn.Module):
        config = preset("demo-128")

        def __init__(self):
            super().__init__()
            self.anchor = torch.nn.Parameter(torch.zeros(1))

        def map_identity(self, id_embedding):
            return id_embedding

        def broadcast(self, w):
            return w[:, None]

        def encode(self, crop):
            return []

        def synthesis(self, w_plus, attributes, crop):
            return GeneratorOutput(crop, crop, torch.ones_like(crop[:, :1]), [])

    y, x = np.mgrid[0:300, 0:300]
    picture = np.stack([x * 0.8, y * 0.8, 120 + 60 * np.sin(x / 20) * np.sin(y / 17)], -1).astype(np.uint8)
    for side in (90.0, 128.0, 240.0):
        result = swap(Mirror(), KnownFaces((150.3, 149.6), side=side), picture, identity)
        difference = np.abs(result.image.astype(int) - picture)
        assert result.mask.max() == 1.0 and difference.max() <= 2 and difference.mean() < 0.5


def test_float_and_uint8_targets_agree(generator, identity, target):
    analyzer = KnownFaces((120, 80))
    as_array = swap(generator, analyzer, target, identity)
    as_tensor = swap(generator, analyzer, from_uint8(target)[0], identity)
    assert as_tensor.image.shape == (3, 160, 240) and as_tensor.mask.shape == (160, 240)
    assert np.abs(to_uint8(as_tensor.image[None])[0].astype(int) - as_array.image).max() <= 1
    assert torch.allclose(as_tensor.mask, as_array.mask)
    untouched = (as_tensor.mask == 0).expand(3, -1, -1)
    assert torch.equal(as_tensor.image[untouched], from_uint8(target)[0][untouched])


def test_a_batch_equals_its_pictures_one_by_one(generator, identity, target):
    frames = torch.cat([from_uint8(target), torch.full((1, 3, 160, 240), -1.0), from_uint8(target[::-1])])
    analyzer = KnownFaces((60, 80), (180, 80))
    swapper = Swapper(StyleSwapNetwork(generator, baked=False), analyzer, SwapOptions(batch_size=3))
    together = list(swapper.swap_frames(frames, identity, "all"))
    for i in (0, 2):
        alone = swap(generator, analyzer, frames[i], identity, "all")
        assert torch.allclose(together[i].image, alone.image, atol=1e-4)
    assert torch.equal(together[1].image, frames[1]), "a frame without a face stays as it is"
    faces = [(face.picture, face.face.index) for result in together for face in result.faces]
    assert faces == [(0, 0), (0, 1), (2, 0), (2, 1)]


def test_only_chosen_faces_are_swapped(generator, identity, target):
    analyzer = KnownFaces((60, 80), (180, 80))
    result = swap(generator, analyzer, target, identity, FaceChoice.parse("1", "left-right"))
    assert [swapped.face.index for swapped in result.faces] == [1]
    assert result.mask[..., :120].max() == 0 and result.mask[..., 120:].max() > 0.9
    both = swap(generator, analyzer, target, identity, FaceChoice.parse([0, 1], "left-right"))
    assert both.mask[..., :120].max() > 0.9 and np.array_equal(both.image[:, 140:], result.image[:, 140:])


def test_report(generator, identity, target):
    result = swap(generator, KnownFaces((120, 80), side=64), target, identity)
    (swapped,) = result.faces
    assert swapped.scale == pytest.approx(32 / 64, rel=1e-3)
    assert -1 <= swapped.similarity <= 1 and swapped.similarity != swapped.similarity_before
    expected = KnownFaces((120, 80)).embed(result.image, swapped.face.points) @ identity.id_embedding.numpy()
    assert swapped.similarity == pytest.approx(float(expected), abs=1e-5)
    foreign = Identity(unit(1), RecognizerId("another", "b" * 64))
    assert swap(generator, KnownFaces((120, 80)), target, foreign).faces[0].similarity is None


def test_faces_at_the_picture_edge(generator, identity, target):
    for center in ((0, 0), (240, 160), (-10, 80), (120, 155)):
        result = swap(generator, KnownFaces(center), target, identity)
        assert result.image.shape == target.shape


def test_a_picture_of_12000_px_is_swapped(generator, identity):
    picture = np.zeros((12000, 3000, 3), dtype=np.uint8)
    picture[5600:6400, 1000:2000] = 90
    result = swap(generator, KnownFaces((1500, 6000), side=700), picture, identity)
    assert result.mask[6000, 1500] > 0.9 and not np.array_equal(result.image[6000, 1500], picture[6000, 1500])


def test_w_plus_is_used_for_its_generator_only(generator, identity, target):
    analyzer = KnownFaces((120, 80))
    with torch.no_grad():
        w_plus = generator.inner.broadcast(generator.inner.mapping(identity.id_embedding[None]))[0]
    inverted = Identity(unit(5), RecognizerId("projection", "a" * 64), w_plus=w_plus, generator_sha256="c" * 64)
    result = swap(generator, analyzer, target, inverted, sha256="c" * 64)
    plain = swap(generator, analyzer, target, identity)
    assert np.abs(result.image.astype(int) - plain.image).max() <= 1
    with pytest.raises(StyleSwapError, match="another model"):
        swap(generator, analyzer, target, inverted, sha256="d" * 64)


def test_the_identity_must_match_the_recognizer(target):
    torch.manual_seed(0)
    generator = Generator(preset("tiny", recognizer="projection")).eval()
    analyzer = KnownFaces((120, 80))
    swap(generator, analyzer, target, Identity(unit(1), RecognizerId("projection")))
    with pytest.raises(StyleSwapError, match="projection.*w600k_r50"):
        swap(generator, analyzer, target, Identity(unit(1), RecognizerId("w600k_r50")))


def test_mask_options(generator, identity, target):
    analyzer = KnownFaces((120, 80))
    plain = swap(generator, analyzer, target, identity).mask.sum()
    assert swap(generator, analyzer, target, identity, mask_grow=3).mask.sum() > plain
    assert swap(generator, analyzer, target, identity, mask_grow=-3).mask.sum() < plain
    soft = swap(generator, analyzer, target, identity, mask_feather=6.0)
    sharp = swap(generator, analyzer, target, identity)
    assert soft.mask.diff(dim=0).abs().max() < sharp.mask.diff(dim=0).abs().max()


@pytest.mark.parametrize("inverted", [False, True])
def test_strength_interpolates_from_the_target_to_the_source(generator, identity, target, inverted):
    analyzer = KnownFaces((120, 80))
    own = Identity(
        torch.from_numpy(analyzer.embed(target, analyzer.faces[0].points)), RecognizerId("projection", "a" * 64)
    )
    if inverted:
        with torch.no_grad():
            w_plus = generator.broadcast(generator.map_identity(identity.id_embedding[None]))[0]
        identity = Identity(
            identity.id_embedding, RecognizerId("projection", "a" * 64), w_plus=w_plus, generator_sha256="c" * 64
        )

    def swapped(who, strength):
        sha = who.generator_sha256
        return swap(generator, analyzer, target, who, strength=strength, sha256=sha).image.astype(int)

    assert np.abs(swapped(identity, 0.0) - swapped(own, 1.0)).max() <= 1
    half = swapped(identity, 0.5)
    to_source, to_own = (np.abs(half - swapped(who, 1.0)).mean() for who in (identity, own))
    assert 0 < to_source < np.abs(swapped(own, 1.0) - swapped(identity, 1.0)).mean() and to_own > 0


def test_strength_interpolates_in_w(generator, identity):
    crops, own = torch.rand(2, 3, 32, 32) * 2 - 1, torch.stack([unit(7), unit(8)])
    people = [identity, Identity(unit(3), RecognizerId("projection", "a" * 64))]
    with torch.no_grad():
        mixed = run_generator(generator, crops, people, own, 0.25)
        source = generator.map_identity(torch.stack([who.id_embedding for who in people]))
        w = 0.75 * generator.map_identity(own) + 0.25 * source
        expected = generator.synthesis(generator.broadcast(w), generator.encode(crops), crops)
    assert torch.allclose(mixed.rgb, expected.rgb, atol=1e-5)


def test_strength_errors(generator, identity, target):
    analyzer = KnownFaces((120, 80))
    for strength in (-0.1, 1.6, float("nan")):
        with pytest.raises(StyleSwapError, match="strength from 0 to 1.5"):
            swap(generator, analyzer, target, identity, strength=strength)
    with pytest.raises(StyleSwapError, match="recognizer that made"):
        swap(generator, analyzer, target, Identity(unit(1), RecognizerId("another")), strength=0.5)


def test_no_face_is_an_error(generator, identity, target):
    with pytest.raises(StyleSwapError, match="no face found"):
        swap(generator, KnownFaces(), target, identity)
    with pytest.raises(StyleSwapError, match="no face 4, 1 face found"):
        swap(generator, KnownFaces((120, 80)), target, identity, "4")


@pytest.mark.parametrize(
    "target",
    [
        np.zeros((64, 64, 3), np.float32),
        np.zeros((64, 64), np.uint8),
        torch.zeros(1, 3, 64, 64),
        torch.zeros(64, 64, 3),
    ],
)
def test_invalid_targets_are_refused(generator, identity, target):
    with pytest.raises(StyleSwapError, match="expected a target"):
        swap(generator, KnownFaces((32, 32)), target, identity)


def test_a_synthetic_model_has_a_notice_unless_the_picture_is_rendered():
    assert "rendered faces" in domain_notice({"domain": "synthetic"})
    assert domain_notice({"domain": "synthetic"}, rendered=True) is None
    assert domain_notice({"domain": "photographs"}) is None and domain_notice(None) is None
