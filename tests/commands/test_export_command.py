"""`styleswap export`: model files of half the size, and ONNX files for one identity."""

import json

import onnxruntime
import torch

from styleswap_core.checkpoints.native import load_generator, save_generator
from styleswap_core.cli import main
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.identities.identity_format import save_identity
from styleswap_core.model import Generator
from styleswap_core.model.generator_config import PRESETS


def run_folder(tmp_path):
    torch.manual_seed(0)
    folder = tmp_path / "run"
    folder.mkdir()
    generator = Generator(PRESETS["tiny"])
    save_generator(folder / "generator_ema.safetensors", generator, {"domain": "synthetic"})
    return folder, generator


def test_an_exported_model_is_equivalent_at_half_the_size(tmp_path, capsys):
    folder, generator = run_folder(tmp_path)
    out = tmp_path / "small.safetensors"
    assert main(["export", str(folder), str(out), "--card", "for tests", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bytes"] == out.stat().st_size < 0.55 * (folder / "generator_ema.safetensors").stat().st_size
    read, metadata = load_generator(out)
    assert metadata == {"domain": "synthetic", "card": "for tests"}
    crop, embedding = torch.rand(2, 3, 32, 32) * 2 - 1, torch.nn.functional.normalize(torch.randn(2, 512), dim=1)
    with torch.no_grad():
        assert (read(crop, embedding).image - generator(crop, embedding).image).abs().max() < 2e-2


def test_onnx_for_one_identity(tmp_path, capsys):
    folder, generator = run_folder(tmp_path)
    identity = Identity(torch.nn.functional.normalize(torch.randn(512), dim=0), RecognizerId("known"))
    save_identity(tmp_path / "someone.safetensors", identity)
    out = tmp_path / "someone.onnx"
    assert main(["export", str(folder), str(out), "--baked", str(tmp_path / "someone.safetensors"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bytes"] == out.stat().st_size and report["largest_difference_in_onnx_runtime"] < 1e-3
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    crop = torch.rand(3, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        expected = generator.eval()(crop, identity.id_embedding.expand(3, -1)).image
    image = session.run(["image"], {"input": crop.numpy()})[0]
    assert (expected - torch.from_numpy(image)).abs().max() < 1e-3
    assert (
        main(["export", str(folder), str(tmp_path / "x.safetensors"), "--baked", str(tmp_path / "someone.safetensors")])
        == 2
    )
    assert ".onnx" in capsys.readouterr().err


def test_a_folder_without_generator_and_a_wrong_suffix_are_refused(tmp_path, capsys):
    assert main(["export", str(tmp_path), str(tmp_path / "x.safetensors")]) == 2
    assert "generator_ema.safetensors" in capsys.readouterr().err
    folder, _ = run_folder(tmp_path)
    assert main(["export", str(folder), str(tmp_path / "x.pth")]) == 2
    assert ".safetensors" in capsys.readouterr().err
    assert not (tmp_path / "x.pth").exists()


def test_onnx_in_the_form_of_other_programs(tmp_path, capsys):
    folder, _ = run_folder(tmp_path)
    out = tmp_path / "guest.onnx"
    assert main(["export", str(folder), str(out), "--form", "inswapper"]) == 2
    assert "arcface_128" in capsys.readouterr().err and not out.exists()
    assert main(["export", str(folder), str(out), "--form", "inswapper", "--template-ok", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert main(["export", str(folder), str(out), "--form", "inswapper", "--template-ok"]) == 0
    words = capsys.readouterr().out
    assert f"wrote {out}: {report['bytes'] / 1e6:.1f} MB, form inswapper, crop template ffhq, differs in" in words
    assert (report["form"], report["template"]) == ("inswapper", "ffhq")
    assert report["largest_difference_in_onnx_runtime"] < 1e-3
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert {value.name: value.shape[1:] for value in session.get_inputs()} == {"target": [3, 32, 32], "source": [512]}


def test_options_that_contradict_the_form(tmp_path, capsys):
    folder, _ = run_folder(tmp_path)
    for options, message in (
        (["x.onnx", "--form", "baked"], "--baked FILE"),
        (["x.onnx", "--form", "hyperswap", "--baked", "someone.png"], "any identity"),
        (["x.safetensors", "--form", "hyperswap"], "ends in .onnx"),
        (["x.safetensors", "--template-ok"], "belongs to --form"),
    ):
        assert main(["export", str(folder), str(tmp_path / options[0]), *options[1:]]) == 2
        assert message in capsys.readouterr().err
