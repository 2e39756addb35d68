"""`styleswap evaluate --suite videos`."""

import json

import pytest
from rendered_swaps import PEOPLE, nods, write_video

from styleswap_core.cli import main
from styleswap_core.metrics.suite_videos import pairs_of_results


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Originals a_b, c and a broken one; results: an exact swap of c onto a_b, and invalid ones; copies of a_b."""
    base = tmp_path_factory.mktemp("videos")
    for name in ("originals", "results", "copies"):
        (base / name).mkdir()
    own = nods(PEOPLE[0])
    write_video(base / "originals" / "a_b.mp4", own)
    write_video(base / "originals" / "c.mp4", nods(PEOPLE[1], count=2))
    (base / "originals" / "broken.mp4").write_bytes(b"no video" * 99)
    write_video(base / "results" / "a_b_c.mp4", nods(PEOPLE[1], body=PEOPLE[0]))
    write_video(base / "copies" / "a_b_c.mp4", own)
    (base / "results" / "c_broken.mp4").write_bytes(b"no video" * 99)
    (base / "results" / "c_unknown.mp4").write_bytes(b"")
    write_video(base / "results" / "broken_a_b.mp4", own)
    return base


def evaluate(folders, *words):
    out = folders / "figures.json"
    out.unlink(missing_ok=True)
    code = main(
        ["evaluate", "--suite", "videos", "--frames", "3", "--device", "cpu", "--out", str(out), *map(str, words)]
    )
    return code, json.loads(out.read_text()) if out.is_file() else None


def test_exact_swaps_score_better_than_copies(folders, capsys):
    code, exact = evaluate(folders, folders / "results", "--originals", folders / "originals")
    assert code == 0 and exact["count"] == 3 and exact["videos"] == 1 and exact["frames"] == 3
    assert [case["frame"] for case in exact["cases"]] == [0, 2, 3]
    assert exact["skipped"] == 3 and all(
        name in " ".join(exact["problems"]) for name in ("c_unknown.mp4", "c_broken", "broken_a_b")
    )
    assert (
        len([line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if "styleswap: warning" in line])
        == 3
    )
    # The gallery contains the frames of the target, too.
    assert exact["id_retrieval_top1"] == 1 and exact["id_retrieval_top1_floor"] == 0
    assert exact["id_cos_source"] > exact["id_cos_source_floor"] + 0.3
    _, copied = evaluate(folders, folders / "copies", "--originals", folders / "originals")
    assert copied["id_cos_source"] < exact["id_cos_source"] - 0.3 and copied["pose_error_deg"] < exact["pose_error_deg"]


def test_originals_are_swapped_in_both_directions(folders):
    (folders / "split.json").write_text('[["a_b", "c"], ["c", "nobody"]]')
    code, figures = evaluate(folders, folders / "originals", "--pairs", folders / "split.json")
    assert code == 0 and figures["videos"] == 2 and figures["count"] == 5 and figures["skipped"] == 2
    assert figures["swapped_by"] == "this program"
    assert figures["id_cos_source"] > figures["id_cos_source_floor"] and 0 <= figures["id_retrieval_top1"] <= 1
    assert (folders / "figures.png").is_file()


def test_names_of_originals_may_have_underscores(tmp_path):
    originals = {name: tmp_path / name for name in ("a", "a_b", "b_c", "c")}
    results = {name: tmp_path / f"{name}.mp4" for name in ("c_a", "a_b_c", "c_a_b", "x_y")}
    pairs, problems = pairs_of_results(results, originals)
    assert [(pair.target.name, pair.source.name) for pair in pairs] == [("c", "a"), ("c", "a_b")]
    # Either a and b_c, or a_b and c.
    assert "a_b_c.mp4" in problems[0] and "found 2 ways" in problems[0] and "found 0 ways" in problems[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["results"], "give one of the two"),
        (["results", "--originals", "absent"], "folder of videos"),
        (["absent", "--originals", "originals"], "folder of videos"),
        (["results", "--originals", "originals", "--frames", "0"], "--frames"),
        (["originals", "--pairs", "none.csv"], "nothing could be evaluated"),
    ],
)
def test_invalid_input_is_one_line_and_nothing_is_written(folders, words, message, monkeypatch, capsys):
    monkeypatch.chdir(folders)
    (folders / "none.csv").write_text("source,target\nbroken,c\n")
    assert evaluate(folders, *words) == (2, None)
    lines = [line for line in capsys.readouterr().err.splitlines() if "styleswap: error:" in line]
    assert len(lines) == 1 and message in lines[0]
