"""Contact sheets: positions, aspect ratios, labels."""

import numpy as np
import pytest

from styleswap_core.errors import StyleSwapError
from styleswap_core.io.sheets import BACKGROUND, GAP, captioned_sheet, labeled_sheet, mask_picture, pair_sheet

RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


def _plain(color, height=20, width=20):
    return np.full((height, width, 3), color, dtype=np.uint8)


def test_pictures_are_placed_by_row_and_column():
    cell = 20
    sheet = labeled_sheet([[_plain(RED), _plain(GREEN)], [_plain(BLUE)]], cell=cell)
    step = cell + GAP
    assert sheet.shape == (GAP + 2 * step, GAP + 2 * step, 3)
    assert (sheet[GAP : GAP + cell, GAP : GAP + cell] == RED).all()
    assert (sheet[GAP : GAP + cell, GAP + step : GAP + step + cell] == GREEN).all()
    assert (sheet[GAP + step : GAP + step + cell, GAP : GAP + cell] == BLUE).all()
    # The second row is shorter: its last cell stays empty.
    assert (sheet[GAP + step :, GAP + step :] == BACKGROUND).all()


def test_pictures_keep_their_aspect_ratio_and_are_centered():
    sheet = labeled_sheet([[_plain(RED, height=10, width=40)]], cell=20)
    red = (sheet == RED).all(axis=2)
    rows, columns = np.nonzero(red)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (5, 20)
    assert rows.min() - GAP in (7, 8)


def test_gray_pictures_and_masks():
    mask = np.array([[0.0, 0.5], [1.0, 2.0]])
    assert mask_picture(mask).tolist() == [[0, 128], [255, 255]]
    sheet = labeled_sheet([[np.full((16, 16), 77, dtype=np.uint8)]], cell=16)
    assert (sheet[GAP : GAP + 16, GAP : GAP + 16] == 77).all()


def test_tiles_with_captions():
    sheet = captioned_sheet([_plain(RED), _plain(GREEN), _plain(BLUE)], ["one", "two", "three"], columns=2, width=40)
    assert sheet.shape[1] == GAP + 2 * (40 + GAP)
    assert (sheet[GAP : GAP + 40, GAP + 40 + GAP :][:, :40] == GREEN).all()
    (rows, columns) = np.nonzero((sheet == BLUE).all(axis=2))
    assert rows.min() > GAP + 40 and (columns.min(), columns.max()) == (GAP, GAP + 39)
    with pytest.raises(StyleSwapError, match="at least one picture"):
        captioned_sheet([], [])


def test_labels_and_title_are_drawn():
    picture = _plain(RED, 64, 64)
    bare = labeled_sheet([[picture]], cell=64)
    full = labeled_sheet([[picture]], ["result"], ["first\nsecond"], cell=64, title="a title")
    assert full.shape[0] > bare.shape[0] and full.shape[1] > bare.shape[1]
    outside = (full != RED).any(axis=2)
    assert (full[outside].min(axis=1) < 100).sum() > 50


@pytest.mark.parametrize(
    "arguments",
    [
        ([],),
        ([[]],),
        ([[_plain(RED)]], ["a", "b"]),
        ([[_plain(RED)]], [], ["a", "b"]),
    ],
)
def test_empty_sheets_and_wrong_numbers_of_labels_are_refused(arguments):
    with pytest.raises(StyleSwapError, match="expected"):
        labeled_sheet(*arguments)


def test_pairs_are_stacked_or_side_by_side():
    wide, high = np.zeros((40, 80, 3), np.uint8), np.zeros((80, 40, 3), np.uint8)
    sheet = pair_sheet([(wide, wide + 255)] * 5, ["a caption that is far too long for one line of text"] * 5, width=100)
    assert sheet.shape[1] == 4 * 106 + 6
    column = sheet[6:110, 56, 0]
    assert (column[:50] == 0).all() and (column[52:] == 255).all()
    sheet = pair_sheet([(high, high + 255)], ["short"], width=100)
    assert (sheet[6:100, 6:55, 0] == 0).all() and (sheet[6:100, 58:106, 0] == 255).all()
    with pytest.raises(StyleSwapError, match="at least one pair"):
        pair_sheet([], [])
