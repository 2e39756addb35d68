"""What a node does with values that ComfyUI has not checked, because they come from other nodes."""

import math

import pytest
import torch


class Given:
    """An input as schemas of ComfyUI describe it."""

    def __init__(self, name, kind, optional=False, options=None, low=None, high=None):
        self.id, self.kind, self.optional, self.options, self.min, self.max = name, kind, optional, options, low, high

    def get_io_type(self):
        return self.kind


@pytest.fixture
def receive(pack):
    """Function that runs a node with the given values and returns what it received."""

    class Schema:
        inputs = (
            Given("image", "IMAGE"),
            Given("mask", "MASK", optional=True),
            Given("identity", "STYLESWAP_IDENTITY,FACE_MODEL"),
            Given("reference", "STYLESWAP_IDENTITY", optional=True),
            Given("faces", "COMBO", options=["all", "largest"]),
            Given("gender", "COMBO", optional=True, options=["any", "male"]),
            Given("model_name", "COMBO", options=["demo"]),
            Given("size", "INT", low=16, high=2048),
            Given("likeness", "FLOAT", low=-1.0, high=1.0),
            Given("index", "STRING"),
            Given("model", "STYLESWAP_MODEL"),
        )

    class Node:
        @classmethod
        def define_schema(cls):
            return Schema

        @classmethod
        def execute(cls, gender="any", **received):
            return {"gender": gender, **received}

    node = pack("nodes.received_values").check_received(Node)
    return lambda **values: node.execute(**values)


def test_values_that_fit_arrive_as_they_are(receive):
    image, mask, person = torch.rand(1, 4, 4, 3), torch.rand(2, 3, 3), object()
    given = {"image": image, "mask": mask, "identity": person, "faces": "all", "model_name": "of a file", "unknown": 5}
    got = receive(**given, size=512, likeness=0.5, index="0,1", gender="male")
    assert got == given | {"size": 512, "likeness": 0.5, "index": "0,1", "gender": "male"}


def test_nothing_on_an_optional_input_counts_as_unconnected(receive):
    assert receive(mask=None, reference=None, gender=None) == {"gender": "any"}


@pytest.mark.parametrize("name", ["image", "identity", "faces", "size"])
def test_nothing_on_a_required_input_is_refused(receive, pack, name):
    with pytest.raises(pack("styleswap_core.errors").StyleSwapError, match=f"connected to {name} returned nothing"):
        receive(**{name: None})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("image", {"samples": 1}, "expected an image on image, got a value of type dict"),
        ("mask", "white", "expected a mask on mask, got a value of type str"),
        ("faces", "everyone", "expected faces to be one of all, largest; got 'everyone'"),
        ("gender", 1, "expected gender to be one of any, male; got 1"),
        ("size", 0, "expected size from 16 to 2048, got 0"),
        ("size", "big", "expected size from 16 to 2048, got 'big'"),
        ("model", "demo", "expected model from Load StyleSwap Model, got a value of type str"),
        ("likeness", math.nan, "expected likeness from -1.0 to 1.0, got nan"),
    ],
)
def test_other_values_are_one_sentence(receive, pack, name, value, words):
    with pytest.raises(pack("styleswap_core.errors").StyleSwapError) as error:
        receive(**{name: value})
    assert words in str(error.value) and "\n" not in str(error.value)


def test_values_in_other_forms_are_converted(receive):
    mask = torch.rand(2, 4, 5)
    for given in (mask[:, None], mask[..., None], mask):
        assert torch.equal(receive(mask=given)["mask"], mask)
    assert torch.equal(receive(mask=mask[0])["mask"], mask[:1]), "a mask without a batch"
    bytes_of_image = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    assert receive(image=bytes_of_image)["image"].flatten().tolist() == pytest.approx([0, 0.2, 1])
    got = receive(size=512.0, likeness="0.25", index=3)
    assert got == {"gender": "any", "size": 512, "likeness": 0.25, "index": "3"} and type(got["size"]) is int
