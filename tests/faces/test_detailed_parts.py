"""Parts of a picture with detail: what they hold, where they are separate, and what is found in them."""

import cv2
import numpy as np
import pytest

from styleswap_core.faces import detailed_parts as parts_of
from styleswap_core.faces.analysis import load_face_analysis
from styleswap_core.faces.detailed_parts import Part, detailed_parts, search_details
from styleswap_core.faces.face_networks import Detection
from styleswap_core.io.images import to_uint8
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import render

from .drawn_faces import draw_face, face_points


def smooth(height=360, width=640):
    """A background out of focus, from dark to bright."""
    coarse = np.linspace(40, 200, 6 * 9).reshape(6, 9).astype(np.uint8)
    return np.repeat(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None], 3, 2)


def with_faces(*places, side=16, picture=None):
    picture = smooth() if picture is None else picture
    for place in places:
        draw_face(picture, face_points(np.array(place, dtype=np.float64), side))
    return picture


def holds(part, x, y, margin):
    """Whether a part holds a place with a margin that ends at the picture's edges."""
    return (
        part.left <= max(x - margin, 0)
        and part.right >= min(x + margin, 640)
        and part.top <= max(y - margin, 0)
        and part.bottom >= min(y + margin, 360)
    )


def area(parts):
    return sum((part.right - part.left) * (part.bottom - part.top) for part in parts)


def test_a_picture_without_detail_has_no_parts():
    assert detailed_parts(smooth()) == detailed_parts(np.zeros((360, 640, 3), np.uint8)) == []


@pytest.mark.parametrize("place", [(300.0, 200.0), (9.0, 9.0), (631.0, 350.0), (10.0, 180.0)])
def test_a_small_face_is_in_a_part_with_a_margin(place):
    (part,) = detailed_parts(with_faces(place))
    assert holds(part, *place, 8 + 12)
    # Multiples of the detector's stride, or the picture's edge.
    assert part.left % 32 == part.top % 32 == part.right % 32 == 0 and (part.bottom % 32 == 0 or part.bottom == 360)
    assert area([part]) <= 128 * 128


def test_distant_faces_are_in_parts_of_their_own_and_near_ones_share_theirs():
    near, far = [(100.0, 100.0), (190.0, 130.0)], (560.0, 300.0)
    parts = detailed_parts(with_faces(*near, far))
    assert len(parts) == 2 and area(parts) < 0.2 * 360 * 640
    assert all(any(holds(part, *place, 8 + 12) for part in parts) for place in (*near, far))
    rows = [(x, y) for y in (40.0, 320.0) for x in (90.0, 180.0, 270.0, 360.0)]
    above, below = detailed_parts(with_faces(*rows))
    assert above.bottom < 180 < below.top


def test_a_picture_full_of_detail_is_one_part():
    noise = np.random.default_rng(0).integers(0, 256, (357, 630, 3), dtype=np.uint8)
    assert detailed_parts(noise) == [Part(0, 0, 630, 357)]


def test_faint_and_blurred_faces_have_detail():
    face = with_faces((300.0, 200.0), side=20)
    faint = np.uint8(smooth() + 0.12 * (face.astype(float) - smooth()))
    assert len(detailed_parts(faint)) == len(detailed_parts(cv2.GaussianBlur(face, (0, 0), 2.0))) == 1


def test_the_noise_of_a_camera_is_no_detail():
    noise = np.random.default_rng(0).normal(0, 2, (360, 640, 3))
    (part,) = detailed_parts(np.uint8(np.clip(with_faces((300.0, 200.0)) + noise, 0, 255)))
    assert area([part]) <= 128 * 128


class Corners:
    """A detector that finds one face in the upper left corner of every picture."""

    any_shape = True

    def __init__(self):
        self.runs = []

    def detect(self, picture, size):
        self.runs.append((picture.shape[:2], size))
        return [Detection(np.array([0.5, 0.5, 4.5, 4.5]), 0.9, np.full((5, 2), 2.5))]


def test_detections_are_in_the_coordinates_of_the_picture(monkeypatch):
    monkeypatch.setattr(parts_of, "detailed_parts", lambda shown: [Part(64, 32, 128, 224), Part(0, 0, 96, 32)])
    detector = Corners()
    (first, second), whole = search_details(detector, np.zeros((1080, 1920, 3), np.uint8), 640)
    assert not whole
    assert detector.runs == [((192, 64), 192), ((32, 96), 96)]
    # Three pixels are one, and the centers of the first ones coincide.
    np.testing.assert_allclose(first.box, [64 * 3 + 0.5, 32 * 3 + 0.5, 68 * 3 + 0.5, 36 * 3 + 0.5])
    np.testing.assert_allclose(second.points, np.full((5, 2), 2 * 3 + 0.5))


def test_faces_are_found_as_in_the_whole_picture():
    detector = load_face_analysis()._search.detector
    heads = to_uint8(render(Identities.from_seeds(range(3)), Attributes.from_seeds(range(3)), size=330).image)
    picture = smooth(1080, 1920)
    for side, (x, y), head in zip((330, 200, 150), [(100, 60), (1500, 700), (1100, 100)], heads, strict=True):
        picture[y : y + side, x : x + side] = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
    found, expected = search_details(detector, picture, 640).faces, detector.detect(picture, 640)
    assert len(found) == len(expected) == 3
    for face, other in zip(*(sorted(faces, key=lambda face: face.box[0]) for faces in (found, expected)), strict=True):
        eye_distance = np.linalg.norm(other.points[1] - other.points[0])
        assert np.abs(face.points - other.points).max() < 0.03 * eye_distance and abs(face.score - other.score) < 0.03
