"""`styleswap credentials`, and signed results of `styleswap swap`."""

import json
from pathlib import Path

import numpy as np
import pytest

from styleswap_core.cli import main
from styleswap_core.identities.provenance import EDITED
from styleswap_core.io.images import load_image, save_image

pytest.importorskip("c2pa", reason="needs c2pa-python: pip install c2pa-python")


@pytest.fixture(autouse=True)
def _no_certificate(monkeypatch):
    for name in ("CERTIFICATE", "KEY", "KEY_PASSPHRASE", "TIMESTAMP_URL"):
        monkeypatch.delenv(f"STYLESWAP_{name}", raising=False)


@pytest.fixture
def certificate(folder, capsys):
    """Options that name a certificate in the working directory."""
    assert main(["credentials", "create", "own", "--name", "Anna Müller"]) == 0
    captured = capsys.readouterr()
    assert "certificate: own/certificate.pem, valid until" in captured.out.replace("\\", "/")
    assert "readers of Content Credentials will call the signer unknown" in captured.err
    return ["--certificate", "own/certificate.pem", "--key", "own/key.pem"]


@pytest.fixture
def swap(demo, folder):
    """Words of `styleswap swap` without the result."""
    source, target = (str(demo.folder / name) for name in ("source.png", "target.png"))
    return ["swap", "--source", source, "--target", target, "--device", "cpu"]


def shown(capsys, *words):
    code = main(["credentials", "show", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)["files"]


def test_a_swap_is_signed_shown_and_trusted_if_the_issuer_is(swap, certificate, capsys, demo):
    assert main([*swap, "--out", "signed.png", *certificate, "--identity-name", "Bert", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["results"][0]
    assert report["signed_by"] == "Anna Müller"
    assert np.array_equal(load_image("signed.png"), load_image(demo.folder / "result.png"))
    assert main(["credentials", "show", "signed.png"]) == 0
    text = capsys.readouterr().out
    assert "valid: the file is as it was signed. The signer is unknown here" in text
    assert "signed by: Anna Müller, with StyleSwap" in text and "made from: Bert (inputTo), styleswap:identity:" in text
    assert "text entry, which anyone can change: face swapped; model" in text
    code, (row,) = shown(capsys, "signed.png", "--trust", "own/certificate.pem")
    assert code == 0 and row["state"] == "trusted" and row["credentials"]["problems"] == []
    assert "key.pem" not in json.dumps(row)


def test_a_changed_file_and_files_without_credentials(swap, certificate, capsys):
    main([*swap, "--out", "signed.png", *certificate])
    content = bytearray(Path("signed.png").read_bytes())
    content[-20] ^= 1
    Path("changed.png").write_bytes(content)
    save_image("plain.jpg", np.zeros((32, 32, 3), np.uint8))
    Path("note.txt").write_text("no picture", encoding="utf-8")
    capsys.readouterr()
    code, rows = shown(capsys, "changed.png", "plain.jpg", "note.txt", "missing.png")
    assert code == 2
    assert [row["state"] for row in rows] == ["invalid", "none", "none", "unreadable"]
    assert rows[0]["credentials"]["problems"] == ["the file was changed after it was signed"]
    assert main(["credentials", "show", "changed.png"]) == 2
    assert "NOT VALID: the file was changed after it was signed" in capsys.readouterr().out


def test_the_environment_signs_unless_it_is_turned_off(swap, certificate, monkeypatch, error_of):
    monkeypatch.setenv("STYLESWAP_CERTIFICATE", "own/certificate.pem")
    monkeypatch.setenv("STYLESWAP_KEY", "own/key.pem")
    assert "a.bmp cannot be signed, since its format carries no Content Credentials" in error_of(
        *swap, "--out", "a.bmp"
    )
    assert "leave out --no-credentials" in error_of(*swap, "--out", "a.png", "--no-credentials", "--identity-name", "A")
    assert main([*swap, "--out", "plain.bmp", "--no-credentials"]) == 0
    assert sorted(path.name for path in Path().iterdir()) == ["own", "plain.bmp"]


def test_a_pasted_crop_is_signed_as_an_edit_of_the_target(swap, certificate, capsys):
    assert main([*swap, "--out", "swapped.png", *certificate]) == 0
    assert main(["align", "--target", "swapped.png", "--out", "crops", "--size", "64"]) == 0
    paste = ["paste", "--target", "swapped.png", "--crops", "crops", "--out", "pasted.png", *certificate]
    assert main(paste) == 0
    capsys.readouterr()
    assert Path("pasted.png").read_bytes() == Path("swapped.png").read_bytes(), "nothing was changed"
    crop = np.array(load_image("crops/swapped_face0.png"))
    crop[24:40, 24:40] = 255
    save_image("crops/swapped_face0.png", crop)
    assert main(paste) == 0
    assert "signed by Anna Müller" in capsys.readouterr().out
    code, (row,) = shown(capsys, "pasted.png")
    assert code == 0 and row["state"] == "valid"
    (action,) = (one for one in row["credentials"]["actions"] if one["action"] == "c2pa.edited")
    assert action["description"] == row["text_entry"]
    assert row["text_entry"].startswith("face swapped; model") and row["text_entry"].endswith(EDITED)
    assert action["source_type"].endswith("compositeWithTrainedAlgorithmicMedia")
    (target,) = row["credentials"]["ingredients"]
    assert target["title"] == "target" and target["signer"] == "Anna Müller"


def test_options_without_a_certificate_are_refused(swap, error_of):
    line = error_of(*swap, "--out", "a.png", "--identity-name", "Anna")
    assert "--identity-name is for signed results; name a certificate" in line
    assert "got only a key" in error_of(*swap, "--out", "a.png", "--key", "own/key.pem")
    assert "own/c.pem does not exist" in error_of(*swap, "--out", "a.png", "--certificate", "own/c.pem", "--key", "b")
