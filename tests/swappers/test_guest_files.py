"""Recognition of foreign networks: by form and name, never by folder; files that are none; the list of a folder."""

import re
from pathlib import Path

import guest_forms as forms
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import styleswap_core
from styleswap_core.checkpoints import DEMO_MODEL
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.swappers.guest_families import FAMILIES
from styleswap_core.swappers.guest_files import guest_folders, list_guests, read_guest
from styleswap_core.swappers.guest_network import GuestNetwork
from styleswap_core.swappers.model_files import load_model
from styleswap_core.swappers.styleswap_network import StyleSwapNetwork


def ghost(path):
    return forms.write_ghost(path)


def inswapper_without_emap(path):
    return forms.write_inswapper(path, emap=None)


def simswap_512(path):
    return forms.write_vector_form(path, size=512)


@pytest.mark.parametrize(
    ("file", "write", "family", "size"),
    [
        ("inswapper_128.onnx", forms.write_inswapper, "inswapper", 128),
        ("inswapper_128.fp16.onnx", lambda path: forms.write_inswapper(path, half=True), "inswapper", 128),
        ("renamed.onnx", forms.write_inswapper, "inswapper", 128),
        ("reswapper_128.onnx", forms.write_inswapper, "reswapper", 128),
        ("renamed.onnx", inswapper_without_emap, "reswapper", 128),
        ("reswapper_256-1567500.onnx", ghost, "reswapper", 256),
        ("renamed.onnx", forms.write_hyperswap, "hyperswap", 256),
        ("HyperSwap_1b_256.onnx", forms.write_hyperswap, "hyperswap", 256),
        ("ghost_unet_2-256.onnx", ghost, "ghost", 256),
        ("simswap_256.onnx", ghost, "simswap", 256),
        ("simswap_unofficial_512.onnx", simswap_512, "simswap_unofficial", 512),
        ("512-simswap.onnx", simswap_512, "simswap_unofficial", 512),
        ("renamed.onnx", simswap_512, "simswap_unofficial", 512),
        ("hififace_unofficial_256.onnx", ghost, "hififace", 256),
        ("renamed.onnx", forms.write_blendswap, "blendswap", 256),
        ("renamed.onnx", forms.write_uniface, "uniface", 256),
        ("Someone.dfm", forms.write_dfm, "dfm", 64),
        ("renamed.onnx", forms.write_dfm, "dfm", 64),
        # The form decides where the name contradicts it.
        ("ghost_1_256.onnx", forms.write_hyperswap, "hyperswap", 256),
    ],
)
def test_families_are_told_by_form_and_name(tmp_path, file, write, family, size):
    guest = read_guest(write(tmp_path / "anywhere" / file))
    assert (guest.family.name, guest.size) == (family, size)
    assert guest.license == FAMILIES[family].license and guest.name.endswith(f" ({family})")


def test_look_alikes_without_a_telling_name_need_the_family(tmp_path):
    path = ghost(tmp_path / "inside_the_folder_ghost" / "model.onnx")
    guest = read_guest(path)
    assert guest.name == "model (reswapper or ghost or simswap or hififace)"
    with pytest.raises(StyleSwapError, match="reswapper, ghost, simswap, hififace"):
        guest.family  # noqa: B018 - a property that raises
    assert read_guest(path, "hififace").family.name == "hififace"
    with pytest.raises(StyleSwapError, match="no network of the family uniface"):
        read_guest(path, "uniface")
    with pytest.raises(StyleSwapError, match="expected a family out of inswapper, "):
        read_guest(path, "other")


def test_sides_that_are_free_are_taken_from_the_name(tmp_path):
    path = forms.write_vector_form(tmp_path / "reswapper_256-1567500.onnx", size=256, batch="batch")
    model = onnx.load(str(path))
    for value in (*model.graph.input, *model.graph.output):
        for axis in value.type.tensor_type.shape.dim[2:]:
            axis.dim_param = "side"
    onnx.save(model, str(path))
    assert read_guest(path).size == 256
    path.rename(tmp_path / "reswapper.onnx")
    with pytest.raises(StyleSwapError, match=r"reswapper\.onnx has inputs target \(\?, 3, \?, \?\)"):
        read_guest(tmp_path / "reswapper.onnx")


def _write_recognizer(path):
    nodes = [helper.make_node("ReduceMean", ["input.1"], ["output"], axes=[2, 3], keepdims=0)]
    inputs = [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, 112, 112])]
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3])]
    model = helper.make_model(
        helper.make_graph(nodes, "w600k", inputs, outputs), opset_imports=[helper.make_opsetid("", 13)]
    )
    onnx.save(model, str(path))
    return path


def test_files_that_are_no_swappers_are_refused(tmp_path):
    recognizer = _write_recognizer(tmp_path / "w600k_r50.onnx")
    with pytest.raises(StyleSwapError) as caught:
        load_model(recognizer, "cpu")
    assert "inputs input.1 (1, 3, 112, 112); outputs output (1, 3)" in str(caught.value)
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "text.onnx").write_text("not found\n" * 1000)
    (tmp_path / "cut.onnx").write_bytes(forms.write_hyperswap(tmp_path / "h.onnx").read_bytes()[:3000])
    for name in ("empty.onnx", "text.onnx", "cut.onnx"):
        with pytest.raises(StyleSwapError, match=f"{name} is not an ONNX file or is damaged"):
            load_model(tmp_path / name, "cpu")
    with pytest.raises(StyleSwapError, match="expected an ONNX file, but .*missing.onnx does not exist"):
        load_model(tmp_path / "missing.onnx", "cpu")


def test_weights_outside_the_folder_are_refused(tmp_path):
    path = forms.write_inswapper(tmp_path / "models" / "inswapper_128.onnx")
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=1024)
    secret = (tmp_path / "models" / "weights.bin").rename(tmp_path / "weights.bin")
    with pytest.raises(StyleSwapError, match=r"'weights\.bin', which is missing"):
        read_guest(path)
    for location in ("../weights.bin", str(secret)):
        model = onnx.load(str(path), load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                entry.value = location if entry.key == "location" else entry.value
        path.write_bytes(model.SerializeToString())
        with pytest.raises(StyleSwapError, match="outside its own folder"):
            read_guest(path)


def test_weights_beside_the_file_are_read_and_belong_to_its_hash(tmp_path):
    path = forms.write_hyperswap(tmp_path / "hyperswap_1a_256.onnx")
    single = load_model(path, "cpu")
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="w.bin", size_threshold=1024)
    split = load_model(path, "cpu")
    crops = torch.rand(1, 3, 256, 256)
    identity = styleswap_core.Identity(torch.randn(512), RecognizerId("w600k_r50"))
    assert torch.equal(single.swap_crops(crops, [identity]).rgb, split.swap_crops(crops, [identity]).rgb)
    weights = tmp_path / "w.bin"
    weights.write_bytes(weights.read_bytes()[::-1])
    assert load_model(path, "cpu").sha256 != split.sha256


def test_operators_that_the_runtime_lacks(tmp_path):
    path = forms.write_hyperswap(tmp_path / "hyperswap_1a_256.onnx")
    model = onnx.load(str(path))
    model.graph.node[0].op_type = "NoSuchOperator"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(StyleSwapError, match=r"cannot load hyperswap_1a_256\.onnx .*NoSuchOperator"):
        load_model(path, "cpu")


def test_a_list_shows_swappers_only(tmp_path):
    forms.write_inswapper(tmp_path / "insightface" / "inswapper_128.onnx")
    _write_recognizer(tmp_path / "insightface" / "det.onnx")
    (tmp_path / "insightface" / "broken.onnx").write_text("html")
    forms.write_hyperswap(tmp_path / "hyperswap" / "Hyper.onnx")
    forms.write_converter(tmp_path / "hyperswap" / "crossface_ghost.onnx")
    forms.write_ghost(tmp_path / "styleswap" / "model.onnx")
    forms.write_dfm(tmp_path / "styleswap" / "Anna.dfm")
    folders = [tmp_path / name for name in ("insightface", "reswapper", "hyperswap", "styleswap")]
    assert guest_folders(tmp_path) == folders
    listed = [(guest.path.name, guest.size, guest.license) for guest in list_guests([*folders, folders[0]])]
    assert listed == [
        ("Anna.dfm", 64, "that of whoever trained it"),
        ("Hyper.onnx", 256, "ResearchRAIL (research, with restrictions on use)"),
        ("inswapper_128.onnx", 128, "non-commercial"),
        ("model.onnx", 256, "that of its family, which its name does not tell"),
    ]
    # A file that changes is read again.
    forms.write_uniface(tmp_path / "styleswap" / "model.onnx")
    assert list_guests(folders)[-1].family.name == "uniface"


def test_models_of_all_kinds_load_through_one_function(tmp_path):
    assert isinstance(load_model(DEMO_MODEL, "cpu"), StyleSwapNetwork)
    assert isinstance(styleswap_core.load_model(forms.write_dfm(tmp_path / "A.DFM"), "cpu"), GuestNetwork)
    with pytest.raises(StyleSwapError, match="a family belongs to an .onnx file"):
        load_model(DEMO_MODEL, "cpu", family="ghost")


def test_weights_are_not_read_to_recognize_a_file(tmp_path):
    path = forms.write_inswapper(tmp_path / "inswapper_128.onnx")
    emap = read_guest(path).form.emap
    assert emap is not None and emap.shape == (512, 512) and not emap.used
    # Spoiled weights change nothing.
    data = bytearray(path.read_bytes())
    start = data.index(forms.EMAP.tobytes())
    data[start : start + forms.EMAP.nbytes] = b"\xff" * forms.EMAP.nbytes
    path.write_bytes(data)
    assert read_guest(path).family.name == "inswapper"
    assert np.isnan(read_guest(path).form.summary.tensor(emap)).all()


def test_files_exported_from_this_project_state_template_and_recognizer(tmp_path):
    path = forms.write_vector_form(tmp_path / "mine.onnx", size=64, mask=True)
    model = onnx.load(str(path))
    stated = {"styleswap_form": "hyperswap", "styleswap_template": "ffhq", "styleswap_recognizer": "demo"}
    helper.set_model_props(model, stated | {"styleswap_recognizer_sha256": "a" * 64})
    onnx.save(model, str(path))
    network = load_model(path, "cpu")
    assert (network.family.name, network.template, network.size) == ("hyperswap", "ffhq", 64)
    assert network.recognizer == RecognizerId("demo", "a" * 64)
    assert network.license_note == (
        "mine (hyperswap) by the author of that model; license: that of the StyleSwap model it was exported from"
    )


def test_the_summary_reads_what_onnx_reads(tmp_path):
    path = forms.write_inswapper(tmp_path / "inswapper_128.onnx", half=True)
    summary, graph = read_guest(path).form.summary, onnx.load(str(path)).graph
    assert [tensor.name for tensor in summary.initializers] == [tensor.name for tensor in graph.initializer]
    for tensor, stored in zip(summary.initializers, graph.initializer, strict=True):
        assert tensor.shape == tuple(stored.dims)
        assert np.array_equal(summary.tensor(tensor), numpy_helper.to_array(stored))
    assert summary.operators == {node.op_type for node in graph.node}


def test_the_documentation_lists_all_families():
    text = (Path(styleswap_core.__file__).parents[1] / "docs" / "photographs.md").read_text(encoding="utf-8")
    rows = [re.split(r"\s*\|\s*", row.strip("| ")) for row in re.findall(r"^\| `\w+` \|.*\|$", text, re.MULTILINE)]
    listed = {row[0].strip("`"): row for row in rows}
    assert list(listed) == list(FAMILIES)
    for name, family in FAMILIES.items():
        _, files, sizes, source, mask, license_phrase = listed[name]
        assert license_phrase == family.license and bool(mask) == family.has_mask
        assert sizes == (", ".join(map(str, family.sizes)) or "in the file")
        assert family.converter in source
        assert all(spelling in files for spelling in family.spellings)
