"""Whole runs of the preparation: bad inputs, duplicates, continued and killed runs."""

import io
import json
import os
import random
import signal
import tarfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
from full_disk import disk_of
from killed_worker import SETTINGS as KILLED_SETTINGS
from picture_files import encoded, write_picture
from PIL import Image

from styleswap_core.cli import main
from styleswap_core.errors import StyleSwapError
from styleswap_core.preparation.journal import Journal
from styleswap_core.preparation.prepare import JOURNAL, prepare
from styleswap_core.preparation.prepared_set import PreparedSet, ShardReader

# STYLESWAP_KILLS=10 for a thorough run.
KILLS = int(os.environ.get("STYLESWAP_KILLS", "3"))
QUICK = replace(KILLED_SETTINGS, duplicate_distance=8)
COUNT = 12  # number of pictures of the fixtures


def members(folder):
    """{name: bytes} of all shards; names must be unique."""
    found = {}
    for path in sorted((folder / "shards").glob("*")):
        with tarfile.open(path) as tar:
            for member in tar:
                assert member.name not in found
                found[member.name] = tar.extractfile(member).read()
    return found


def metas(folder):
    return [json.loads(data) for name, data in sorted(members(folder).items()) if name.endswith(".json")]


def dropped(folder):
    """{file: (reason, sentence)} of dropped.tsv."""
    lines = [line.split("\t") for line in (folder / "dropped.tsv").read_text(encoding="utf-8").splitlines()]
    return {file: (reason, sentence) for file, _, reason, sentence in lines}


def test_every_picture_is_in_the_set_once(prepared_folder, people_folder):
    found, prepared = members(prepared_folder), PreparedSet.open(prepared_folder)
    assert len(prepared) == COUNT and len(found) == 4 * COUNT
    kept = [meta["file"] for meta in metas(prepared_folder)]
    assert sorted(kept) == sorted(path.relative_to(people_folder).as_posix() for path in people_folder.rglob("*.jpg"))
    assert len(list((prepared_folder / "shards").iterdir())) == 3  # of at most 5 pictures
    assert [meta["person"] for meta in metas(prepared_folder)] == [f"person{i}" for i in prepared.people]
    assert prepared.manifest["dropped"] == {} and prepared.manifest["people"] == 4


def test_the_index_matches_the_tars(prepared_folder):
    found, prepared = members(prepared_folder), PreparedSet.open(prepared_folder)
    reader = ShardReader(prepared)
    for row in range(len(prepared)):
        key = f"{row:09d}"
        image = cv2.imdecode(np.frombuffer(found[f"{key}.jpg"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        mask = cv2.imdecode(np.frombuffer(found[f"{key}.mask.png"], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert np.array_equal(reader.image(row), image) and image.shape == (64, 64, 3)
        assert np.array_equal(reader.mask(row), mask) and mask.max() == 255
        assert np.array_equal(np.load(io.BytesIO(found[f"{key}.id_embedding.npy"])), prepared.embeddings[row])
        assert np.linalg.norm(prepared.embeddings[row]) == pytest.approx(1, abs=1e-5)
        meta = json.loads(found[f"{key}.json"])
        assert np.array(meta["points"]) == pytest.approx(prepared.rows["points"][row], abs=1e-3)
        # Near the points of the template, except for the residual of the similarity transform.
        assert 15 < meta["points"][0][0] < 35 and 20 < meta["points"][0][1] < 40


def test_the_report_shows_pictures_and_people(prepared_folder):
    report = (prepared_folder / "report.html").read_text(encoding="utf-8")
    assert report.count("<img ") >= COUNT and "person0: 3 pictures" in report and "12 pictures of 4 people" in report


@pytest.mark.usefixtures("forked_workers")
def test_several_processes_give_the_same_bytes(prepared_folder, people_folder, tmp_path):
    prepare(people_folder, tmp_path / "set", replace(QUICK, people="folders"), workers=2)
    assert members(tmp_path / "set") == members(prepared_folder)
    for name in ("index.bin", "embeddings.bin", "people.npy", "prepared.json"):
        assert (tmp_path / "set" / name).read_bytes() == (prepared_folder / name).read_bytes()


# --- bad input


def test_bad_files_are_reported_and_skipped(pictures, tmp_path, capsys):
    folder, out = tmp_path / "in", tmp_path / "set"
    folder.mkdir()
    jpeg = encoded(pictures[0])
    (folder / "good name\nwith break.jpg").write_bytes(jpeg)
    write_picture(folder / "<b>markup & more.jpg", pictures[3])
    (folder / "broken.jpg").write_bytes(jpeg[: len(jpeg) // 3])
    (folder / "zero.png").touch()
    (folder / "zero.mp4").touch()
    (folder / "notes.txt").write_text("no picture")
    write_picture(folder / "tiny.png", pictures[0][:8, :8])
    write_picture(folder / "sky.png", np.full((96, 96, 3), 200, np.uint8))
    frames = [Image.fromarray(picture) for picture in pictures[6:9]]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    os.symlink(".", folder / "loop")
    summary = prepare(folder, out, QUICK)
    assert summary.manifest["pictures"] == 3
    assert {meta["file"] for meta in metas(out)} == {
        "good name\\nwith break.jpg",
        "<b>markup & more.jpg",
        "animated.gif",
    }
    reasons = dropped(out)
    assert {file: reason for file, (reason, _) in reasons.items()} == {
        "broken.jpg": "unreadable",
        "zero.png": "unreadable",
        "zero.mp4": "unreadable",
        "notes.txt": "unreadable",
        "tiny.png": "unreadable",
        "sky.png": "no face",
        "loop": "unreadable",
    }
    assert "0 bytes" in reasons["zero.png"][1] and "truncated" in reasons["broken.jpg"][1]
    reported = [line for line in capsys.readouterr().err.splitlines() if line.startswith("styleswap: ")]
    for name in (
        "broken.jpg",
        "zero.png",
        "zero.mp4",
        "notes.txt",
        "tiny.png",
        "loop",
        "animated.gif is an animation of 3",
    ):
        assert sum(line.startswith(f"styleswap: {name} ") for line in reported) == 1, name
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "markup" not in report and "animated.gif is an animation" in report and "zero.png: is empty" in report


def test_an_empty_folder(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    assert main(["prepare", str(tmp_path / "in"), str(tmp_path / "set"), "--workers", "1"]) == 2
    captured = capsys.readouterr()
    assert "0 pictures of 0 people" in captured.out
    assert "note: no picture is left; the report gives the reasons\n" in captured.err
    with pytest.raises(StyleSwapError, match="contains no pictures"):
        PreparedSet.open(tmp_path / "set")


def test_a_single_picture(pictures, tmp_path, capsys):
    write_picture(tmp_path / "in" / "one.jpg", pictures[0])
    words = [
        "prepare",
        str(tmp_path / "in"),
        str(tmp_path / "set"),
        "--workers",
        "1",
        "--size",
        "64",
        "--max-outside",
        "1",
    ]
    assert main([*words, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["pictures"] == 1 and "only one picture" in captured.err


def test_what_must_not_be_trained_on_is_left_out_and_named(pictures, tmp_path, capsys):
    folder = tmp_path / "in"
    write_picture(folder / "free.jpg", pictures[0])
    xmp = b'<rdf:Description plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-GENAIMLTRAINING"/>'
    Image.fromarray(pictures[3]).save(folder / "forbidden.jpg", quality=95, xmp=xmp)
    # A video is left out as a whole.
    (folder / "forbidden.mjpeg").write_bytes(encoded(pictures[6]) + encoded(pictures[9]) + xmp)
    summary = prepare(folder, tmp_path / "set", QUICK)
    assert {meta["file"] for meta in metas(tmp_path / "set")} == {"free.jpg"}
    assert summary.manifest["dropped"] == {"training forbidden": 2}
    sentence = "is not for training: its IPTC metadata forbid it (DMI-PROHIBITED-GENAIMLTRAINING)"
    assert dropped(tmp_path / "set")["forbidden.jpg"] == ("training forbidden", sentence)
    assert f"styleswap: forbidden.mjpeg {sentence}" in capsys.readouterr().err
    assert "its metadata forbid training" in (tmp_path / "set" / "report.html").read_text(encoding="utf-8")
    prepare(folder, tmp_path / "all", replace(QUICK, ignore_training_opt_outs=True))
    assert {"free.jpg", "forbidden.jpg"} <= {meta["file"] for meta in metas(tmp_path / "all")}


def test_duplicates_are_dropped_and_named(pictures, tmp_path):
    folder = tmp_path / "in"
    copies = {
        "a.png": pictures[0],
        "b.jpg": pictures[0],
        "c.png": cv2.resize(pictures[0], (112, 112)),
        "d.png": pictures[3],
    }
    for name, picture in copies.items():
        write_picture(folder / name, picture)
    prepare(folder, tmp_path / "set", QUICK)
    assert {meta["file"] for meta in metas(tmp_path / "set")} == {"a.png", "d.png"}
    assert dropped(tmp_path / "set")["b.jpg"] == ("duplicate", "shows the same as picture 0")
    prepare(folder, tmp_path / "all", replace(QUICK, duplicate_distance=-1))
    assert len(PreparedSet.open(tmp_path / "all")) == 4


def test_a_video_among_pictures(pictures, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    with open(folder / "clip.mjpeg", "wb") as file:
        file.writelines(
            encoded(picture)
            for picture in (*pictures[:2], cv2.resize(pictures[4], (144, 144)), cv2.resize(pictures[7], (144, 144)))
        )
    write_picture(folder / "zz.jpg", pictures[10])
    prepare(folder, tmp_path / "set", replace(QUICK, frame_seconds=0.0))
    kept = [(meta["file"], meta["frame"]) for meta in metas(tmp_path / "set")]
    assert kept == [*(("clip.mjpeg", frame) for frame in range(4)), ("zz.jpg", None)]
    assert "changes its size from 128 x 128 to 144 x 144" in (tmp_path / "set" / "report.html").read_text(
        encoding="utf-8"
    )


# --- continued and killed runs


def test_new_files_are_added_by_a_later_run(people_folder, pictures, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "set"
    folder.mkdir()
    for number in (5, 8):
        write_picture(folder / f"{number}.png", pictures[number])
    prepare(folder, out, QUICK)
    before = members(out)
    write_picture(folder / "0.png", pictures[0])
    prepare(folder, out, QUICK)
    after = members(out)
    assert len(after) == len(before) + 4 and before.items() <= after.items()
    assert [meta["file"] for meta in metas(out)][-1] == "0.png"
    prepare(folder, out, QUICK)
    assert members(out) == after


def test_other_settings_and_other_folders_are_refused(prepared_folder, people_folder, tmp_path):
    with pytest.raises(StyleSwapError, match="size 64 -> 32"):
        prepare(people_folder, prepared_folder, replace(QUICK, people="folders", size=32))
    (tmp_path / "mine.txt").touch()
    with pytest.raises(StyleSwapError, match="is not empty"):
        prepare(people_folder, tmp_path, QUICK)
    with pytest.raises(StyleSwapError, match="is not a folder"):
        prepare(people_folder / "nowhere", tmp_path / "set", QUICK)


def test_a_set_started_with_version_0_1_can_be_continued(pictures, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "set"
    write_picture(folder / "0.png", pictures[0])
    prepare(folder, out, QUICK)
    journal = Journal(out / JOURNAL)
    with journal.transaction():
        journal.set_value("settings", journal.value("settings") | {"masks": "five points and colours"})
    journal.close()
    write_picture(folder / "1.png", pictures[3])
    assert prepare(folder, out, QUICK).manifest["pictures"] == 2


def test_concurrent_runs_are_refused(tmp_path):
    journal = Journal(tmp_path / JOURNAL)
    with pytest.raises(StyleSwapError, match="in use"):
        Journal(tmp_path / JOURNAL)
    journal.close()
    Journal(tmp_path / JOURNAL).close()


def test_a_damaged_set_is_refused(prepared_folder, people_folder, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "set"
    folder.mkdir()
    (folder / "a.jpg").write_bytes((people_folder / "person0" / "0.jpg").read_bytes())
    prepare(folder, out, QUICK)
    (out / "embeddings.bin").write_bytes(b"")
    with pytest.raises(StyleSwapError, match="shorter than recorded"):
        prepare(folder, out, QUICK)
    with pytest.raises(StyleSwapError, match="too short"):
        PreparedSet.open(out)
    (out / "prepared.json").write_text("{")
    with pytest.raises(StyleSwapError, match="damaged"):
        PreparedSet.open(out)


def test_after_random_kills_every_picture_is_in_the_set_once(pictures, tmp_path, zygote):
    folder, out = tmp_path / "in", tmp_path / "set"
    folder.mkdir()
    many = max(3, KILLS) * COUNT
    for number in range(many):
        picture = pictures[number % COUNT]
        shade = np.clip(picture.astype(int) + number // COUNT, 0, 255).astype(np.uint8)
        write_picture(folder / f"{number:03d}.jpg", shade)
    draw = random.Random(7)
    for attempt in range(KILLS):
        process = zygote.start(folder, out, 1 + attempt % 2, target="killed_worker:run")
        # Kill after some progress, so that each run gets a little further.
        wanted = _bytes_written(out) + draw.randrange(1, 40_000)
        assert process.until(lambda: _bytes_written(out) >= wanted), process.stderr  # noqa: B023 - called at once
        process.kill()
        assert process.wait() == -signal.SIGKILL
    done = zygote.start(folder, out, 1, target="killed_worker:run")
    assert done.wait() == 0, done.stderr
    whole = tmp_path / "whole"
    prepare(folder, whole, KILLED_SETTINGS)
    kept = [meta["file"] for meta in metas(out)]
    assert kept == [f"{number:03d}.jpg" for number in range(many)]
    assert members(out) == members(whole)
    for name in ("index.bin", "embeddings.bin", "people.npy", "dropped.tsv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_a_full_disk_keeps_what_is_prepared_and_the_run_goes_on(people_folder, tmp_path):
    out, whole = tmp_path / "set", tmp_path / "whole"
    prepare(people_folder, whole, QUICK)
    with disk_of(20_000), pytest.raises((StyleSwapError, OSError), match="make room on the disk|No space|too large"):
        prepare(people_folder, out, QUICK)
    assert not (out / "prepared.json").exists()
    prepare(people_folder, out, QUICK)
    assert members(out) == members(whole)


def _bytes_written(out):
    """Size of the shards; decreases when a run truncates what a killed one did not commit."""
    try:
        return sum(path.stat().st_size for path in (out / "shards").iterdir())
    except FileNotFoundError:
        return 0
