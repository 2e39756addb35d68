"""Which faces a choice picks, and which missing ones it reports."""

from dataclasses import replace

import numpy as np
import pytest

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.choice import FaceChoice, lies_in, match_by_likeness, parse_numbers, select_faces
from styleswap_core.faces.detected import DetectedFace, order_faces


def face(x, side, embedding=None):
    box = np.float32([x, 0, x + side, side])
    vector = None if embedding is None else np.eye(512, dtype=np.float32)[embedding]
    return DetectedFace(0, 0.9, box, np.zeros((5, 2), np.float32), vector)


FACES = order_faces([face(200, 50, 3), face(0, 40, 1), face(100, 90, 2)], "left-right")


def picked(choice, faces=FACES):
    places, problems = choice.pick(faces)
    return [(place, int(found.box[0])) for place, found in places], problems


def test_all_and_largest():
    assert picked(FaceChoice("all")) == ([(0, 0), (1, 100), (2, 200)], [])
    assert picked(FaceChoice("largest")) == ([(0, 100)], [])


def test_choice_by_index_keeps_the_given_order():
    places, problems = picked(FaceChoice.by_index("2, 0, 2, 7"))
    assert places == [(0, 200), (1, 0)]
    assert problems == ["no face 7, 3 faces found"]
    assert picked(FaceChoice("by index", "left-right", parse_numbers("0,2,0,7,7"))) == (
        [(0, 0), (1, 200), (2, 0)],
        ["no face 7, 3 faces found"],
    ), "sources may occur several times"


def test_places_in_turn_are_those_of_the_faces_that_are_there():
    choice = replace(FaceChoice.by_index("7,2,0"), in_turn=True)
    assert picked(choice) == ([(0, 200), (1, 0)], ["no face 7, 3 faces found"])
    doubtful = [FACES[0], FACES[1], replace(FACES[2], doubtful="points in the wrong order")]
    certain, problems, _ = choice.pick_certain(doubtful)
    assert [(place, one.index) for place, one in certain] == [(0, 0)] and "face 2 is doubtful" in problems[1]
    references = tuple(np.eye(512, dtype=np.float32)[i] for i in (9, 1))
    likeness = FaceChoice("by likeness", references=references, in_turn=True)
    assert picked(likeness)[0] == [(1, 0)], "each identity belongs to a reference"


def test_choice_by_likeness_pairs_references_with_faces():
    references = tuple(np.eye(512, dtype=np.float32)[i] for i in (3, 9, 1))
    places, problems = picked(FaceChoice("by likeness", references=references, likeness=0.5))
    assert places == [(0, 200), (2, 0)]
    assert len(problems) == 1 and "reference 1" in problems[0] and "0.50" in problems[0]


def test_everyone_but_the_references():
    references = tuple(np.eye(512, dtype=np.float32)[i] for i in (3, 9))
    others = FaceChoice("everyone but", references=references, likeness=0.5)
    assert picked(others) == ([(0, 0), (1, 100)], [])
    twins = [*FACES, replace(FACES[2], index=3)]
    assert picked(others, twins) == ([(0, 0), (1, 100)], []), "everyone who is like a reference stays"
    assert picked(others, [FACES[2]]) == ([], ["no other face than those of the references, 1 face found"])


def test_each_face_is_matched_once_and_the_best_pair_first():
    cosines = np.array([[0.6, 0.5], [0.9, 0.1]])
    assert match_by_likeness(cosines, 0.3) == {1: 0, 0: 1}
    assert match_by_likeness(cosines, 0.55) == {1: 0}
    assert match_by_likeness(np.array([[0.5, 0.5]]), 0.5) == {0: 0}, "ties go to the lower face"


def test_doubtful_faces_are_left_out_and_named():
    doubtful = [replace(one, doubtful="the eyes are crossed") if one.index == 1 else one for one in FACES]

    def certain(choice, faces=doubtful):
        places, problems, left_out = choice.pick_certain(faces)
        return [(place, int(found.box[0])) for place, found in places], problems, left_out

    doubt = "face 1 is doubtful (the eyes are crossed)"
    assert certain(FaceChoice("all")) == ([(0, 0), (1, 200)], [], [doubt])
    # Face 1 is the largest.
    assert certain(FaceChoice("largest")) == ([(0, 200)], [], [doubt])
    reference = tuple(np.eye(512, dtype=np.float32)[i] for i in (1,))
    assert certain(FaceChoice("by likeness", references=reference, likeness=0.5)) == ([(0, 0)], [], [])
    # Asked for by its number, it is missing.
    assert certain(FaceChoice.by_index("1, 2")) == ([(1, 200)], [doubt], [])
    assert certain(FaceChoice("all"), [doubtful[1]]) == ([], [doubt], [])
    assert certain(FaceChoice("all"), []) == ([], ["no face found"], [])


def test_a_doubtful_face_is_selected_only_by_index_or_if_there_is_no_other():
    doubtful = [replace(one, doubtful="the eyes are crossed") if one.index == 1 else one for one in FACES]
    assert [one.index for one in select_faces(doubtful)] == [2]
    assert [one.index for one in select_faces(doubtful, [1])] == [1]
    assert [one.index for one in select_faces([doubtful[1]])] == [1]


def test_a_picture_without_faces():
    assert FaceChoice("all").pick([]) == ([], ["no face found"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FaceChoice("everyone"), "face choices all, largest"),
        (lambda: FaceChoice("all", order="by age"), "face order"),
        (lambda: FaceChoice("by index"), "face numbers"),
        (lambda: FaceChoice("by likeness"), "reference"),
        (lambda: FaceChoice("everyone but"), "'everyone but' needs a reference"),
        (lambda: FaceChoice.by_index("first"), "largest, all, or indices"),
    ],
)
def test_invalid_choices_are_refused(make, message):
    with pytest.raises(StyleSwapError, match=message):
        make()


def test_choice_by_likeness_requires_embeddings():
    choice = FaceChoice("by likeness", references=(np.eye(512, dtype=np.float32)[0],))
    with pytest.raises(StyleSwapError, match="recognizer"):
        choice.pick([face(0, 10)])


def in_mask(*boxes, size=(100, 300)):
    mask = np.zeros(size, np.float32)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = 1
    return mask


def test_a_face_lies_in_a_mask_by_its_middle_or_half_of_its_box():
    one = face(100, 40)  # 100..140, 0..40
    assert lies_in(one, in_mask((119, 19, 122, 22))), "its middle"
    assert lies_in(one, in_mask((100, 0, 140, 18), (100, 22, 140, 40))), "more than half, but not its middle"
    assert not lies_in(one, in_mask((100, 0, 140, 18)))
    assert not lies_in(one, in_mask((0, 0, 100, 100), (140, 0, 300, 100)))
    assert lies_in(one, np.full((100, 300), 0.5, np.float32)) and not lies_in(
        one, np.full((100, 300), 0.49, np.float32)
    )
    outside = face(-90, 40)
    assert not lies_in(outside, np.ones((100, 300), np.float32))
    assert lies_in(face(-18, 40), np.ones((100, 300), np.float32)), "its middle is in the picture"
    assert not lies_in(face(-30, 40), np.ones((100, 300), np.float32)), "less than half of it is"
    assert not lies_in(face(400, 0), np.ones((1, 1), np.float32))


def test_only_faces_in_the_mask_are_considered():
    mask = in_mask((0, 0, 50, 50), (190, 0, 260, 60))
    assert picked(FaceChoice("all"), FACES)[0] != (everyone := FaceChoice("all").pick(FACES, mask))[0]
    assert [(place, found.index) for place, found in everyone[0]] == [(0, 0), (1, 2)], "numbers stay, places follow"
    assert [one.index for _, one in FaceChoice("largest").pick(FACES, mask)[0]] == [2]
    by_index = FaceChoice.by_index("1,2").pick(FACES, mask)
    assert [one.index for _, one in by_index[0]] == [2] and by_index[1] == ["no face 1, 2 faces in the mask found"]
    assert FaceChoice("all").pick(FACES, np.zeros((100, 300))) == ([], ["no face is in the mask, 3 faces found"])
    women = FaceChoice("all", gender="female").pick(FACES, mask)
    assert women == ([], ["no face in the mask is female, 2 faces found"])
    doubtful = [replace(one, doubtful="points in the wrong order" if one.index == 0 else "") for one in FACES]
    picked_, problems, doubts = FaceChoice("all").pick_certain(doubtful, mask)
    assert [one.index for _, one in picked_] == [2] and not problems and len(doubts) == 1
