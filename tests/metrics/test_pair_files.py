"""Lists of pairs in their three formats, and invalid rows."""

import json

import pytest

from styleswap_core.errors import StyleSwapError
from styleswap_core.metrics.pair_files import PairRow, read_pairs


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_with_unusual_names(tmp_path):
    text = '\ufeffTarget, source ,result\n"a b.png","new\nline.png",c.png\n\nt.png,s.png,\n'
    rows, problems = read_pairs(write(tmp_path / "pairs.csv", text))
    assert rows == [PairRow(1, "new\nline.png", "a b.png", "c.png"), PairRow(2, "s.png", "t.png")]
    assert problems == []


def test_json_lines(tmp_path):
    lines = [
        json.dumps({"source": "s", "target": "t", "person": "Ann", "note": 3}),
        "{broken",
        "[1]",
        json.dumps({"source": "s", "target": 5}),
        json.dumps({"source": "s"}),
    ]
    rows, problems = read_pairs(write(tmp_path / "pairs.jsonl", "\n".join(lines)))
    assert rows == [PairRow(1, "s", "t", person="Ann")]
    assert [problem.partition(":")[0] for problem in problems] == ["row 2", "row 3", "row 4", "row 5"]


def test_a_split_file_of_faceforensics_has_pairs_in_both_directions(tmp_path):
    rows, problems = read_pairs(write(tmp_path / "test.json", '[["071", "054"], ["087"]]'))
    assert [(row.target, row.source) for row in rows] == [("071", "054"), ("054", "071")]
    assert len(problems) == 1


def test_invalid_rows_are_reported_by_number(tmp_path):
    rows, problems = read_pairs(write(tmp_path / "pairs.csv", "source,target\na,b\nc\n,d\n"))
    assert [row.number for row in rows] == [1]
    assert problems == ["row 2: expected 2 columns, got 1", "row 3: expected source and target, but source is missing"]


@pytest.mark.parametrize(
    "content", [b"", b"source,target\n", b"from,to\na,b\n", b"\xff\xfe\x00", b"[", b'source,target\n"a,b\n', b"[]"]
)
def test_a_file_without_pairs_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "pairs.csv"
    path.write_bytes(content)
    with pytest.raises(StyleSwapError) as caught:
        read_pairs(path)
    assert "\n" not in str(caught.value) and "pairs.csv" in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(StyleSwapError, match="check the path"):
        read_pairs(tmp_path / "absent.csv")
