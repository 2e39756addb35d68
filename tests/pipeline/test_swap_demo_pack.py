"""The demo pack and the demo generator that ship with the package, on rendered pictures."""

import numpy as np
import pytest
import torch

from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.packs import DEMO_PACK
from styleswap_core.identities.extraction import extract_identity
from styleswap_core.io.images import save_image, to_uint8
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.model_files import load_model
from styleswap_core.swappers.styleswap_network import SYNTHETIC_NOTICE
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import render

SIZE = 256
PEOPLE = 4


@pytest.fixture(scope="module")
def analyzer():
    return load_face_analysis()


@pytest.fixture(scope="module")
def scenes():
    """Pictures of sources and targets, and the exact swaps, with identities held out from training."""
    people = Identities.from_seeds(list(IDENTITY_SEEDS["test"][: 2 * PEOPLE]))
    settings = Attributes.from_seeds(list(ATTRIBUTE_SEEDS["test"][: 2 * PEOPLE]))
    first, second = torch.arange(PEOPLE), torch.arange(PEOPLE, 2 * PEOPLE)
    source = render(people[first], settings[first], size=SIZE)
    target = render(people[second], settings[second], size=SIZE)
    exact = render(people[first], settings[second], size=SIZE, body=people[second])
    return source, target, exact


@pytest.mark.filterwarnings("ignore:`estimate` is deprecated")
def test_an_unmodified_face_analysis_loads_the_pack(scenes):
    from insightface.app import FaceAnalysis

    app = FaceAnalysis(name=str(DEMO_PACK), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1)
    assert set(app.models) == {"detection", "recognition"}
    picture = to_uint8(scenes[0].image[:1])[0]
    found = app.get(np.ascontiguousarray(picture[..., ::-1]))
    assert len(found) == 1 and found[0].normed_embedding.shape == (512,)


def test_landmarks_are_close_to_the_truth(analyzer, scenes):
    for rendered in scenes:
        for picture, points in zip(to_uint8(rendered.image), rendered.points.numpy(), strict=True):
            (face,) = analyzer.detect(picture)
            eyes_to_mouth = np.linalg.norm(points[:2].mean(0) - points[3:].mean(0))
            assert np.linalg.norm(face.points - points, axis=1).mean() < 0.1 * eyes_to_mouth


def test_the_demo_swap_resembles_the_source(analyzer, scenes, tmp_path):
    model = load_model(device="cpu", baked=False)
    assert model.metadata["domain"] == "synthetic" and model.notice() == SYNTHETIC_NOTICE
    swapper = Swapper(model, analyzer)
    source, target, exact = (to_uint8(rendered.image) for rendered in scenes)
    closer, error_before, error_after = 0, [], []
    for i in range(PEOPLE):
        save_image(tmp_path / f"{i}.png", source[i])
        identity, _ = extract_identity([tmp_path / f"{i}.png"], analyzer)
        result = swapper.swap(target[i], identity)
        untouched = (result.mask == 0).numpy()
        assert np.array_equal(result.image[untouched], target[i][untouched]) and untouched.mean() > 0.3
        closer += result.faces[0].similarity > result.faces[0].similarity_before + 0.1
        error_before.append(np.abs(target[i].astype(int) - exact[i]).mean())
        error_after.append(np.abs(result.image.astype(int) - exact[i]).mean())
    assert closer == PEOPLE
    assert np.mean(error_after) < 0.75 * np.mean(error_before)
