"""Inversion for networks of other programs: the numbers that enter them, gradients, memory, and refusals."""

import math

import guest_forms as forms
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from styleswap_core.errors import StyleSwapError
from styleswap_core.export.guest_onnx import export_guest
from styleswap_core.faces.alignment import template_points
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.identities.identity_format import load_identity, save_identity
from styleswap_core.inversion import (
    AlignedFaces,
    InversionSettings,
    InversionWeights,
    InvertibleGenerator,
    bytes_needed,
    invertible,
    optimize,
)
from styleswap_core.inversion.objective import Objective
from styleswap_core.model import Generator, GeneratorConfig
from styleswap_core.swappers.model_files import load_model
from styleswap_core.swappers.network import check_identity

SETTINGS = InversionSettings(steps=6, check_every=2, patience=100, guide_batch=2, views=2)
LIKENESS_ONLY = InversionWeights(reconstruction=0.0, perceptual=0.0, distance=0.0, preservation=0.0)


@pytest.fixture
def guest(tmp_path, generator):
    """Function form -> the generator as a network of that form."""

    def guest(form="hyperswap"):
        export_guest(tmp_path / f"{form}.onnx", generator, form, template_ok=True)
        return load_model(tmp_path / f"{form}.onnx", "cpu", any_recognizer=True)

    return guest


def run(network, recognizer, make_faces, person, **changes):
    settings = InversionSettings(**{**vars(SETTINGS), **changes})
    return optimize(network, recognizer, make_faces(1, 2), person, make_faces(4, 3), settings)


@pytest.mark.parametrize("form", ["hyperswap", "inswapper"])
def test_guided_steps_raise_the_likeness(guest, recognizer, make_faces, person, form):
    network = invertible(guest(form))
    outcome = run(
        network, recognizer, make_faces, person, steps=40, trust=0.0, learning_rate=0.5, weights=LIKENESS_ONLY
    )
    assert outcome.w_plus.shape == (1, 512) and outcome.likeness > outcome.likeness_before + 0.01
    assert outcome.precision.name == "float32" and "other programs" in outcome.precision.reason
    assert (outcome.w_plus - person.id_embedding).norm() > 0.01


def test_it_starts_from_what_the_network_makes_of_the_identity(guest, recognizer, make_faces, person):
    network = invertible(guest())
    outcome = run(network, recognizer, make_faces, person, steps=0)
    torch.testing.assert_close(outcome.w_plus[0], person.id_embedding)


def test_the_objective_is_that_of_the_generator_itself(guest, generator, recognizer, make_faces, person):
    """The exported generator and the generator give the same losses, and gradients along the same direction."""
    own, other = InvertibleGenerator(generator), invertible(guest())
    results = []
    for network in (own, other):
        code = network.codes([person]).expand(network.code_rows, -1).clone().requires_grad_()
        args = make_faces(2, 2), make_faces(4, 3), person.id_embedding, code.detach(), [0, 1]
        objective = Objective(network, recognizer, *args, InversionSettings(precision="float32", guide_batch=2))
        loss, _ = objective.reconstruction_loss(code.detach())
        likeness, picture = objective.likeness(code.detach(), [2, 3])
        step = objective.swap_step(code, [0, 1], torch.Generator().manual_seed(0))
        results.append((loss, likeness, step, picture, code.grad))
    for ours, theirs in zip(results[0][:3], results[1][:3], strict=True):
        assert theirs == pytest.approx(ours, abs=2e-3)
    assert (results[0][3] - results[1][3]).abs().max() < 2e-3
    # The gradient of the embedding, through the mapping network, is that of its single w in all rows.
    embedding = person.id_embedding[None].clone().requires_grad_()
    generator.map_identity(embedding).backward(results[0][4].sum(dim=0, keepdim=True))
    assert float(F.cosine_similarity(embedding.grad, results[1][4])) > 0.99


def test_the_saved_identity_gives_what_the_inversion_saw(guest, recognizer, make_faces, person, tmp_path):
    model = guest()
    network = invertible(model)
    outcome = run(network, recognizer, make_faces, person)
    identity = Identity(person.id_embedding, person.recognizer, w_plus=outcome.w_plus, generator_sha256=network.sha256)
    save_identity(tmp_path / "someone.safetensors", identity)
    read = load_identity(tmp_path / "someone.safetensors")
    check_identity(model, read)
    crops = make_faces(4, 3).crops
    renderer = network.open(network.precision(SETTINGS), False, lambda: None)
    shown = renderer.render(outcome.w_plus, renderer.prepare(crops), crops)
    swapped = model.swap_crops(crops, [read] * 4)
    torch.testing.assert_close(swapped.mask, shown.mask, atol=1e-4, rtol=0)
    torch.testing.assert_close(swapped.rgb, shown.rgb, atol=1e-3, rtol=1e-3)
    other = load_model(tmp_path / "hyperswap.onnx", "cpu", any_recognizer=True)
    check_identity(other, read)
    with pytest.raises(StyleSwapError, match="another model"):
        check_identity(guest("inswapper"), read)


@pytest.mark.parametrize("low_memory", [False, True])
def test_a_graph_that_is_fixed_to_one_face(tmp_path, recognizer, person, low_memory):
    path = forms.write_hyperswap(tmp_path / "hyperswap_1a_256.onnx", fixed_inside=True)
    network = invertible(load_model(path, "cpu", any_recognizer=True))
    crops = torch.rand(4, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 2 - 1
    faces = AlignedFaces(crops, template_points("arcface_128", 256).expand(4, 5, 2).contiguous())
    settings = InversionSettings(**{**vars(SETTINGS), "steps": 2, "low_memory": low_memory})
    outcome = optimize(network, recognizer, faces[[0]], person, faces, settings)
    assert outcome.steps_done == 2 and math.isfinite(outcome.likeness)


def test_raw_embeddings_go_through_the_converter(tmp_path, person):
    forms.write_converter(tmp_path / "crossface_ghost.onnx")
    path = forms.write_ghost(tmp_path / "ghost_1_256.onnx")
    network = invertible(load_model(path, "cpu", any_recognizer=True))
    known = Identity(person.id_embedding, person.recognizer, embedding_norm=20.0)
    expected = forms.convert(20.0 * person.id_embedding.numpy())
    np.testing.assert_allclose(network.codes([known])[0].numpy(), expected, atol=1e-5)
    with pytest.raises(StyleSwapError, match="before their normalization"):
        network.codes([person])


def test_networks_without_numbers_are_refused(tmp_path):
    portrait = load_model(forms.write_blendswap(tmp_path / "blendswap_256.onnx"), "cpu")
    with pytest.raises(StyleSwapError, match=r"blendswap.*a picture.*no numbers to optimize"):
        invertible(portrait)
    dfm = load_model(forms.write_dfm(tmp_path / "someone.dfm"), "cpu")
    with pytest.raises(StyleSwapError, match=r"someone.*inside the network.*no numbers to optimize"):
        invertible(dfm)


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),
    reason="without oneDNN, convolutions allocate their workspace with torch's allocator, which the estimate excludes",
)
def test_the_memory_estimate_exceeds_the_peak_moderately(tmp_path, recognizer, person):
    size, channels = 64, {4: 32, 8: 32, 16: 32, 32: 32, 64: 32}
    generator = Generator(GeneratorConfig(size=size, w_dim=16, mapping_layers=1, channels=channels)).eval()
    export_guest(tmp_path / "guest.onnx", generator, "hyperswap", template_ok=True)
    network = invertible(load_model(tmp_path / "guest.onnx", "cpu", any_recognizer=True))
    crops = torch.rand(6, 3, size, size) * 2 - 1
    faces = AlignedFaces(crops, template_points("ffhq", size).expand(6, 5, 2).contiguous())
    settings = InversionSettings(steps=2, check_every=1)
    needed = bytes_needed(network, recognizer, settings, 1, 6)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        optimize(network, recognizer, faces[[0]], person, faces, settings)
    events = [
        (event.start_ns(), event.nbytes())
        for event in record.profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    allocated = peak = 0
    for _, change in sorted(events, key=lambda event: event[0]):
        allocated += change
        peak = max(peak, allocated)
    assert peak < needed < 2.0 * peak


def test_any_recognizer_is_said(guest):
    assert invertible(guest()).recognizer == RecognizerId()
