"""Moved swaps give the same faces the same sources as ReActor, shown on swapped pictures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from foreign_graphs import of_kind, swap_prompt

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.choice import FaceChoice, parse_numbers
from styleswap_core.faces.detected import DetectedFace, order_faces
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.extraction import find_source_faces, separate_sources
from styleswap_core.migration.migrate import migrate_workflow
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.network import SwappedCrops

SIDE, WIDTH = 40, 160
WOMAN, MAN = "female", "male"
# Levels of gray in which people are painted, far enough apart to be told from each other.
LEVELS = 1 / 16


class Crowd:
    """Face analysis of pictures in which a face is a red pixel; green is its person, and blue tells women."""

    recognizer = RecognizerId("known")

    def detect(self, picture, order="largest", embed=True, quick=False):
        found = []
        for y, x in np.argwhere(picture[..., 0] == 255):
            # The more to the left, the larger.
            side = SIDE - x / 16
            corner = np.float32([x - side / 2, y - side / 2])
            points = (template_points("ffhq", 1).numpy() * side + corner).astype(np.float32)
            vector = np.zeros(512, np.float32)
            vector[0] = picture[y, x, 1] * LEVELS
            vector[1] = (1 - vector[0] ** 2) ** 0.5
            gender = WOMAN if picture[y, x, 2] else MAN
            found.append(
                DetectedFace(0, 0.9, np.float32([*corner, *(corner + side)]), points, vector, 1.0, gender=gender)
            )
        return order_faces(found, order)

    def with_gender_age(self, picture, faces, required=False):
        return [replace(face, age=30) for face in faces]

    def embed(self, picture, points):
        return np.eye(1, 512, dtype=np.float32)[0]

    def landmark_model(self):
        return None


class Painter:
    """Swapping network that fills a face with the gray of its source."""

    name, template, has_mask, phased, device = "painter", "ffhq", True, False, torch.device("cpu")
    recognizer, sha256, size = RecognizerId(""), "", 16

    def check(self, identity):
        pass

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        grays = torch.tensor([float(identity.id_embedding[0]) for identity in identities]).view(-1, 1, 1, 1)
        return SwappedCrops(grays.expand_as(crops).contiguous(), torch.ones_like(crops[:, :1]))


def people(*genders):
    """A picture (1, 80, W, 3) of people from left to right, who are numbered from 1 on."""
    picture = torch.full((1, 80, WIDTH * max(len(genders), 1) // 3, 3), 0.5)
    for number, gender in enumerate(genders):
        picture[0, 40, 25 + 50 * number] = torch.tensor([255, number + 1, 255 * (gender == WOMAN)]) / 255
    return picture


def extracted(prompt, link, sources):
    """Identities that a node of a moved prompt gives."""
    node = prompt[link[0]]
    inputs = node["inputs"]
    assert node["class_type"] == "StyleSwap_ExtractArcFaceID"
    indices = inputs.get("indices") or inputs["index"]
    gender = inputs.get("gender", "any")
    choice = FaceChoice(inputs["faces"], inputs["order"], parse_numbers(str(indices)), gender=gender)
    pictures = [(sources[0].numpy() * 255).astype(np.uint8)]
    return separate_sources(find_source_faces(pictures, Crowd(), choice)[0], Crowd())


def swap(targets, sources, **widgets):
    """Source of each face of the target from left to right, after the moved swap: its number from 0 on, or None."""
    prompt = migrate_workflow(swap_prompt(face_restore_model="main.pth", **widgets)).workflow
    inputs = of_kind(prompt, "StyleSwap_SwapFace")["inputs"]
    choice = replace(
        FaceChoice.by_index(inputs["index"], inputs["order"]),
        gender=inputs.get("gender", "any"),
        in_turn=inputs.get("in_turn", False),
    )
    identities = extracted(prompt, inputs["identity"], sources)
    images = Swapper(Painter(), Crowd()).swap_batch(targets, identities, choice).images
    grays = [float(images[0, 46, x, 0]) for x in range(25, targets.shape[2], 50)]
    shown = [round((gray * 2 - 1) / LEVELS) - 1 for gray in grays]
    return [None if source < 0 else source for source in shown]


@pytest.mark.parametrize(
    ("faces", "sources", "expected"),
    [
        ("0,1", "0,1", [0, 1, None]),
        ("0,1,2", "0", [0, 0, 0]),
        ("0,1,2", "1,0", [1, 0, 1]),
        ("2,0", "0,1", [1, None, 0]),
        ("0,1,2", "0,0,1", [0, 0, 1]),
        ("0,1,2", "1,1,1", [1, 1, 1]),
        ("1,1,0", "0,1", [0, 1, None]),
        # What does not exist is passed over, on both sides.
        ("7,0,1", "0,1", [0, 1, None]),
        ("0,1,2", "5,0,1", [0, 1, 0]),
        ("0", "4,1", [1, None, None]),
        ("0,1,2", "0,0,7,1", [0, 0, 1]),
    ],
)
def test_sources_are_dealt_out(faces, sources, expected):
    found = swap(people(MAN, MAN, MAN), people(MAN, MAN), input_faces_index=faces, source_faces_index=sources)
    assert found == expected


@pytest.mark.parametrize(
    ("wanted", "source", "expected"),
    [
        ("no", "no", [0, 1, 2]),
        ("female", "no", [None, 0, 1]),
        ("male", "no", [0, None, None]),
        ("no", "female", [1, 2, 1]),
        ("female", "female", [None, 1, 2]),
        ("female", "male", [None, 0, 0]),
    ],
)
def test_sources_are_dealt_out_by_gender(wanted, source, expected):
    genders = {"detect_gender_input": wanted, "detect_gender_source": source}
    numbers = {"input_faces_index": "0,1,2", "source_faces_index": "0,1,2"}
    assert swap(people(MAN, WOMAN, WOMAN), people(MAN, WOMAN, WOMAN), **genders, **numbers) == expected


def test_a_source_of_the_other_gender_is_not_used():
    with pytest.raises(StyleSwapError, match="no face 0 that is female, 1 such face found; choose other faces"):
        swap(people(MAN), people(MAN, WOMAN), detect_gender_source="female")
    assert swap(people(MAN), people(MAN, WOMAN), detect_gender_source="female", source_faces_index="1") == [1]
