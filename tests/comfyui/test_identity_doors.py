"""The nodes and the command make the same identity from the same picture."""

import torch
from workflow_files import only, small_prompt, with_probe

from styleswap_core.cli import main
from styleswap_core.identities.identity_format import load_identity
from styleswap_core.io.images import save_image

EXTRACT = "StyleSwap_ExtractArcFaceID"


def test_the_command_saves_what_the_nodes_save(server, tmp_path):
    prompt = small_prompt()
    extract = only(prompt, EXTRACT)
    values = {"filename": "doors", "file_format": "StyleSwap identity", "if_exists": "overwrite", "portrait": True}
    prompt["save"] = {"class_type": "StyleSwap_SaveIdentity", "inputs": {"identity": [extract, 0], **values}}
    run = server.run(with_probe(prompt, "source", prompt[extract]["inputs"]["image"]))
    save_image(tmp_path / "source.png", run.pixels("source")[0])
    out = tmp_path / "doors.safetensors"
    assert main(["identity", "extract", str(tmp_path / "source.png"), "--out", str(out), "--portrait"]) == 0
    made, expected = load_identity(out), load_identity(server.base / "models/styleswap/identities/doors.safetensors")
    assert made.recognizer == expected.recognizer
    # Networks on several threads do not round alike.
    assert torch.allclose(made.id_embedding, expected.id_embedding, atol=1e-4)
    assert (made.portrait.int() - expected.portrait.int()).abs().max() <= 2
