"""Each family of guests: normalization, channels, layout, template, source and mask, on a network of its form."""

import cv2
import guest_forms as forms
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from styleswap_core.compositing.canvas import Canvas
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import estimate_similarity, template_points
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.identities.portraits import cut_portrait
from styleswap_core.identities.provenance import SwapFacts
from styleswap_core.swappers.guest_session import GuestSession, OutOfMemoryError
from styleswap_core.swappers.model_files import load_model
from styleswap_core.swappers.network import check_identity

ARCFACE = RecognizerId("w600k_r50")
CPU = torch.device("cpu")
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN, SIGNED = ((0.0,) * 3, (1.0,) * 3), ((0.5,) * 3, (0.5,) * 3)
# Name of the file, its writer, mean and deviation of the input, whether the output is -1..1, template, side, source.
VECTOR_FAMILIES = [
    ("inswapper_128", forms.write_inswapper, PLAIN, False, "arcface_128", 128, "emap"),
    (
        "inswapper_128_fp16",
        lambda path: forms.write_inswapper(path, half=True),
        PLAIN,
        False,
        "arcface_128",
        128,
        "emap",
    ),
    ("reswapper_128", forms.write_inswapper, PLAIN, False, "arcface_128", 128, "emap"),
    ("hyperswap_1a_256", forms.write_hyperswap, SIGNED, True, "arcface_128", 256, "embedding"),
    ("ghost_1_256", forms.write_ghost, SIGNED, True, "arcface_112_v1", 256, "converted"),
    ("simswap_256", forms.write_ghost, IMAGENET, False, "arcface_112_v1", 256, "converted, normalized"),
    (
        "simswap_unofficial_512",
        lambda path: forms.write_vector_form(path, size=512),
        PLAIN,
        False,
        "arcface_112_v1",
        512,
        "converted, normalized",
    ),
    ("hififace_unofficial_256", forms.write_ghost, SIGNED, True, "mtcnn_512", 256, "converted, normalized"),
]
# Five points as shares of the crop, as facefusion has them.
SHARES = {
    "arcface_128": ((0.36167656, 0.40387734), (0.63696719, 0.40235469), (0.50019687, 0.56044219)),
    "arcface_112_v1": ((0.35473214, 0.45658929), (0.64526786, 0.45658929), (0.5, 0.61154464)),
    "mtcnn_512": ((0.36562865, 0.46733799), (0.63305391, 0.46585885), (0.50019127, 0.61942959)),
    "ffhq_512": ((0.37691676, 0.46864664), (0.62285697, 0.46912813), (0.50123859, 0.61331904)),
    "dfl_whole_face": ((0.35342266, 0.39285716), (0.62797622, 0.39285716), (0.48660713, 0.5401786)),
}


def person(seed=0, norm=21.0, **more):
    return Identity(
        torch.randn(512, generator=torch.Generator().manual_seed(seed)), ARCFACE, embedding_norm=norm, **more
    )


def random_crops(count, size):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(5)) * 2 - 1


def source_vector(identity, route):
    """Source numbers (512,) of an identity."""
    embedding = identity.id_embedding.numpy().astype(np.float64)
    if route == "embedding":
        return embedding
    if route == "emap":
        mapped = embedding @ forms.EMAP
        return mapped / np.linalg.norm(mapped)
    converted = forms.convert(embedding * identity.embedding_norm)
    return converted / np.linalg.norm(converted) if route.endswith("normalized") else converted


def blend(crops, color, normalization, signed, limited=True):
    """What a network of `guest_forms` makes of crops -1..1 with colors (B, 3), as a picture 0..1.

    Pictures that come with a mask are not limited to that range.
    """
    mean, deviation = (np.array(values)[None, :, None, None] for values in normalization)
    seen = ((crops.numpy() + 1) / 2 - mean) / deviation
    result = forms.SHARE * seen + (1 - forms.SHARE) * color[:, :, None, None]
    picture = result * 0.5 + 0.5 if signed else result
    return np.clip(picture, 0, 1) if limited else picture


def assert_template(network, name, native):
    """The points of a crop are shares of its side plus half a pixel of a crop of `native` pixels."""
    points = template_points(network.template, network.size).numpy()
    expected = np.array(SHARES[name]) * network.size + 0.5 * network.size / native
    assert np.abs(points[:3] - expected).max() < 1e-3


@pytest.mark.parametrize(("name", "write", "normalization", "signed", "template", "size", "route"), VECTOR_FAMILIES)
def test_families_that_take_numbers(tmp_path, name, write, normalization, signed, template, size, route):
    path = write(tmp_path / f"{name}.onnx")
    for family in ("ghost", "simswap", "hififace"):
        forms.write_converter(tmp_path / f"crossface_{family}.onnx")
    network = load_model(path, "cpu")
    assert (network.size, network.name) == (size, f"{name} ({network.family.name})")
    assert_template(network, template, size)
    people, crops = [person(1), person(2), person(1)], random_crops(3, size)
    output = network.swap_crops(crops, people)
    color = np.stack([source_vector(one, route) @ forms.COLORS for one in people])
    expected = blend(crops, color, normalization, signed, limited=not network.has_mask)
    tolerance = 3e-3 if "fp16" in name else 1e-4
    assert np.abs((output.rgb.numpy() + 1) / 2 - expected).max() < tolerance
    assert network.has_mask == ("hyperswap" in name)
    seen = crops[:, :1].clamp(0, 1) if network.has_mask else torch.ones(3, 1, size, size)
    assert (output.mask - seen).abs().max() < 1e-6
    assert network.recognizer == ARCFACE and network.phased and network.device == CPU
    assert network.sha256[:16] in SwapFacts.of(network.sha256, people, 1.0).text


def test_a_larger_reswapper_sees_what_the_smaller_one_sees(tmp_path):
    forms.write_inswapper(tmp_path / "inswapper_128.onnx")
    network = load_model(forms.write_inswapper(tmp_path / "reswapper_256.onnx", size=256, emap=None), "cpu")
    assert_template(network, "arcface_128", 128)
    crops = random_crops(1, 256)
    expected = blend(crops, (source_vector(person(), "emap") @ forms.COLORS)[None], PLAIN, False)
    rgb = network.swap_crops(crops, [person()]).rgb.numpy()
    assert np.abs((rgb + 1) / 2 - expected).max() < 1e-4, "with the emap of the inswapper file beside it"


@pytest.mark.parametrize(
    ("name", "write", "normalization", "signed", "source"),
    [
        ("blendswap_256", forms.write_blendswap, PLAIN, False, ("arcface_112", 112)),
        ("uniface_256", forms.write_uniface, SIGNED, True, ("ffhq", 256)),
    ],
)
def test_families_that_take_a_picture(tmp_path, name, write, normalization, signed, source):
    network = load_model(write(tmp_path / f"{name}.onnx"), "cpu")
    assert_template(network, "ffhq_512", 256)
    # A smooth picture, so that all ways of resampling it agree.
    colors = np.random.default_rng(0).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    picture = cv2.resize(colors, (600, 500), interpolation=cv2.INTER_CUBIC)
    points = np.float32([[240, 200], [345, 210], [300, 270], [245, 320], [330, 330]])
    portrait = cut_portrait(picture, points)
    identity = person(portrait=portrait.picture, portrait_points=portrait.points)
    # As other programs cut the source: integer centers of pixels, on both sides.
    template, size = template_points(*source).numpy(), source[1]
    matrix = estimate_similarity(torch.from_numpy(points - 0.5)[None], torch.from_numpy(template))[0].numpy()
    shown = cv2.warpAffine(picture.astype(np.float32) / 255, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
    color = (forms.weights(size) * shown.transpose(2, 0, 1)[None]).sum((2, 3))
    crops = random_crops(2, 256)
    rgb = network.swap_crops(crops, [identity] * 2).rgb.numpy()
    expected = blend(crops, np.concatenate([color] * 2), normalization, signed)
    assert np.abs((rgb + 1) / 2 - expected).max() < 2e-3
    network.check(identity)
    with pytest.raises(StyleSwapError, match="takes a portrait of the source face.*portrait on in Save Identity"):
        check_identity(network, person())
    with pytest.raises(StyleSwapError, match="set the strength to 1"):
        network.swap_crops(crops, [identity] * 2, torch.zeros(2, 512), 0.5)


def test_dfm_files(tmp_path):
    network = load_model(forms.write_dfm(tmp_path / "Someone.dfm", size=96), "cpu")
    assert (network.name, network.size, network.has_mask) == ("Someone (dfm)", 96, True)
    assert not network.needs_identity and not network.recognizer
    assert_template(network, "dfl_whole_face", 96)
    crops = random_crops(2, 96)
    output = network.swap_crops(crops, [person(), person(1)])
    color = np.array([forms.COLOR_OF_DFM[::-1]] * 2)
    assert np.abs((output.rgb.numpy() + 1) / 2 - blend(crops, color, PLAIN, False)).max() < 1e-5
    blue, green = (crops[:, 2:] + 1) / 2, (crops[:, 1:2] + 1) / 2
    assert (output.mask - torch.minimum(blue, green)).abs().max() < 1e-6, "BGR, and the minimum of both masks"
    with pytest.raises(StyleSwapError, match="its strength is 1"):
        network.swap_crops(crops, [person()] * 2, torch.zeros(2, 512), 0.5)


def test_strength_of_a_dfm_file_is_its_morph_value(tmp_path):
    network = load_model(forms.write_dfm(tmp_path / "Someone.dfm", morph=True), "cpu")
    crops = random_crops(3, 64)
    for strength in (0.25, 1.0):
        rgb = network.swap_crops(crops, [person()] * 3, torch.zeros(3, 512), strength).rgb.numpy()
        assert np.abs((rgb + 1) / 2 - blend(crops, np.full((3, 3), strength), PLAIN, False)).max() < 1e-5
    with pytest.raises(StyleSwapError, match="at most 1"):
        network.swap_crops(crops, [person()] * 3, torch.zeros(3, 512), 1.2)


@pytest.mark.filterwarnings("ignore:`estimate` is deprecated")
def test_parity_with_insightface(tmp_path):
    """Aligned crop, latent and result of insightface's INSwapper, before it pastes."""
    from insightface.app.common import Face
    from insightface.model_zoo.inswapper import INSwapper
    from insightface.utils.face_align import norm_crop2

    path = forms.write_inswapper(tmp_path / "inswapper_128.onnx")
    colors = np.random.default_rng(0).random((12, 12, 3), dtype=np.float32)
    picture = cv2.resize(colors, (160, 160), interpolation=cv2.INTER_CUBIC).clip(0, 1) * 0.6 + 0.2
    points = np.float32([[60, 66], [90, 64], [77, 82], [64, 97], [89, 96]])
    source = person(3)
    theirs = INSwapper(str(path))
    crop, _ = norm_crop2(picture[..., ::-1] * 255, points, 128)
    blob = cv2.dnn.blobFromImage(crop, 1 / 255, (128, 128), (0, 0, 0), swapRB=True)
    latent = Face(embedding=source.id_embedding.numpy() * 21).normed_embedding[None] @ theirs.emap
    latent /= np.linalg.norm(latent)
    result = theirs.forward(crop.transpose(2, 0, 1)[None, ::-1], latent)

    network = load_model(path, "cpu")
    canvas = Canvas([torch.from_numpy(picture).permute(2, 0, 1) * 2 - 1])
    # insightface places the centers of pixels at integers.
    matrix = estimate_similarity(torch.from_numpy(points + 0.5)[None], template_points(network.template, 128))
    crops = canvas.read_crops([0], matrix, 128)
    assert np.abs((crops.numpy() + 1) / 2 - blob).max() < 1e-4
    assert np.abs(network._route.numbers([source]).numpy() - latent).max() < 1e-4
    ours = network.swap_crops(crops, [source]).rgb.numpy()
    assert np.abs((ours + 1) / 2 - result).max() < 1e-4


def test_strength_moves_between_and_beyond_the_embeddings(tmp_path):
    network = load_model(forms.write_hyperswap(tmp_path / "hyperswap_1a_256.onnx"), "cpu")
    crops, identity = random_crops(1, 256), person(1)
    own = F.normalize(torch.randn(1, 512, generator=torch.Generator().manual_seed(9)), dim=1)
    for strength in (0.0, 0.4, 1.5):
        mixed = F.normalize(own + strength * (identity.id_embedding - own), dim=1)
        expected = blend(crops, mixed.numpy() @ forms.COLORS, SIGNED, True, limited=False)
        rgb = network.swap_crops(crops, [identity], own, strength).rgb.numpy()
        assert np.abs((rgb + 1) / 2 - expected).max() < 1e-5


def test_inverted_numbers_enter_the_network_as_they_are(tmp_path):
    network = load_model(forms.write_inswapper(tmp_path / "inswapper_128.onnx"), "cpu")
    numbers = torch.randn(1, 512, generator=torch.Generator().manual_seed(7)) * 0.1
    inverted = person(1, w_plus=numbers, generator_sha256=network.sha256)
    check_identity(network, inverted)
    crops = random_crops(1, 128)
    rgb = network.swap_crops(crops, [inverted]).rgb.numpy()
    expected = blend(crops, numbers.numpy() @ forms.COLORS, PLAIN, False)
    assert np.abs((rgb + 1) / 2 - expected).max() < 1e-5
    with pytest.raises(StyleSwapError, match=r"w_plus \(1, 512\)"):
        check_identity(network, person(1, w_plus=torch.zeros(2, 512), generator_sha256=network.sha256))
    with pytest.raises(StyleSwapError, match="inverted for another model"):
        check_identity(network, person(1, w_plus=numbers, generator_sha256="0" * 64))


def test_other_recognizers_are_refused_unless_allowed(tmp_path):
    path = forms.write_hyperswap(tmp_path / "hyperswap_1a_256.onnx")
    sface = Identity(torch.randn(128), RecognizerId("sface", "", 128))
    other = Identity(torch.randn(512), RecognizerId("other"))
    network, tolerant = load_model(path, "cpu"), load_model(path, "cpu", any_recognizer=True)
    with pytest.raises(StyleSwapError, match="w600k_r50.*sface.*128 numbers instead of 512"):
        check_identity(network, sface)
    with pytest.raises(StyleSwapError, match="w600k_r50.*other"):
        check_identity(network, other)
    check_identity(tolerant, other)
    for problem in (check_identity, lambda network, identity: network.check(identity)):
        with pytest.raises(StyleSwapError, match=r"takes embeddings of 512 numbers.* 128"):
            problem(tolerant, sface)
    check_identity(load_model(forms.write_dfm(tmp_path / "Someone.dfm"), "cpu"), sface)


def test_a_batch_is_halved_when_memory_runs_out(tmp_path, monkeypatch):
    network = load_model(forms.write_hyperswap(tmp_path / "hyperswap_1a_256.onnx"), "cpu")
    people, crops = [person(seed) for seed in range(5)], random_crops(5, 256)
    expected = network.swap_crops(crops, people)
    run, sizes = GuestSession.run, []

    def limited(self, feeds):
        rows = len(feeds["target"])
        if rows > limit:
            raise OutOfMemoryError
        sizes.append(rows)
        return run(self, feeds)

    monkeypatch.setattr(GuestSession, "run", limited)
    limit = 2
    output = network.swap_crops(crops, people)
    assert sizes == [2, 1, 2] and torch.equal(output.rgb, expected.rgb) and torch.equal(output.mask, expected.mask)
    limit = 0
    with pytest.raises(StyleSwapError, match="not enough memory on cpu for one face of 256 px"):
        network.swap_crops(crops, people)


def test_a_result_that_is_not_finite_is_an_error(tmp_path):
    network = load_model(forms.write_inswapper(tmp_path / "inswapper_128.onnx"), "cpu")
    with pytest.raises(StyleSwapError, match="not finite"):
        network.swap_crops(torch.full((1, 3, 128, 128), float("inf")), [person()])


def test_license_and_maker_are_told(tmp_path):
    network = load_model(forms.write_inswapper(tmp_path / "inswapper_128.onnx"), "cpu")
    assert network.license_note == "inswapper_128 (inswapper) by InsightFace; license: non-commercial"
    assert network.notice() is None
