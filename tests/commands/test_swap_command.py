"""`styleswap demo` and `styleswap swap`, with the demo pack."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mask_forms import write_occlusion, write_parsing
from PIL import Image, ImageCms, PngImagePlugin

import styleswap_core as styleswap
from styleswap_core.cli import main
from styleswap_core.commands.blend_arguments import BLEND_METHODS, COLOR_MATCHES
from styleswap_core.compositing import color_matching, composite
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.io.images import from_uint8, load_image, save_image, to_uint8


@pytest.fixture
def swap(demo, folder):
    """Words of `styleswap swap` for the pictures of the demo, with result.png in the working directory."""
    source, target = (str(demo.folder / name) for name in ("source.png", "target.png"))
    return ["swap", "--source", source, "--target", target, "--out", "result.png", "--device", "cpu"]


def swapped_by_api(demo):
    analysis = styleswap.load_face_analysis()
    identity, _ = styleswap.extract_identity([demo.folder / "source.png"], analysis)
    return styleswap.Swapper(styleswap.load_model(device="cpu", baked=False), analysis).swap(
        load_image(demo.folder / "target.png"), identity
    )


def test_demo_writes_a_sheet_and_reports_similarities(demo):
    out, report, notes = demo
    assert {path.name for path in out.iterdir()} == {f"{name}.png" for name in report["files"]}
    source, target, result = (load_image(out / f"{name}.png").astype(float) for name in ("source", "target", "result"))
    mask = np.asarray(Image.open(out / "mask.png"))
    assert source.shape == target.shape == result.shape == (*mask.shape, 3)
    assert np.array_equal(result[mask == 0], target[mask == 0])
    assert np.abs(result - target)[mask > 200].mean() > 2
    likeness = report["likeness_to_source"]
    assert likeness["result"] > likeness["target"] + 0.2
    assert likeness["exact_swap"] > likeness["target"]
    assert notes == "", "both pictures are rendered, so no note applies"
    assert "face swapped" in Image.open(out / "result.png").text["styleswap"]


def test_command_and_python_api_produce_the_same_picture(demo):
    assert np.array_equal(load_image(demo.folder / "result.png"), swapped_by_api(demo).image)


def test_every_public_name_exists():
    for name in styleswap._PUBLIC:
        assert getattr(styleswap, name).__name__ == name and name in dir(styleswap)
    with pytest.raises(AttributeError, match="no attribute 'swap_faces'"):
        styleswap.swap_faces  # noqa: B018 - the access itself is what is tested


def test_a_batch_continues_after_errors(demo, folder, capsys):
    frames = folder / "frames"
    frames.mkdir()
    target = demo.folder / "target.png"
    Image.open(target).save(frames / "1.png")
    (frames / "2.png").write_bytes(target.read_bytes()[:5000])
    Image.new("RGB", (200, 200), (40, 90, 160)).save(frames / "3.png")
    Image.open(target).convert("RGB").save(frames / "4.jpg")
    words = ["--source", str(demo.folder / "source.png"), "--target", "frames", "--out", "swapped"]
    code = main(["swap", *words, "--mask-out", "masks", "--json", "--device", "cpu"])
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert code == 2
    assert [Path(row["target"]).name for row in report["results"]] == ["1.png", "4.jpg"]
    assert [Path(row["target"]).name for row in report["failed"]] == ["2.png", "3.png"]
    assert sorted(path.name for path in (folder / "swapped").iterdir()) == ["1.png", "4.jpg"]
    assert sorted(path.name for path in (folder / "masks").iterdir()) == ["1_mask.png", "4_mask.png"]
    # The copies lack the metadata of rendered pictures, so they count as photographs.
    assert "rendered faces only" in captured.err
    faces = report["results"][0]["faces"]
    assert len(faces) == 1 and faces[0]["similarity"] > faces[0]["similarity_before"]


def test_an_identity_that_does_not_fit_is_one_error_however_many_targets(demo, folder, error_of):
    embedding = torch.nn.functional.normalize(torch.ones(512), dim=0)
    identity = styleswap.Identity(embedding, RecognizerId("other", "1" * 64))
    styleswap.save_identity(folder / "other.safetensors", identity)
    targets = [demo.folder / "target.png", demo.folder / "source.png"]
    error = error_of("swap", "--identity", "other.safetensors", "--target", *targets, "--out", "swapped")
    assert "other (sha256" in error and "target.png" not in error
    assert not (folder / "swapped").exists()


def test_what_was_not_asked_for_stays(demo, swap, folder):
    target = np.asarray(Image.open(demo.folder / "target.png").convert("RGB"))
    alpha = np.full(target.shape[:2], 255, np.uint8)
    alpha[:10] = 40
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "a portrait")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(np.dstack([target, alpha])).save("kept.png", pnginfo=texts, dpi=(300, 300), icc_profile=profile)
    swap[swap.index("--target") + 1] = "kept.png"
    assert main([*swap, "--mask-out", "mask.png"]) == 0
    with Image.open("result.png") as result:
        pixels = np.asarray(result)
        assert result.text["parameters"] == "a portrait" and "face swapped" in result.text["styleswap"]
        assert result.info["icc_profile"] == profile and round(result.info["dpi"][0]) == 300
    assert np.array_equal(pixels[..., 3], alpha)
    untouched = np.asarray(Image.open("mask.png")) == 0
    untouched[: len(untouched) // 8] = True
    assert np.array_equal(pixels[..., :3][untouched], target[untouched]) and (pixels[..., :3] != target).any()


def test_strength_interpolates_between_the_two_faces(swap, capsys):
    similarities = []
    for strength in ("0", "0.5", "1", "1.5"):
        assert main([*swap, "--strength", strength, "--json"]) == 0
        face = json.loads(capsys.readouterr().out)["results"][0]["faces"][0]
        similarities.append((face["similarity"], -face["similarity_to_target"]))
    # Up to 1 the source gains; the target's own identity loses all the way.
    assert similarities[:3] == sorted(similarities[:3])
    assert [own for _, own in similarities] == sorted(own for _, own in similarities)


def test_a_resolution_is_applied_and_reported(swap, folder, capsys):
    pixels = []
    for resolution in ("automatic", "1", "2"):
        assert main([*swap, "--resolution", resolution, "--json"]) == 0
        face = json.loads(capsys.readouterr().out)["results"][0]["faces"][0]
        assert face["resolution"] == (2 if resolution == "2" else 1)
        pixels.append((folder / "result.png").read_bytes())
    assert pixels[0] == pixels[1] != pixels[2]
    assert main([*swap, "--resolution", "2"]) == 0
    line = capsys.readouterr().out
    assert ", to the target 1.00 -> " in line and line.count("resolution 2x)") == 1


@pytest.mark.parametrize("kind", ["missing", "text", "truncated", "tiny", "empty face", "face 7"])
def test_an_invalid_target_is_one_line_and_nothing_is_written(kind, demo, folder, error_of):
    picture = (demo.folder / "target.png").read_bytes()
    target = folder / "target.png"
    more = []
    if kind == "text":
        target.write_text("this is not a picture")
    elif kind == "truncated":
        target.write_bytes(picture[:20000])
    elif kind == "tiny":
        Image.new("RGB", (10, 10)).save(target)
    elif kind == "empty face":
        Image.new("RGB", (300, 300), (200, 180, 90)).save(target)
    elif kind == "face 7":
        target.write_bytes(picture)
        more = ["--faces", "7"]
    words = [
        "--source",
        demo.folder / "source.png",
        "--target",
        target,
        "--out",
        "result.png",
        "--mask-out",
        "mask.png",
    ]
    assert "target.png" in error_of("swap", *words, *more)
    assert {path.name for path in folder.iterdir()} <= {"target.png"}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--model", "missing.safetensors"),
        ("--model", "note.txt"),
        ("--pack", "no_such_pack"),
        ("--pack", "./nowhere"),
        ("--device", "abacus"),
        ("--identity", "note.txt"),
        ("--reference", "note.txt"),
        ("--keep", "note.txt"),
        ("--out", "folder/result.png"),
    ],
)
def test_an_invalid_file_or_device_is_one_line(option, value, swap, folder, error_of):
    (folder / "note.txt").write_text("neither a model nor a picture")
    if option == "--identity":
        swap[1:3] = []
    assert value.strip("./").split("/")[0] in error_of(*swap, option, value)
    assert [path.name for path in folder.iterdir()] == ["note.txt"]


@pytest.mark.parametrize(
    "option",
    [
        ("--likeness", "2"),
        ("--order", "oldest"),
        ("--mask-grow", "1000"),
        ("--color-match", "magic"),
        ("--feather", "nan"),
        ("--detection-threshold", "0"),
        ("--detection-size", "100"),
    ],
)
def test_options_out_of_range_are_one_line(option, swap, folder, error_of):
    assert error_of(*swap, *option)
    assert list(folder.iterdir()) == []


def test_choices_are_those_of_compositing():
    assert color_matching.METHODS == COLOR_MATCHES
    assert composite.METHODS == BLEND_METHODS


def test_blending_options_have_the_effect_of_the_node(demo, swap, folder):
    assert main([*swap, "--color-match", "linear", "--method", "multi-band", "--mask-out", "mask.png"]) == 0
    target = load_image(demo.folder / "target.png")
    plain = swapped_by_api(demo)
    expected, mask = styleswap.blend_with_mask(
        from_uint8(target),
        from_uint8(plain.image),
        plain.mask[None, None],
        styleswap.BlendOptions(0, 4.0, "linear", 1.0, "multi-band"),
    )
    result = load_image(folder / "result.png")
    assert np.array_equal(result, to_uint8(expected)[0]) and not np.array_equal(result, plain.image)
    assert np.abs(load_image(folder / "mask.png")[..., 0] / 255 - mask[0, 0].numpy()).max() < 0.01


def test_kept_pixels_are_those_of_the_target(demo, swap, folder):
    save_image(folder / "keep.png", np.full((64, 64), 255, np.uint8))
    assert main([*swap, "--keep", "keep.png"]) == 0
    assert np.array_equal(load_image(folder / "result.png"), load_image(demo.folder / "target.png"))


def test_the_face_like_the_reference_is_swapped(demo, swap, folder):
    assert main([*swap, "--reference", str(demo.folder / "target.png")]) == 0
    assert np.array_equal(load_image(folder / "result.png"), load_image(demo.folder / "result.png"))


def test_everyone_but_one_person_is_swapped(demo, swap, folder):
    assert main([*swap, "--everyone-but", str(demo.folder / "source.png")]) == 0
    assert np.array_equal(load_image(folder / "result.png"), load_image(demo.folder / "result.png"))


def test_nobody_but_the_one_who_stays(demo, swap, error_of):
    line = error_of(*swap, "--everyone-but", demo.folder / "target.png")
    assert "no other face than those of the references" in line
    assert "not allowed with" in error_of(*swap, "--everyone-but", "a.png", "--reference", "b.png")


def test_no_face_like_the_reference(demo, swap, error_of):
    line = error_of(*swap, "--reference", demo.folder / "source.png", "--likeness", "0.9")
    assert "no face like reference 0" in line


def test_options_for_masks(swap, capsys):
    whole = _mask_of(swap, "whole.png")
    write_occlusion(Path("models/xseg/hidden.onnx"), level=0.0)
    assert _mask_of(swap, "hidden.png", "--occlusion", "hidden").max() == 0, "found by its name"
    assert np.array_equal(load_image(Path("result.png")), load_image(Path(swap[swap.index("--target") + 1])))
    skin = write_parsing(Path("skin.onnx"), {0: (110, 80, 60), 1: (230, 200, 190)}, side=128)
    for options in (
        ["--parsing", str(skin), "--regions", "skin"],
        ["--parsing", str(skin), "--parsing-classes", "1"],
        ["--outline", "upper"],
        ["--mask-padding", "0.3", "--mask-edge", "0.1"],
    ):
        part = _mask_of(swap, "part.png", *options)
        assert (part <= whole + 1).all() and 0 < part.sum() < 0.95 * whole.sum()
    for wrong, message in (
        (["--regions", "forehead"], "expected regions out of background, skin"),
        (["--mask-edge", "0.5"], "expected a number from 0 to 0.3"),
        (["--outline", "left"], "invalid choice"),
    ):
        assert main([*swap, *wrong]) == 2
        assert message in capsys.readouterr().err
    for wrong, message in (
        (["--occlusion", str(skin)], "expected a network for occlusion, but skin.onnx is one for face parsing"),
        (["--parsing", "gone.onnx"], "gone.onnx does not exist"),
    ):
        assert main([*swap, *wrong]) == 2
        assert message in capsys.readouterr().err


def _mask_of(swap, name, *options):
    assert main([*swap, "--mask-out", name, *options]) == 0
    return np.asarray(Image.open(name)).astype(int)


@pytest.mark.parametrize("option", ["--source", "--target"])
def test_missing_pictures_are_named_before_the_networks_are_loaded(swap, error_of, monkeypatch, option):
    def load(args):
        raise AssertionError("networks were loaded")

    monkeypatch.setattr("styleswap_core.commands.file_swapper.FileSwapper.from_arguments", load)
    swap[swap.index(option) + 1] = "gone.png"
    assert "expected a picture file, but gone.png does not exist" in error_of(*swap)
