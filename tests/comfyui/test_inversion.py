"""Invert Identity in a real ComfyUI: gradients despite its inference mode, swaps, validation, cancellation."""

import numpy as np
import pytest
from comfy_server import error_message
from workflow_files import with_probe

INVERT = "StyleSwap_InvertIdentity"


def _prompt(**changes):
    """Prompt that inverts two rendered photos of a person and swaps the result onto another person."""
    world = {
        "source_person": 18,
        "target_person": 23,
        "source_setting": 26,
        "target_setting": 23,
        "motion_setting": 2,
        "size": 192,
        "frames": 1,
        "people": 1,
        "photos": 2,
        "exact": False,
    }
    invert = {
        "model": ["model", 0],
        "face_analysis": ["analysis", 0],
        "source": ["world", 0],
        "guides": ["world", 0],
        "steps": 4,
        "trust": 0.5,
        "seed": 0,
        "low_memory": False,
        "keep_on_cancel": True,
        "filename": "test/kept",
    } | changes
    swap = {
        "model": ["model", 0],
        "face_analysis": ["analysis", 0],
        "identity": ["invert", 0],
        "image": ["world", 1],
        "faces": "all",
        "index": "0",
        "order": "left-right",
        "likeness": 0.3,
        "strength": 1.0,
        "mask_grow": 0,
        "mask_feather": 0.0,
        "on_missing": "error",
        "batch_size": 8,
    }
    prompt = {
        "world": {"class_type": "StyleSwap_SyntheticFace", "inputs": world},
        "model": {"class_type": "StyleSwap_LoadModel", "inputs": {"model_name": "demo (built in)"}},
        "analysis": {
            "class_type": "StyleSwap_LoadFaceAnalysis",
            "inputs": {
                "pack": "demo (built in)",
                "detection_size": "automatic",
                "detection_threshold": 0.5,
                "run_on": "CPU",
                "download": False,
            },
        },
        "invert": {"class_type": INVERT, "inputs": invert},
        "swap": {"class_type": "StyleSwap_SwapFace", "inputs": swap},
        "text": {"class_type": "PreviewAny", "inputs": {"source": ["invert", 2]}},
    }
    return with_probe(with_probe(prompt, "shown", ["swap", 0]), "curve", ["invert", 1])


def test_the_defaults_are_those_of_the_core(own_nodes):
    from styleswap_core.inversion.inversion_settings import MAX_STEPS, InversionSettings

    inputs, defaults = own_nodes[INVERT]["input"]["required"], InversionSettings()
    assert inputs["steps"][1]["default"] == defaults.steps and inputs["steps"][1]["max"] == MAX_STEPS
    for name in ("trust", "seed", "low_memory"):
        assert inputs[name][1]["default"] == getattr(defaults, name)


@pytest.mark.parametrize("changes", [{}, {"low_memory": True, "steps": 2}])
def test_an_inverted_identity_swaps(server, changes):
    run = server.run(_prompt(**changes))
    (report,) = run.texts("text")
    assert "likeness" in report and f"{changes.get('steps', 4)} steps" in report
    assert run.pixels("shown").shape == (1, 192, 192, 3)
    curve = run.pixels("curve")
    assert curve.shape[0] == 1 and curve.std() > 1
    again = server.run(with_probe(_prompt(**changes), "once more", ["swap", 0]))
    assert "invert" in again.cached()
    assert np.array_equal(run.pixels("shown"), again.pixels("once more"))


def test_zero_steps_give_the_plain_identity(server):
    run = server.run(_prompt(steps=0))
    assert "plain identity" in run.texts("text")[0]


def test_a_source_without_a_face_is_refused(server):
    prompt = _prompt(source=["gray", 0])
    prompt["gray"] = {
        "class_type": "EmptyImage",
        "inputs": {"width": 192, "height": 192, "batch_size": 1, "color": 0x808080},
    }
    message = error_message(server.await_end(server.queue(prompt)))
    assert INVERT in message and "shows none" in message


def test_a_bad_file_name_is_refused_before_the_work(server):
    status, answer = server.post("/prompt", {"prompt": _prompt(filename="../outside")})
    assert status == 400 and "file name" in str(answer)


@pytest.mark.parametrize("keep", [True, False])
def test_canceling_ends_within_one_step_and_keeps_the_result_if_requested(server, keep):
    name = f"canceled/{keep}"
    prompt_id = server.queue(_prompt(steps=2000, trust=0.0, filename=name, keep_on_cancel=keep))
    server.await_working(prompt_id, "invert")
    entry, steps = server.interrupt(prompt_id, "invert")
    assert error_message(entry) == "interrupted"
    saved = server.base / "models" / "styleswap" / "identities" / f"{name}.safetensors"
    assert saved.is_file() == keep
    assert (f"saved as {name}.safetensors" in server.log()) == keep
    assert steps <= 1
