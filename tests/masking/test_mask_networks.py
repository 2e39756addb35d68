"""Face parsing and occlusion networks: recognition, input, output, and files that are none."""

import shutil

import numpy as np
import onnx
import pytest
import torch
from mask_forms import COVER, write_occlusion, write_parsing

from styleswap_core.errors import StyleSwapError
from styleswap_core.masking.face_masks import FaceMasks, load_face_masks
from styleswap_core.masking.face_parsing import FaceParser
from styleswap_core.masking.mask_files import OCCLUSION, PARSING, list_mask_files, read_mask_file
from styleswap_core.masking.occlusion import OcclusionNetwork
from styleswap_core.masking.regions import CLASSES, FACE, REGIONS, SWAPPED, parse_regions, region_classes

COLORS = {0: (20, 40, 60), 1: (200, 150, 120), 6: (0, 0, 0), 10: (250, 190, 160), 17: (90, 60, 200)}
STRIPES = list(COLORS)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    parsing = write_parsing(folder / "a.onnx", COLORS, outputs=3)
    return parsing, write_occlusion(folder / "b.onnx")


def stripes(size=320):
    """A crop with one vertical stripe in the color of each class."""
    crop = np.zeros((size, size, 3), np.uint8)
    for number, name in enumerate(STRIPES):
        crop[:, number * size // len(STRIPES) : (number + 1) * size // len(STRIPES)] = COLORS[name]
    return crop


def shown(mask):
    """Classes whose stripes a mask shows."""
    width = mask.shape[1] // len(STRIPES)
    middles = [mask[:, number * width + width // 4 : (number + 1) * width - width // 4] for number in range(5)]
    assert all(part.min() == part.max() for part in middles)
    return {STRIPES[number] for number, part in enumerate(middles) if part.max() == 255}


@pytest.mark.parametrize(
    ("regions", "classes"),
    [((), {1, 10}), (parse_regions(SWAPPED), {1, 6, 10}), (("hair", "background"), {0, 17}), ((17, "nose"), {10, 17})],
)
def test_parsing_masks_the_regions(files, regions, classes):
    parser = FaceParser(files[0], regions)
    for size in (128, 320, 512, 640):
        mask = parser.mask(stripes(size))
        assert mask.shape == (size, size) and mask.dtype == np.uint8
        assert shown(mask) == classes


def test_regions_have_names_and_numbers():
    assert sorted(number for classes in REGIONS.values() for number in classes) == list(range(CLASSES))
    assert region_classes(FACE) == (1, 2, 3, 4, 5, 10, 11, 12, 13)
    assert parse_regions(" Skin, 17,nose ,") == ("skin", 17, "nose")
    for wrong in ("", " , ", "skin,forehead", "-1"):
        with pytest.raises(StyleSwapError, match="expected regions out of background, skin"):
            parse_regions(wrong)


def test_occlusion_keeps_what_covers_the_face(files):
    network = OcclusionNetwork(files[1])
    crop = np.full((320, 320, 3), 255, np.uint8)
    crop[:, :160] = COVER
    mask = network.mask(crop)
    assert mask.shape == (320, 320) and mask[:, :150].max() == 0 and mask[:, 170:].min() == 255
    assert network.mask(crop[..., ::-1].copy()).min() == 255, "red covers nothing: the network gets BGR"


def test_kinds_are_told_by_inputs_and_outputs(files, tmp_path):
    parsing, occlusion = (
        shutil.copy(file, tmp_path / name) for file, name in zip(files, ("xseg.onnx", "bisenet.onnx"), strict=True)
    )
    assert read_mask_file(parsing).kind == PARSING and read_mask_file(occlusion).kind == OCCLUSION
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "notes.txt").write_text("no model")
    everything = sorted(tmp_path.iterdir())
    assert list_mask_files(everything, PARSING) == [parsing] and list_mask_files(everything, OCCLUSION) == [occlusion]
    with pytest.raises(StyleSwapError, match="expected a network for face parsing, but .* is one for occlusion"):
        FaceParser(occlusion)
    with pytest.raises(StyleSwapError, match="expected a network for occlusion, but .* is one for face parsing"):
        OcclusionNetwork(parsing)


def test_free_dimensions(tmp_path):
    crop = stripes()
    assert shown(FaceParser(write_parsing(tmp_path / "free.onnx", COLORS, side="side")).mask(crop)) == {1, 10}
    crop[:, :160] = COVER
    mask = OcclusionNetwork(write_occlusion(tmp_path / "batch.onnx", side=64, batch="batch")).mask(crop)
    assert mask[:, :140].max() == 0 and mask[:, 180:].min() == 255


def test_networks_in_half_precision(tmp_path):
    half = write_parsing(tmp_path / "half.onnx", COLORS, side=128, half=True)
    assert shown(FaceParser(half, device=torch.device("cpu")).mask(stripes())) == {1, 10}


def test_networks_with_other_classes_need_numbers(tmp_path):
    seven = write_parsing(tmp_path / "seven.onnx", {0: (0, 0, 0), 3: (255, 255, 255)}, classes=7)
    crop = np.zeros((64, 64, 3), np.uint8)
    crop[:, 32:] = 255
    assert FaceParser(seven, (3,)).mask(crop)[:, 40:].min() == 255
    for regions in ((), ("skin",), (3, "skin"), (7,)):
        with pytest.raises(StyleSwapError, match="has 7 classes; give the numbers"):
            FaceParser(seven, regions)
    single = write_parsing(tmp_path / "one.onnx", {0: (255, 255, 255)}, classes=1)
    for regions in ((), ("skin", "nose")):
        mask = FaceParser(single, regions).mask(crop)
        assert mask[:, :24].max() == 0 and mask[:, 40:].min() == 255


@pytest.mark.parametrize("load", [FaceParser, OcclusionNetwork])
def test_files_that_are_no_mask_networks(tmp_path, load):
    with pytest.raises(StyleSwapError, match=r"none\.onnx does not exist; check the path"):
        load(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(StyleSwapError, match=r"text\.onnx is not an ONNX file"):
        load(tmp_path / "text.onnx")
    picture = write_parsing(tmp_path / "picture.onnx", {0: (0, 0, 0)}, classes=3, side=64)
    with pytest.raises(StyleSwapError, match=r"has inputs input \(1, 3, 64, 64\); outputs out \(1, 3, 64, 64\)"):
        load(picture)


def test_weights_outside_the_folder_are_not_read(files, tmp_path):
    (tmp_path / "inside").mkdir()
    model = onnx.load(files[0])
    onnx.save(model, tmp_path / "moved.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    moved = onnx.load(tmp_path / "moved.onnx", load_external_data=False)
    for tensor in moved.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = "../weights.bin"
    onnx.save(moved, tmp_path / "inside" / "moved.onnx")
    with pytest.raises(StyleSwapError, match="outside its own folder"):
        FaceParser(tmp_path / "inside" / "moved.onnx")


def test_masks_are_loaded_by_the_names_of_their_options(files):
    masks = load_face_masks(files[0], "skin", files[1], "upper", "cpu")
    assert [network.kind for network in masks.networks()] == [PARSING, OCCLUSION] and masks.outline == "upper"
    assert {network.provider for network in masks.networks()} == {"CPUExecutionProvider"}
    assert load_face_masks().networks() == []
    with pytest.raises(StyleSwapError, match="expected an outline out of automatic, whole, upper"):
        FaceMasks(outline="left")
