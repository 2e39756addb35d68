"""Values of other packs: insightface's analysis under both of its socket names, and ReActor's face models."""

from dataclasses import replace

import numpy as np
import pytest
from comfy_server import error_message
from workflow_files import SWAP, only, small_prompt, target_link, with_probe

from styleswap_core.checkpoints import DEMO_MODEL, load_generator, save_generator

ANALYSIS, EXTRACT, MODEL = (f"StyleSwap_{name}" for name in ("LoadFaceAnalysis", "ExtractArcFaceID", "LoadModel"))
INSIGHTFACE, FACEANALYSIS, FACE_MODEL = 0, 1, 2


def _with_foreign(prompt):
    """The prompt with a node `foreign` of another pack that analyzes the source."""
    source = prompt[only(prompt, EXTRACT)]["inputs"]["image"]
    return {**prompt, "foreign": {"class_type": "Probe_InsightFace", "inputs": {"image": source}}}


@pytest.mark.parametrize("socket", [INSIGHTFACE, FACEANALYSIS])
def test_an_analysis_of_another_pack_finds_the_same_faces(server, socket):
    own = server.run(with_probe(small_prompt(), "target", target_link()))
    prompt = _with_foreign(small_prompt())
    for node in prompt.values():
        if "face_analysis" in node["inputs"]:
            node["inputs"]["face_analysis"] = ["foreign", socket]
    del prompt[only(prompt, ANALYSIS)]
    shown, expected, target = server.run(prompt).pixels("shown"), own.pixels("shown"), own.pixels("target")
    changed = np.abs(expected.astype(int) - target).mean()
    assert changed > 1
    # It detects at a single size, so its landmarks differ a little.
    assert np.abs(shown.astype(int) - expected).mean() < 0.25 * changed


def test_a_face_model_is_saved_loaded_and_compared(server):
    prompt = _with_foreign(small_prompt())
    wanted = {"filename": "somebody", "file_format": "ReActor face model", "if_exists": "overwrite"}
    prompt["save"] = {"class_type": "StyleSwap_SaveIdentity", "inputs": {"identity": ["foreign", FACE_MODEL], **wanted}}
    prompt["load"] = {
        "class_type": "StyleSwap_LoadIdentity",
        "inputs": {"identity_file": "(none saved yet)", "file": ["save", 0]},
    }
    prompt["compare"] = {
        "class_type": "StyleSwap_CompareIdentity",
        "inputs": {"identity_a": ["load", 0], "identity_b": ["foreign", FACE_MODEL]},
    }
    prompt["text"] = {"class_type": "PreviewAny", "inputs": {"source": ["compare", 1]}}
    assert "likeness 1.000" in server.run(prompt).texts("text")[0]
    assert (server.base / "models" / "reactor" / "faces" / "somebody.safetensors").is_file()


@pytest.fixture
def photo_model(server):
    """The demo generator with the name of the recognizer that face models come from."""
    path = server.base / "models" / "styleswap" / "for_face_models.safetensors"
    generator, metadata = load_generator(DEMO_MODEL)
    generator.config = replace(generator.config, recognizer="w600k_r50", recognizer_sha256="")
    save_generator(path, generator, metadata)
    yield path
    path.unlink()


def test_a_face_model_works_only_with_a_model_of_its_recognizer(server, analyzer, photo_model):
    prompt = _with_foreign(small_prompt())
    source = prompt["foreign"]["inputs"]["image"]
    prompt[only(prompt, SWAP)]["inputs"]["identity"] = ["foreign", FACE_MODEL]
    message = error_message(server.await_end(server.queue(prompt)))
    assert "trained with the recognizer" in message and "w600k_r50" in message
    prompt[only(prompt, MODEL)]["inputs"]["model_name"] = photo_model.name
    run = server.run(with_probe(with_probe(prompt, "source", source), "target", target_link()))
    (person,), (before,) = analyzer.detect(run.pixels("source")[0]), analyzer.detect(run.pixels("target")[0])
    after = analyzer.embed(run.pixels("shown")[0], before.points)
    assert float(after @ person.id_embedding) > float(before.id_embedding @ person.id_embedding) + 0.2
