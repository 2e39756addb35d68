"""`styleswap invert`, and `styleswap swap` with what it wrote: the demo pack, rendered people, a tiny generator."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from styleswap_core import cli
from styleswap_core.checkpoints import model_sha256, save_generator
from styleswap_core.commands.invert_command import _Display, stop_on_ctrl_c
from styleswap_core.identities.identity_format import load_identity
from styleswap_core.io.files import file_sha256
from styleswap_core.io.images import load_image, save_image, to_uint8
from styleswap_core.model import Generator, GeneratorConfig
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import render

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two tiny generators, source.png, target.png, guides/ with one faceless picture, all without a face: blank.png."""
    folder = tmp_path_factory.mktemp("invert")
    for seed, name in enumerate(("generator", "other")):
        torch.manual_seed(seed)
        config = GeneratorConfig(size=32, w_dim=16, mapping_layers=1, channels={4: 8, 8: 8, 16: 8, 32: 8})
        save_generator(folder / f"{name}.safetensors", Generator(config), {})
    people = Identities.from_seeds(list(IDENTITY_SEEDS["test"][:4]))
    settings = Attributes.from_seeds(list(ATTRIBUTE_SEEDS["test"][:4]))
    (folder / "guides").mkdir()
    for name, picture in zip(
        ("source", "target", "guides/a", "guides/b"), to_uint8(render(people, settings, size=192).image), strict=True
    ):
        save_image(folder / f"{name}.png", picture)
    Image.new("RGB", (120, 120), (90, 130, 160)).save(folder / "blank.png")
    Image.new("RGB", (120, 120), (90, 130, 160)).save(folder / "guides/c.png")
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Run the command in the folder; exit code, stdout, stderr."""
    monkeypatch.chdir(folder)

    def run(*words):
        code = cli.main([*words, "--model", "generator.safetensors", "--device", "cpu"])
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def inverted(folder):
    """id.safetensors from a process of its own, and its report."""
    words = [
        "invert",
        "--source",
        "source.png",
        "--guides",
        "guides",
        "--out",
        "id.safetensors",
        "--steps",
        "4",
        "--trust",
        "0.2",
        "--curve",
        "curve.png",
        "--preview",
        "preview.png",
        "--json",
        "--model",
        "generator.safetensors",
        "--device",
        "cpu",
    ]
    done = process(folder, words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def process(folder, words):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(
        [sys.executable, "-m", "styleswap_core.cli", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_report_says_what_happened(folder, inverted):
    report, notes = inverted
    assert report["steps"] == 4 and report["guides"] + report["held_out_guides"] == 2
    assert report["guides_skipped"] == 1 and "without a face, skipped: 1" in notes
    assert report["likeness"] >= report["likeness_before"] and report["distance"] <= report["distance_limit"]
    assert [step for step, _ in report["curve"]] == [0, 4]
    identity = load_identity(folder / "id.safetensors")
    assert identity.generator_sha256 == report["model"]["sha256"] == model_sha256(folder / "generator.safetensors")
    assert identity.sources == (file_sha256(folder / "source.png"),)
    assert load_image(folder / "curve.png").shape[2] == 3
    preview = load_image(folder / "preview.png")
    assert preview.shape[1] > 2.5 * preview.shape[0] * 0.9
    assert "face swapped" in Image.open(folder / "preview.png").text["styleswap"]


def test_a_saved_identity_gives_the_same_pixels_in_a_fresh_process(folder, inverted, run):
    words = ["swap", "--identity", "id.safetensors", "--target", "target.png"]
    assert run(*words, "--out", "here.png")[0] == 0
    assert (
        process(
            folder, [*words, "--out", "there.png", "--model", "generator.safetensors", "--device", "cpu"]
        ).returncode
        == 0
    )
    here, there = (load_image(folder / name) for name in ("here.png", "there.png"))
    assert np.array_equal(here, there) and not np.array_equal(here, load_image(folder / "target.png"))


def test_an_identity_of_another_generator_is_refused(folder, inverted, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    code = cli.main(
        [
            "swap",
            "--identity",
            "id.safetensors",
            "--target",
            "target.png",
            "--out",
            "no.png",
            "--model",
            "other.safetensors",
            "--device",
            "cpu",
        ]
    )
    assert code == 2 and "inverted for another model" in capsys.readouterr().err
    assert not (folder / "no.png").exists()


def test_zero_steps_give_plain_w_and_say_so(folder, run):
    code, out, notes = run(
        "invert", "--source", "source.png", "--guides", "guides", "--out", "zero.safetensors", "--steps", "0"
    )
    assert code == 0 and "plain W" in notes and "0 steps" in out
    words = ["--target", "target.png", "--out"]
    assert run("swap", "--identity", "zero.safetensors", *words, "zero.png")[0] == 0
    assert run("swap", "--source", "source.png", *words, "plain.png")[0] == 0
    difference = load_image(folder / "zero.png").astype(int) - load_image(folder / "plain.png")
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(("failures", "code"), [(1, 0), (2, 2)])
def test_where_memory_does_not_suffice_it_goes_on_face_by_face(failures, code, folder, run, monkeypatch):
    left, show = [None] * failures, _Display.show

    def scarce(display, progress):
        if left:
            left.pop()
            raise torch.cuda.OutOfMemoryError("told to")
        show(display, progress)

    monkeypatch.setattr(_Display, "show", scarce)
    words = ["--source", "source.png", "--guides", "guides", "--steps", "1", "--out", f"scarce{failures}.safetensors"]
    found, _, notes = run("invert", *words)
    assert found == code and "face by face" in notes and ("not memory enough on the GPU" in notes) == (code == 2)
    assert (folder / words[-1]).exists() == (code == 0)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--source", "blank.png"], "picture 1 of 1 shows none"),
        (["--source", "source.png", "--guides", "blank.png"], "none of the 1 pictures"),
        (["--source", "missing.png"], "does not exist"),
        (["--source", "source.png", "--pack", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(words, part, folder, run):
    code, out, error = run("invert", *words, "--out", "never.safetensors")
    lines = [line for line in error.splitlines() if "error" in line]
    assert code == 2 and out == "" and len(lines) == 1 and part in lines[0]
    assert not (folder / "never.safetensors").exists()


@pytest.fixture
def interruptible():
    # A shell ignores Ctrl-C on behalf of what it starts in the background, and Python takes that over.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_ctrl_c_asks_and_the_second_interrupts(interruptible):
    with pytest.raises(KeyboardInterrupt), stop_on_ctrl_c() as canceled:
        assert not canceled()
        signal.raise_signal(signal.SIGINT)
        assert canceled()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
