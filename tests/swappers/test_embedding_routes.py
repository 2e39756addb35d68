"""From identities to source inputs: files that are needed, and what an identity may lack."""

import guest_forms as forms
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.swappers.model_files import load_model

CROPS = torch.zeros(1, 3, 256, 256)


def person(norm=20.0):
    return Identity(
        torch.randn(512, generator=torch.Generator().manual_seed(1)), RecognizerId("w600k_r50"), embedding_norm=norm
    )


def test_a_missing_converter_is_named_with_its_folders(tmp_path):
    path = forms.write_ghost(tmp_path / "models" / "styleswap" / "ghost_1_256.onnx")
    with pytest.raises(StyleSwapError) as caught:
        load_model(path, "cpu")
    assert "crossface_ghost.onnx" in str(caught.value) and str(path.parent) in str(caught.value)
    for folder in (path.parent, tmp_path / "models" / "insightface", tmp_path / "elsewhere"):
        converter = forms.write_converter(folder / "crossface_ghost.onnx")
        load_model(path, "cpu", folders=[tmp_path / "elsewhere"])
        converter.unlink()


def test_a_converter_of_another_form_is_refused(tmp_path):
    path = forms.write_ghost(tmp_path / "ghost_1_256.onnx")
    forms.write_hyperswap(tmp_path / "crossface_ghost.onnx")
    with pytest.raises(StyleSwapError, match=r"expected a converter .*crossface_ghost\.onnx has inputs target"):
        load_model(path, "cpu")


def test_a_missing_emap_is_found_in_an_inswapper_file_or_named(tmp_path):
    folder = tmp_path / "models"
    path = forms.write_inswapper(folder / "reswapper" / "reswapper_256.onnx", size=256, emap=None)
    with pytest.raises(StyleSwapError) as caught:
        load_model(path, "cpu")
    assert "emap" in str(caught.value) and "inswapper_128.onnx" in str(caught.value)
    assert str(path.parent) in str(caught.value)
    forms.write_inswapper(folder / "insightface" / "inswapper_128.onnx", half=True)
    vector = load_model(path, "cpu")._route.numbers([person()])[0]
    expected = F.normalize(
        person().id_embedding @ torch.from_numpy(forms.EMAP.astype(np.float16).astype(np.float32)), dim=0
    )
    assert (vector - expected).abs().max() < 1e-5


def test_a_weight_of_the_shape_of_the_emap_is_not_taken_for_it(tmp_path):
    """Of ReSwapper only: its file may end in a weight that the graph uses."""
    import onnx
    from onnx import helper

    path = forms.write_inswapper(tmp_path / "reswapper_256.onnx", size=256)
    model = onnx.load(str(path))
    model.graph.node.insert(0, helper.make_node("MatMul", ["source", "emap"], ["mapped"]))
    model.graph.node[2].input[0] = "mapped"
    onnx.save(model, str(path))
    with pytest.raises(StyleSwapError, match="needs the matrix emap, which is not in it"):
        load_model(path, "cpu")


def test_an_unknown_norm_is_an_error_for_converters_only(tmp_path):
    forms.write_converter(tmp_path / "crossface_simswap.onnx")
    network = load_model(forms.write_ghost(tmp_path / "simswap_256.onnx"), "cpu")
    with pytest.raises(StyleSwapError, match="before their normalization.*extract it again"):
        network.check(person(norm=0.0))
    with pytest.raises(StyleSwapError, match="before their normalization"):
        network.swap_crops(CROPS, [person(norm=0.0)])
    network.check(person())
    inverted = Identity(person().id_embedding, person().recognizer, (), torch.ones(1, 512), network.sha256)
    network.swap_crops(CROPS, [inverted])
    with pytest.raises(StyleSwapError, match="before their normalization"):
        network.swap_crops(CROPS, [inverted], person().id_embedding[None], 0.5)
    load_model(forms.write_hyperswap(tmp_path / "hyperswap_1a_256.onnx"), "cpu").check(person(norm=0.0))


def test_each_person_is_converted_once(tmp_path, monkeypatch):
    forms.write_converter(tmp_path / "crossface_ghost.onnx")
    route, runs = load_model(forms.write_ghost(tmp_path / "ghost_1_256.onnx"), "cpu")._route, []
    run = route._converter.run
    monkeypatch.setattr(route._converter, "run", lambda fed: runs.append(1) or run(fed))
    first, second = person(), person(10.0)
    numbers = route.numbers([first, second, first, first])
    assert len(runs) == 2 and torch.equal(numbers[0], numbers[3]) and not torch.equal(numbers[0], numbers[1])
    own = F.normalize(torch.randn(2, 512, generator=torch.Generator().manual_seed(4)), dim=1)
    numbers = route.numbers([first] * 3, own[[0, 1, 0]], 0.5)
    assert len(runs) == 4 and torch.equal(numbers[0], numbers[2]) and not torch.equal(numbers[0], numbers[1])


def test_strength_of_inverted_numbers_keeps_their_norm(tmp_path):
    network = load_model(forms.write_hyperswap(tmp_path / "hyperswap_1a_256.onnx"), "cpu")
    numbers = torch.randn(1, 512, generator=torch.Generator().manual_seed(2))
    inverted = Identity(torch.randn(512), RecognizerId("w600k_r50"), (), numbers, network.sha256)
    own = F.normalize(torch.randn(1, 512, generator=torch.Generator().manual_seed(3)), dim=1)
    route = network._route
    assert torch.allclose(route.numbers([inverted], own, 1.0), numbers)
    assert torch.allclose(route.numbers([inverted], own, 0.0), own * numbers.norm(), atol=1e-5)
    beyond = route.numbers([inverted], own, 1.5)
    assert float(beyond.norm()) == pytest.approx(float(numbers.norm()), rel=1e-5)
    assert F.cosine_similarity(beyond, own) < F.cosine_similarity(numbers, own)
