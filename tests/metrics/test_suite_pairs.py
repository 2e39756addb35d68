"""`styleswap evaluate --suite pairs`: exact swaps in place of results, copied targets, and swaps by this program."""

import json

import numpy as np
import pytest
from rendered_swaps import PEOPLE, write_pairs

from styleswap_core.checkpoints import DEMO_MODEL, load_generator
from styleswap_core.cli import main
from styleswap_core.export.guest_onnx import export_guest
from styleswap_core.faces.packs import DEMO_PACK
from styleswap_core.io.images import load_image, save_image

ROWS = range(len(PEOPLE))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder)
    return folder


def evaluate(folder, text, *more, name="pairs.csv"):
    """Exit code and JSON report of a list with this text, in the folder of the pictures."""
    (folder / name).write_text(text, encoding="utf-8")
    out = folder / "out" / "figures.json"
    out.parent.mkdir(exist_ok=True)
    for old in out.parent.iterdir():
        old.unlink()
    code = main(
        ["evaluate", "--suite", "pairs", str(folder / name), "--out", str(out), "--device", "cpu", *map(str, more)]
    )
    return code, json.loads(out.read_text()) if out.is_file() else None


def rows(result=""):
    return "source,target,result\n" + "".join(f"source{i}.png,target{i}.png,{result.format(i=i)}\n" for i in ROWS)


def test_exact_swaps_score_better_than_copied_targets(folder, capsys):
    code, exact = evaluate(folder, rows("exact{i}.png"), "--fid")
    printed = capsys.readouterr().out
    assert code == 0 and exact["count"] == 3 and exact["skipped"] == 0
    assert exact["swapped_by"] == "another program" and "model_sha256" not in exact
    assert "| `id_cos_source` |" in printed and "meaningless for photographs" in printed
    assert load_image(folder / "out" / "figures.png").shape[2] == 3
    _, copied = evaluate(folder, rows("target{i}.png"), "--fid")
    assert exact["id_retrieval_top1"] == 1 and copied["id_retrieval_top1"] < 1
    assert exact["id_cos_source"] > copied["id_cos_source"] + 0.3
    assert exact["id_cos_target"] < 0.5 and copied["id_cos_target"] == pytest.approx(1, abs=1e-5)
    # The floor of every result is the copied target.
    assert copied["id_cos_source"] == pytest.approx(exact["id_cos_source_floor"], abs=1e-6)
    assert copied["pose_error_deg"] == copied["expression_error"] == copied["outside_l1"] == 0
    assert copied["outside_psnr"] == 100 and exact["outside_psnr"] > 40
    assert copied["frechet_distance"] == pytest.approx(0, abs=1e-6) and exact["frechet_distance"] > 0.01
    assert "not the Inception network" in exact["frechet_features"]
    assert [case["result"] for case in exact["cases"]] == ["exact0.png", "exact1.png", "exact2.png"]


def test_pairs_without_result_are_swapped_deterministically(folder):
    text = '{"source": "source0.png", "target": "target0.png"}\n{"source": "source1.png", "target": "target1.png"}\n'
    code, first = evaluate(folder, text, name="pairs.jsonl")
    again = evaluate(folder, text, name="pairs.jsonl")[1]
    assert code == 0 and first == again
    assert first["swapped_by"] == "this program" and len(first["model_sha256"]) == 64
    assert first["id_cos_source"] > first["id_cos_source_floor"]


def test_pairs_are_swapped_by_a_guest_network(folder, tmp_path):
    text = "source,target\nsource0.png,target0.png\n"
    generator, _ = load_generator(DEMO_MODEL)
    export_guest(tmp_path / "guest.onnx", generator.eval(), "hyperswap", template_ok=True)
    _, own = evaluate(folder, text)
    code, guest = evaluate(folder, text, "--model", tmp_path / "guest.onnx")
    assert code == 0 and guest["count"] == 1 and guest["model"] == "guest (hyperswap)"
    for key in ("id_cos_source", "pose_error_deg", "outside_psnr"):
        assert guest[key] == pytest.approx(own[key], abs=0.02), key


def test_invalid_rows_are_reported_and_skipped(folder, capsys):
    save_image(folder / "blank.png", np.full((160, 160, 3), 90, np.uint8))
    save_image(folder / "wide.png", np.full((96, 200, 3), 90, np.uint8))
    (folder / "broken.png").write_bytes((folder / "target0.png").read_bytes()[:400])
    save_image(folder / "small.png", load_image(folder / "exact0.png")[::2, ::2])
    text = (
        "source,target,result\nabsent.png,target0.png,exact0.png\nsource0.png,blank.png,blank.png\n"
        "blank.png,target0.png,exact0.png\nsource0.png,broken.png,exact0.png\nsource0.png,target0.png,wide.png\n"
        "source0.png\nsource0.png,target0.png,blank.png\nsource0.png,target0.png,small.png\nsource1.png,target1.png,exact1.png\n"
    )
    code, figures = evaluate(folder, text)
    assert code == 0 and figures["count"] == 3 and figures["skipped"] == 6 == len(figures["problems"])
    warnings = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if "warning: row" in line]
    assert len(warnings) == 6
    problems = dict(problem.split(": ", 1) for problem in figures["problems"])
    assert (
        "absent.png" in problems["row 1"]
        and "no face" in problems["row 2"]
        and "no face found in the source blank.png" in problems["row 3"]
    )
    assert "truncated" in problems["row 4"] and "200 x 96" in problems["row 5"] and "columns" in problems["row 6"]
    # A result without a face still counts, and one of half the size is enlarged.
    assert [case["result_face_found"] for case in figures["cases"]] == [0, 1, 1]
    assert figures["cases"][1]["id_cos_source"] > 0.3 > figures["cases"][0]["id_cos_source"]


def test_pictures_of_one_person_are_joined_by_name(folder):
    # Both sources show one person, and each result is nearest to the source of the other row.
    text = (
        "source,target,result,person\nsource0.png,target0.png,exact0.png,Ann\nexact0.png,target0.png,source0.png,Ann\n"
        "source1.png,target1.png,exact1.png,Bob\n"
    )
    _, named = evaluate(folder, text)
    assert named["id_retrieval_top1"] == 1
    _, alone = evaluate(folder, "source,target,result\nsource0.png,target0.png,exact0.png\n")
    assert alone["id_retrieval_top1"] is None


def test_pose_from_five_points_for_a_pack_without_landmarks(folder):
    text = "source,target,result\nsource0.png,target0.png,exact0.png\n"
    _, figures = evaluate(folder, text, "--pack", DEMO_PACK, "--judge", DEMO_PACK)
    assert figures["attributes_by"] == "points" and "crude" in figures["attributes_note"]
    assert figures["judge"] == "arcface_demo" and figures["judge_note"] == ""
    assert 0 <= figures["pose_error_deg"] < 15 and "expression_error" not in figures


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        ("source,target\nabsent.png,absent.png\n", (), "nothing could be evaluated"),
        ("from,to\na,b\n", (), "source,target"),
        ("source,target\nsource0.png,target0.png\n", ("--judge", DEMO_PACK), "name another --judge"),
        ("source,target\nsource0.png,target0.png\n", ("--attributes", "landmarks"), "3D landmarks"),
        ("source,target\nsource0.png,target0.png\n", ("--judge", "absent.onnx"), "absent.onnx"),
        ("source,target\nsource0.png,target0.png\n", ("--fid", "absent.onnx"), "absent.onnx"),
        ("source,target\nsource0.png,target0.png\n", ("--check",), "omit --check"),
    ],
)
def test_invalid_input_is_one_line_and_nothing_is_written(folder, text, more, message, capsys):
    assert evaluate(folder, text, *more) == (2, None)
    lines = [line for line in capsys.readouterr().err.splitlines() if "styleswap: error:" in line]
    assert len(lines) == 1 and message in lines[0]
    assert list((folder / "out").iterdir()) == []


def test_only_some_suites_take_a_file(folder, capsys):
    assert main(["evaluate", str(folder / "pairs.csv")]) == 2
    assert main(["evaluate", "--suite", "pairs"]) == 2
    errors = capsys.readouterr().err
    assert "takes no file" in errors and "CSV or JSON lines" in errors
