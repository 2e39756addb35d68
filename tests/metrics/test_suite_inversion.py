"""The inversion suite as a whole, with few people and steps."""

import json
from contextlib import redirect_stdout
from io import StringIO

import pytest
from tiny_networks import write_networks

from styleswap_core.checkpoints import load_generator
from styleswap_core.cli import main
from styleswap_core.export.guest_onnx import export_guest
from styleswap_core.io.images import load_image
from styleswap_core.metrics.bounds import INVERSION_BOUNDS
from styleswap_core.metrics.inversion_table import inversion_table
from styleswap_core.metrics.suite_inversion import METHODS


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    options = {
        **write_networks(tmp_path_factory.mktemp("inversion")),
        "--identities": 2,
        "--settings": 1,
        "--seed": 3,
        "--steps": 2,
        "--workers": 0,
        "--device": "cpu",
    }
    return ["evaluate", "--suite", "inversion", *(str(word) for pair in options.items() for word in pair)]


@pytest.fixture(scope="module")
def evaluated(words, tmp_path_factory):
    """Folder with the files of an evaluation, and what it printed."""
    folder, printed = tmp_path_factory.mktemp("evaluated"), StringIO()
    with redirect_stdout(printed):
        assert main([*words, "--out", str(folder / "inversion.json"), "--check"]) in (0, 1)
    return folder, printed.getvalue()


@pytest.fixture(scope="module")
def own(evaluated):
    """Its figures."""
    return json.loads((evaluated[0] / "inversion.json").read_text())


def test_every_method_is_measured(evaluated, own):
    (folder, printed), figures = evaluated, own
    assert (figures["suite"], figures["count"], figures["steps"], figures["trust"]) == ("inversion", 2, 2, 0.5)
    for method, label in METHODS.items():
        assert f"| {label} |" in printed
        for key in ("id_cos_other_photo", "id_retrieval_top1", "face_psnr", "pose_error_deg", "expression_error"):
            assert figures[f"{method}_{key}"] is not None
    assert set(INVERSION_BOUNDS) <= figures.keys()
    assert figures["w_id_cos_other_photo_ceiling"] == figures["guided_id_cos_other_photo_ceiling"]
    assert figures["id_gain"] == pytest.approx(figures["guided_id_cos_other_photo"] - figures["w_id_cos_other_photo"])
    assert figures["guided_steps"] == 2 and "w_steps" not in figures
    sheet = load_image(folder / "inversion.png")
    assert sheet.shape[1] > 4 * sheet.shape[0] / 2


def test_networks_of_other_programs(words, own, tmp_path, capsys):
    generator, _ = load_generator(words[words.index("--model") + 1])
    export_guest(tmp_path / "guest.onnx", generator.eval(), "hyperswap", template_ok=True)
    assert main([*words, "--model", str(tmp_path / "guest.onnx"), "--json"]) == 0
    guest = json.loads(capsys.readouterr().out)
    assert guest["model"] == "guest (hyperswap)" and guest["guided_steps"] == 2
    # The same network: plain swaps are equal, inversions search among other numbers.
    assert guest["w_face_psnr"] == pytest.approx(own["w_face_psnr"], abs=2e-3)
    assert guest["guided_face_psnr"] != pytest.approx(guest["w_face_psnr"], abs=1e-9)


@pytest.mark.usefixtures("forked_workers")
def test_figures_do_not_depend_on_the_number_of_processes(words, own, capsys):
    assert main([*words, "--workers", "2", "--json"]) == 0
    one, two = (
        {key: value for key, value in figures.items() if "seconds" not in key}
        for figures in (own, json.loads(capsys.readouterr().out))
    )
    assert one == pytest.approx(two, abs=1e-6)


def test_invalid_options_are_one_line(words, capsys):
    for more, part in (
        (["--protocol", "pipeline"], "aligned protocol only"),
        (["--trust", "3"], "from 0 to 1"),
        (["--identities", "1"], "expected 2 to"),
    ):
        assert main([*words, *more]) == 2
        assert part in capsys.readouterr().err


def test_rows_of_the_table_of_bounds():
    figures = {
        f"{method}_{key}": 0.5 for method in METHODS for key in ("id_cos_other_photo", "id_cos_other_photo_ceiling")
    }
    figures |= {
        "two_photos_id_cos": 0.6,
        "id_gain": 0.06,
        "id_gain_wanted": 0.05,
        "id_gain_share": 1.2,
        "pose_error_ratio": 1.02,
        "expression_error_ratio": 1.2,
        "self_reconstruction_id_gain": -0.1,
    }
    text = inversion_table(figures)
    assert "| `id_gain_share` | 1.200 | >= 1.000 | yes |" in text
    assert "| `expression_error_ratio` | 1.200 | <= 1.050 | **no** |" in text
