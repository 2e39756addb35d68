"""Generators in the form of other programs' networks, against the generators themselves."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from styleswap_core.checkpoints import DEMO_MODEL, load_generator
from styleswap_core.errors import StyleSwapError
from styleswap_core.export.guest_onnx import export_guest, guest_difference
from styleswap_core.faces.alignment import estimate_similarity, template_points, warp
from styleswap_core.io.images import from_uint8, to_uint8
from styleswap_core.model import Generator, preset
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import render

VARIANTS = [
    {"embedding_norm": 20.0},
    {"attribute_injection": "every_conv", "attribute_masking": "mean", "mask_accumulation": "sigmoid"},
    {"attribute_masking": "none", "mask_branch": False, "rgb_bound": "tanh"},
    {"attribute_masking": "mean", "encoder_blocks": 1},
]


def tiny(**changes):
    torch.manual_seed(3)
    generator = Generator(preset("tiny", **{"template": "arcface_128", **changes})).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return generator


def rotation():
    """An orthogonal matrix, in place of the identity."""
    return torch.linalg.qr(torch.randn(512, 512, generator=torch.Generator().manual_seed(5)))[0]


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [torch.from_numpy(value) for value in session.run(None, {k: v.numpy() for k, v in inputs.items()})]


@pytest.mark.parametrize("changes", VARIANTS, ids=range(len(VARIANTS)))
@pytest.mark.parametrize("emap", [None, rotation()], ids=["identity", "rotation"])
def test_inswapper_form(tmp_path, changes, emap):
    generator, path = tiny(**changes), tmp_path / "swap.onnx"
    export_guest(path, generator, "inswapper", emap=emap)
    # The steps of insightface's INSwapper.
    matrix = onnx.numpy_helper.to_array(onnx.load(str(path)).graph.initializer[-1]).copy()
    assert matrix.shape == (512, 512)
    for batch in (1, 3):
        crop, embedding = torch.rand(batch, 3, 32, 32) * 2 - 1, F.normalize(torch.randn(batch, 512), dim=1)
        with torch.no_grad():
            expected = generator(crop, embedding * generator.config.embedding_norm).image
        source = F.normalize(embedding @ torch.from_numpy(matrix), dim=1)
        (found,) = run(path, target=(crop + 1) / 2, source=source)
        # The pictures of untrained generators exceed the range of 2 several times.
        assert (found * 2 - 1 - expected).abs().max() < 1e-4 * expected.abs().max()
    assert guest_difference(path, generator, "inswapper", emap) < 1e-2
    if emap is not None:
        assert guest_difference(path, generator, "inswapper") > 1e-2, "another emap is detected"


def test_hyperswap_form(tmp_path):
    generator, path = tiny(), tmp_path / "swap.onnx"
    export_guest(path, generator, "hyperswap", sha256="ab" * 32)
    model = onnx.load(str(path))
    assert [value.name for value in model.graph.input] == ["target", "source"]
    assert {"styleswap_template": "arcface_128", "styleswap_generator_sha256": "ab" * 32}.items() <= {
        item.key: item.value for item in model.metadata_props
    }.items()
    crop, embedding = torch.rand(2, 3, 32, 32) * 2 - 1, F.normalize(torch.randn(2, 512), dim=1)
    with torch.no_grad():
        expected = generator(crop, embedding)
    picture, mask = run(path, target=crop, source=embedding)
    assert (mask - expected.mask).abs().max() < 1e-5
    assert (torch.lerp(crop, picture, mask) - expected.image).abs().max() < 2e-3 * expected.rgb.abs().max()


@pytest.fixture(scope="module")
def crops():
    """Crops of the face world with the demo model's template, and embeddings."""
    people = Identities.from_seeds(IDENTITY_SEEDS["test"][:3])
    attributes = Attributes.from_seeds(ATTRIBUTE_SEEDS["test"][:3])
    rendered = render(people, attributes, size=160)
    matrices = estimate_similarity(rendered.points, template_points("ffhq", 128))
    return warp(rendered.image, matrices, (128, 128)), F.normalize(torch.randn(3, 512), dim=1)


def test_the_demo_model_on_faces(tmp_path, crops):
    generator, _ = load_generator(DEMO_MODEL)
    crop, embedding = crops
    with torch.no_grad():
        expected = generator.eval()(crop, embedding).image
    export_guest(tmp_path / "a.onnx", generator, "inswapper", template_ok=True)
    (found,) = run(tmp_path / "a.onnx", target=(crop + 1) / 2, source=embedding)
    assert (found - (expected + 1) / 2).abs().max() < 2e-3
    export_guest(tmp_path / "b.onnx", generator, "hyperswap", template_ok=True)
    picture, mask = run(tmp_path / "b.onnx", target=crop, source=embedding)
    assert (torch.lerp(crop, picture, mask) - expected).abs().max() / 2 < 2e-3
    outside = (F.max_pool2d(mask, 7, 1, 3) < 1e-4).expand_as(picture)
    assert (picture - crop)[outside].abs().max() < 0.05, "usable without the mask"
    assert outside.float().mean() > 0.3


@pytest.mark.filterwarnings("ignore:`estimate` is deprecated")
def test_insightface_runs_the_file_as_its_own(tmp_path, crops):
    from insightface.app.common import Face
    from insightface.model_zoo import get_model
    from insightface.utils.face_align import norm_crop2

    generator, _ = load_generator(DEMO_MODEL)
    export_guest(tmp_path / "swap.onnx", generator.eval(), "inswapper", template_ok=True)
    swapper = get_model(str(tmp_path / "swap.onnx"), providers=["CPUExecutionProvider"])
    picture = np.ascontiguousarray(to_uint8(crops[0][:1])[0][..., ::-1])
    points = template_points("ffhq", 128).numpy()
    embedding = crops[1][0].numpy()
    source = Face(embedding=20 * embedding)
    found, matrix = swapper.get(picture, Face(kps=points), source, paste_back=False)
    aligned, expected_matrix = norm_crop2(picture, points, 128)
    assert np.allclose(matrix, expected_matrix)
    crop = from_uint8(np.ascontiguousarray(aligned[..., ::-1]))
    with torch.no_grad():
        expected = generator(crop, torch.from_numpy(embedding)[None]).image
    # It rounds down to 8 bits.
    assert np.abs(found[..., ::-1].astype(int) - to_uint8(expected)[0]).max() <= 1


@pytest.mark.parametrize(
    ("changes", "form", "message"),
    [
        ({"template": "ffhq"}, "inswapper", "--template-ok"),
        ({"style_dim": 128}, "inswapper", "512 numbers"),
        ({"mask_branch": False, "attribute_masking": "none"}, "hyperswap", "needs a mask"),
        ({}, "ghost", "'ghost'"),
    ],
)
def test_refusals(tmp_path, changes, form, message):
    with pytest.raises(StyleSwapError, match=message):
        export_guest(tmp_path / "x.onnx", tiny(**changes), form)
    assert not list(tmp_path.iterdir())
