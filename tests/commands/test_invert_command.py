"""`styleswap invert`, and `styleswap swap` with its identities: the demo pack, rendered people, a tiny generator."""

import json
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from styleswap_core import cli
from styleswap_core.checkpoints import load_generator, model_sha256, save_generator
from styleswap_core.commands.invert_command import _Display, stop_on_ctrl_c
from styleswap_core.export.guest_onnx import export_guest
from styleswap_core.identities.identity_format import load_identity
from styleswap_core.inversion import InversionSettings
from styleswap_core.io.files import file_sha256
from styleswap_core.io.images import load_image, save_image, to_uint8
from styleswap_core.model import Generator, GeneratorConfig
from styleswap_core.synthetic.parameters import ATTRIBUTE_SEEDS, IDENTITY_SEEDS, Attributes, Identities
from styleswap_core.synthetic.world import render

MODEL = ["--model", "generator.safetensors", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two tiny generators, source.png, target.png, blank.png without a face, and guides, one of them without a face."""
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
    """Runs a command in the folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(folder)

    def run(*words):
        code = cli.main([*words, *MODEL])
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def inverted(folder, zygote):
    """Report and stderr of a process that wrote id.safetensors."""
    words = [
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
    ]
    pictures = ["--curve", "curve.png", "--preview", "preview.png"]
    done = zygote.start("invert", *words, *pictures, "--json", *MODEL, folder=folder)
    assert done.wait() == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_report_and_files(folder, inverted):
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


def test_a_saved_identity_gives_the_same_pixels_in_another_process(folder, inverted, run, zygote):
    words = ["swap", "--identity", "id.safetensors", "--target", "target.png"]
    assert run(*words, "--out", "here.png")[0] == 0
    assert zygote.start(*words, "--out", "there.png", *MODEL, folder=folder).wait() == 0
    here, there = (load_image(folder / name) for name in ("here.png", "there.png"))
    assert np.array_equal(here, there) and not np.array_equal(here, load_image(folder / "target.png"))


def test_an_identity_of_another_generator_is_refused(folder, inverted, monkeypatch, error_of):
    monkeypatch.chdir(folder)
    words = ["--identity", "id.safetensors", "--target", "target.png", "--out", "no.png"]
    assert "inverted for another model" in error_of("swap", *words, "--model", "other.safetensors", "--device", "cpu")
    assert not (folder / "no.png").exists()


def test_zero_steps_give_plain_w(folder, run):
    code, out, notes = run(
        "invert", "--source", "source.png", "--guides", "guides", "--out", "zero.safetensors", "--steps", "0"
    )
    assert code == 0 and "plain identity" in notes and "0 steps" in out
    words = ["--target", "target.png", "--out"]
    assert run("swap", "--identity", "zero.safetensors", *words, "zero.png")[0] == 0
    assert run("swap", "--source", "source.png", *words, "plain.png")[0] == 0
    difference = load_image(folder / "zero.png").astype(int) - load_image(folder / "plain.png")
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(("failures", "code"), [(1, 0), (2, 2)])
def test_the_low_memory_form_is_tried_when_a_gpu_runs_out_of_memory(failures, code, folder, run, monkeypatch):
    left, show = [None] * failures, _Display.show

    def scarce(display, progress):
        if left:
            left.pop()
            raise torch.cuda.OutOfMemoryError("simulated")
        show(display, progress)

    monkeypatch.setattr(_Display, "show", scarce)
    words = ["--source", "source.png", "--guides", "guides", "--steps", "1", "--out", f"scarce{failures}.safetensors"]
    found, _, notes = run("invert", *words)
    assert found == code and "one at a time" in notes
    assert ("too little memory to invert" in notes) == (code == 2)
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
def test_invalid_input_is_one_line_and_nothing_is_written(words, part, folder, run):
    code, out, error = run("invert", *words, "--out", "never.safetensors")
    lines = [line for line in error.splitlines() if "error" in line]
    assert code == 2 and out == "" and len(lines) == 1 and part in lines[0]
    assert not (folder / "never.safetensors").exists()


@pytest.fixture
def interruptible():
    # Processes that a shell starts in the background ignore Ctrl-C, and so would Python.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_ctrl_c_cancels_and_the_second_interrupts(interruptible):
    with pytest.raises(KeyboardInterrupt), stop_on_ctrl_c() as canceled:
        assert not canceled()
        signal.raise_signal(signal.SIGINT)
        assert canceled()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_defaults_in_the_help_are_those_of_the_settings(capsys):
    with pytest.raises(SystemExit):
        cli.main(["invert", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    settings = InversionSettings()
    assert f"maximum number of steps (default: {settings.steps})" in text
    assert f"at the cost of pose and expression (default: {settings.trust})" in text


def test_a_network_of_another_program(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    generator, _ = load_generator("generator.safetensors")
    export_guest("guest.onnx", generator.eval(), "hyperswap", template_ok=True)
    network = ["--model", "guest.onnx", "--device", "cpu"]
    words = ["--source", "source.png", "--guides", "guides", "--out", "guest.safetensors", "--steps", "4"]
    assert cli.main(["invert", *words, *network, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["steps"] == 4 and not report["bf16"] and "other programs" in report["precision_reason"]
    identity = load_identity("guest.safetensors")
    assert identity.w_plus.shape == (1, 512) and identity.generator_sha256 == file_sha256("guest.onnx")
    swap = ["swap", "--identity", "guest.safetensors", "--target", "target.png", "--out", "swapped.png"]
    assert cli.main([*swap, *network]) == 0
    assert cli.main([*swap, *MODEL]) == 2
    assert "another model" in capsys.readouterr().err
    assert (load_image("swapped.png") != load_image("target.png")).any()
