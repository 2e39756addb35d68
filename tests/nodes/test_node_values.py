"""Conversion of socket values to the core's types."""

import json

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def values(pack):
    return pack("nodes.values")


@pytest.fixture(scope="module")
def error(pack):
    return pack("styleswap_core.errors").StyleSwapError


@pytest.fixture
def anna(pack):
    torch.manual_seed(0)
    recognizer = pack("styleswap_core.faces.recognizer_id").RecognizerId("any")
    return pack("styleswap_core.identities.identity").Identity(torch.randn(512), recognizer)


def test_identities_lists_and_foreign_face_models(values, error, anna):
    face = {"embedding": np.ones(512, np.float32)}
    assert values.as_identities(anna) == [anna]
    assert [one.recognizer.name for one in values.as_identities([anna, face])] == ["any", "w600k_r50"]
    assert values.as_identity([anna], "identity") is anna
    with pytest.raises(error, match="one identity for identity_a, got a list of 2"):
        values.as_identity([anna, anna], "identity_a")
    with pytest.raises(error, match="empty list"):
        values.as_identities([])
    with pytest.raises(error, match="face model"):
        values.as_identities(torch.zeros(1))


def test_images_of_all_batches_in_order(values, error):
    batch = torch.zeros(2, 20, 30, 3)
    transparent = torch.zeros(1, 8, 9, 4)
    broken = torch.full((1, 8, 9, 3), float("nan"))
    images = list(values.image_arrays(batch, None, transparent, broken))
    assert [image.shape for image in images] == [(20, 30, 3)] * 2 + [(8, 9, 3)] * 2
    assert images[2].min() == 255, "transparency shows white"
    assert values.count_images(batch, None, transparent) == 3
    for wrong in (torch.zeros(0, 8, 8, 3), torch.zeros(1, 8, 8, 1), torch.zeros(8, 8, 3)):
        with pytest.raises(error, match="expected a batch of images"):
            list(values.image_arrays(wrong))


def test_alpha_is_kept_where_asked_for(values):
    image = torch.rand(1, 8, 9, 4, generator=torch.Generator().manual_seed(0))
    (kept,) = values.image_arrays(image, keep_alpha=True)
    assert np.array_equal(kept, (image[0] * 255).round().numpy().astype(np.uint8))
    assert [one.shape for one in values.image_arrays(image[..., :3], image, keep_alpha=True)] == [(8, 9, 3), (8, 9, 4)]


def test_workflows_are_valid_json(values):
    workflow = {"a": [float("nan"), float("inf"), 0.5], "b": "NaN", "c": None}
    assert json.loads(values.json_text(workflow), parse_constant=pytest.fail) == {
        "a": [None, None, 0.5],
        "b": "NaN",
        "c": None,
    }
    assert values.json_text({"b": "Infinity"}) == json.dumps({"b": "Infinity"})


def test_the_empty_mask_of_load_image_means_everywhere(values):
    placeholder = torch.zeros(1, 64, 64)
    assert values.resolve_mask(placeholder, (512, 512)).min() == 1
    assert values.resolve_mask(placeholder, (64, 64)).max() == 0, "an empty mask of the image's own size"
    assert values.resolve_mask(torch.zeros(1, 512, 512), (512, 512)).max() == 0
    drawn = placeholder.clone()
    drawn[0, 3, 3] = 1
    assert torch.equal(values.resolve_mask(drawn, (512, 512)), drawn)
