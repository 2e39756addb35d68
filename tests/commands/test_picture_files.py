"""Input and output files of `styleswap swap`."""

import os
from pathlib import Path

import pytest

from styleswap_core.commands.clip_files import split_targets
from styleswap_core.commands.picture_files import plan_files
from styleswap_core.errors import StyleSwapError
from styleswap_core.io.file_kinds import PICTURE_SUFFIXES
from styleswap_core.io.picture_writing import WRITTEN_SUFFIXES


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_one_target(folder):
    touch(folder / "in.jpg")
    assert plan_files([Path("in.jpg")], Path("out.png"), None) == [(Path("in.jpg"), Path("out.png"), None)]
    (folder / "results").mkdir()
    assert plan_files([Path("in.jpg")], Path("results"), Path("results")) == [
        (Path("in.jpg"), Path("results/in.jpg"), Path("results/in_mask.png"))
    ]


def test_pictures_of_a_folder_in_order(folder):
    touch(folder / "in/b.PNG", folder / "in/a.jpg", folder / "in/notes.txt")
    assert plan_files([Path("in")], Path("out"), Path("masks")) == [
        (Path("in/a.jpg"), Path("out/a.jpg"), Path("masks/a_mask.png")),
        (Path("in/b.PNG"), Path("out/b.PNG"), Path("masks/b_mask.png")),
    ]
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("targets", "out", "mask_out", "message"),
    [
        (["in.png"], "in.png", None, "would be replaced"),
        (["in.png"], "source.png", None, "would be replaced"),
        (["in.png"], "out.png", "source.png", "would be replaced"),
        (["in.png"], "out.png", "out.png", "different files"),
        (["in.png"], "out.gif", None, "rename"),
        (["in.png"], "missing/out.png", None, "create it first"),
        (["in.png", "other/in.png"], "out", None, "would both be written"),
        (["in.png", "other/in.png"], "out.png", None, "name a folder"),
        (["in.png", "other/second.png"], ".", None, "would be replaced"),
        (["in.png", "other/second.png"], "in.png", None, "name a folder"),
        (["empty"], "out", None, "found none"),
    ],
)
def test_impossible_plans_are_refused(targets, out, mask_out, message, folder):
    touch(folder / "in.png", folder / "source.png", folder / "other/in.png", folder / "other/second.png")
    (folder / "empty").mkdir()
    with pytest.raises(StyleSwapError, match=message):
        plan_files([Path(target) for target in targets], Path(out), mask_out and Path(mask_out), [Path("source.png")])


@pytest.mark.skipif(os.name == "nt", reason="symbolic links require a permission on Windows")
def test_a_loop_of_symbolic_links_is_left_to_the_reader(folder):
    (folder / "loop.png").symlink_to("loop.png")
    assert plan_files([Path("loop.png")], Path("out.png"), None) == [(Path("loop.png"), Path("out.png"), None)]


def test_no_picture_of_a_folder_is_passed_over_without_a_word(folder, capsys):
    names = [f"{number}{suffix}" for number, suffix in enumerate(PICTURE_SUFFIXES)]
    touch(*(folder / "in" / name for name in [*names, "clip.mp4", "._0.png", ".0.abcdef.png", ".DS_Store"]))
    plan = plan_files([Path("in")], Path("out"), None)
    assert [files.target.name for files in plan] == sorted(names)
    assert all(files.out.suffix in WRITTEN_SUFFIXES for files in plan)
    assert capsys.readouterr().err == "styleswap: note: left out of in: clip.mp4\n"


def test_subfolders_are_entered_on_request(folder, capsys):
    touch(folder / "in/a.png", folder / "in/b/a.png", folder / "in/b/c/d.mp4", folder / "in/out/a.png")
    touch(folder / "in/.trash/x.png")
    if os.name != "nt":
        (folder / "in/b/loop").symlink_to(folder / "in")
    pictures, clips = split_targets([Path("in")], True, [Path("in/out")])
    assert pictures == [Path("in/a.png"), Path("in/b/a.png")] and clips == [Path("in/b/c/d.mp4")]
    plan = plan_files(pictures, Path("in/out"), Path("masks"), several=True, roots=[Path("in")])
    assert [files.out for files in plan] == [Path("in/out/a.png"), Path("in/out/b/a.png")]
    assert plan[1].mask_out == Path("masks/b/a_mask.png")
    assert ("links to a folder that was visited before" in capsys.readouterr().err) == (os.name != "nt")
    assert split_targets([Path("in")]) == ([Path("in/a.png")], [])
    touch(folder / "outer/inner/a.png")
    with pytest.raises(StyleSwapError, match="--recursive"):
        split_targets([Path("outer")])


def test_another_name_of_an_input_is_refused(folder):
    touch(folder / "in.png", folder / "source.png")
    os.link("source.png", "linked.png")
    with pytest.raises(StyleSwapError, match=r"linked\.png is an input and would be replaced"):
        plan_files([Path("in.png")], Path("linked.png"), None, [Path("source.png")])
