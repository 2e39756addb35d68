"""The nodes and the command make the same identity of the same pictures."""

import torch
from workflow_files import only, small_prompt

from styleswap_core.cli import main
from styleswap_core.identities.identity_format import load_identity
from styleswap_core.io.images import save_image, to_uint8
from styleswap_core.synthetic.scene import SyntheticScene

ANALYSIS, EXTRACT = "StyleSwap_LoadFaceAnalysis", "StyleSwap_ExtractArcFaceID"


def test_the_command_saves_what_the_nodes_save(server, tmp_path):
    source = server.base / "input" / "doors.png"
    save_image(source, to_uint8(next(SyntheticScene(25, 26, 25, 26, size=256).source_photos())[None])[0])
    template = small_prompt()
    prompt = {name: template[name] for name in (only(template, ANALYSIS), only(template, EXTRACT))}
    extract = only(prompt, EXTRACT)
    prompt["source"] = {"class_type": "LoadImage", "inputs": {"image": "doors.png"}}
    prompt[extract]["inputs"] |= {"image": ["source", 0], "faces": "by index", "indices": "0"}
    values = {"filename": "doors", "file_format": "StyleSwap identity", "if_exists": "overwrite", "portrait": True}
    prompt["save"] = {"class_type": "StyleSwap_SaveIdentity", "inputs": {"identity": [extract, 0], **values}}
    server.run(prompt)
    out = tmp_path / "doors.safetensors"
    assert main(["identity", "extract", str(source), "--faces", "0", "--out", str(out), "--portrait"]) == 0
    made, expected = load_identity(out), load_identity(server.base / "models/styleswap/identities/doors.safetensors")
    assert made.recognizer == expected.recognizer
    # Networks on several threads do not round alike.
    assert torch.allclose(made.id_embedding, expected.id_embedding, atol=1e-4)
    assert (made.portrait.int() - expected.portrait.int()).abs().max() <= 2
