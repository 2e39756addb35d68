"""Options of `styleswap swap` that choose the faces of source pictures."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from gender_age_network import write_genderage

from styleswap_core import cli, extract_identity, load_face_analysis
from styleswap_core.commands.source_arguments import load_sources, print_source_notes
from styleswap_core.faces.gender_age import FILE
from styleswap_core.faces.packs import DEMO_PACK
from styleswap_core.identities.averaging import cosine_similarity
from styleswap_core.io.images import load_image, save_image


@pytest.fixture(scope="module")
def analyzer(tmp_path_factory):
    """The demo pack with a network that takes faces with much red for male."""
    pack = tmp_path_factory.mktemp("packs") / "pack"
    shutil.copytree(DEMO_PACK, pack)
    write_genderage(pack / FILE)
    return load_face_analysis(pack)


@pytest.fixture(scope="module")
def group(demo, tmp_path_factory):
    """Picture with the demo's source, tinted red, on the left, and its smaller target on the right."""
    source, target = (load_image(demo.folder / f"{name}.png") for name in ("source", "target"))
    small = target[::2, ::2] // 2
    picture = np.full((source.shape[0], source.shape[1] + small.shape[1], 3), 64, np.uint8)
    picture[:, : source.shape[1]] = source // 2
    picture[:, : source.shape[1], 0] += 128
    picture[: small.shape[0], source.shape[1] :] = small
    save_image(path := tmp_path_factory.mktemp("group") / "group.png", picture)
    return path


@pytest.fixture
def sources(group, analyzer, capsys):
    """Identities that options make of the group, and the notes."""
    swapper = SimpleNamespace(identify=lambda *given: extract_identity(given[0], analyzer, *given[1:]))

    def run(*options):
        words = ["swap", "--source", str(group), "--target", "t.png", "--out", "o.png", *options]
        args = cli.build_parser("swap").parse_args(words)
        identities, reports = load_sources(args, swapper)
        print_source_notes(reports, args)
        return identities, capsys.readouterr().err

    return run


def test_faces_of_source_pictures_by_number_order_and_gender(sources):
    (large, small), _ = sources("--source-face", "0,1")
    assert cosine_similarity(large, small) < 0.5
    for options, expected, note in [
        ([], large, "shows 2 faces; the largest is the source"),
        (["--source-order", "right-left"], large, "the largest is the source"),
        (["--source-face", "0", "--source-order", "right-left"], small, ""),
        (["--source-gender", "male"], large, "the largest male one is the source"),
        (["--source-gender", "female"], small, "the largest female one is the source"),
    ]:
        (made,), messages = sources(*options)
        assert cosine_similarity(made, expected) > 0.999, options
        assert note in messages and bool(note) == bool(messages)
    with pytest.raises(cli.StyleSwapError, match=r"no face 0 that is female, 1 such face found; choose another face"):
        sources("--source-face", "0", "--source-gender", "female")


def test_a_gender_needs_a_pack_that_estimates_it(group, error_of, folder):
    words = ["--source", group, "--source-gender", "male", "--target", group, "--out", "x.png"]
    assert "genderage.onnx" in error_of("swap", *words)


def test_outliers_are_kept_unless_left_out(demo, folder, capsys):
    anna, bert = (str(demo.folder / f"{name}.png") for name in ("source", "target"))
    words = ["swap", "--source", anna, anna, anna, bert, "--target", bert, "--out", "swapped.png", "--json"]
    likeness = []
    for options, left_out in (((), False), (("--outliers", "leave-out"), True)):
        assert cli.main([*words, *options]) == 0
        printed = capsys.readouterr()
        report = json.loads(printed.out)
        assert "looks like another person" in printed.err and (", and is left out" in printed.err) == left_out
        assert [source["left_out"] for source in report["sources"]] == [False] * 3 + [left_out]
        likeness.append(report["results"][0]["faces"][0]["similarity_before"])
    assert likeness[1] < likeness[0] - 0.1, "the outlier is the target itself"
