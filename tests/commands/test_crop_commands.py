"""`styleswap align` and `styleswap paste`, with the demo pack: crops leave pictures, are changed, and come back."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

import styleswap_core as styleswap
from styleswap_core.cli import main
from styleswap_core.commands import align_command
from styleswap_core.commands.align_command import CROP_SIZES, CROP_TEMPLATES
from styleswap_core.compositing.placed_faces import MAX_SIZE, MIN_SIZE
from styleswap_core.compositing.places_file import read_places
from styleswap_core.faces.alignment import TEMPLATES
from styleswap_core.identities.provenance import EDITED
from styleswap_core.io.deep_pictures import read_deep
from styleswap_core.io.images import load_image, load_mask, save_image

SIZE = 96


@pytest.fixture(scope="module")
def cut_once(demo, tmp_path_factory):
    """Folder with a picture of the demo's two faces, and its crops, masks and places."""
    made = tmp_path_factory.mktemp("cut")
    pictures = [load_image(demo.folder / f"{name}.png") for name in ("source", "target")]
    save_image(made / "group.png", np.concatenate(pictures, 1))
    words = ["--order", "left-right", "--size", str(SIZE), "--mask-out", str(made / "masks")]
    assert main(["align", "--target", str(made / "group.png"), "--out", str(made / "crops"), *words]) == 0
    return made


@pytest.fixture
def cut(cut_once, folder):
    """That folder as the working directory."""
    shutil.copytree(cut_once, folder, dirs_exist_ok=True)
    return folder


def paste(*words, target="group.png", out="out.png"):
    return main(["paste", "--target", target, "--crops", "crops", "--out", out, *words])


def repaint(path, color=(255, 0, 0), scale=1):
    """Paint the middle of a crop, and scale it."""
    crop = np.array(load_image(path).repeat(scale, 0).repeat(scale, 1))
    middle = slice(len(crop) * 3 // 8, len(crop) * 5 // 8)
    crop[middle, middle] = color
    save_image(path, crop)


def frame_of(path):
    return torch.from_numpy(load_image(path))[None].float() / 255


def test_crops_masks_and_places_are_those_of_the_node(cut):
    found = styleswap.align_faces(
        frame_of("group.png"),
        styleswap.load_face_analysis(),
        styleswap.FaceChoice("all", "left-right"),
        size=SIZE,
    )
    assert len(found.crops) == 2
    for row in range(2):
        crop = found.crops[row].numpy() * 255
        assert np.abs(load_image(f"crops/group_face{row}.png") - crop).max() <= 0.51
        assert (load_mask(f"masks/group_face{row}_mask.png") - found.masks[row]).abs().max() < 0.003
    placed = styleswap.load_places("crops.json")
    assert placed.frame_size == found.placed.frame_size
    for one, other in zip(placed.faces, found.placed.faces, strict=True):
        assert torch.equal(one.matrix, other.matrix) and np.array_equal(one.points, other.points)
    assert sorted(path.name for path in Path("crops").iterdir()) == ["group_face0.png", "group_face1.png"]


def test_chosen_faces_and_parts_of_them(cut, capsys):
    words = ["--faces", "1", "--order", "left-right", "--size", str(SIZE), "--outline", "upper", "--json"]
    assert main(["align", "--target", "group.png", "--out", "one", "--mask-out", "upper", *words]) == 0
    report = json.loads(capsys.readouterr().out)
    (result,) = report["results"]
    assert report["places"] == "one.json" and len(result["crops"]) == len(result["masks"]) == 1
    assert np.array_equal(load_image(result["crops"][0]), load_image("crops/group_face1.png"))
    upper, whole = load_mask(result["masks"][0]), load_mask("masks/group_face1_mask.png")
    assert upper[-SIZE // 3 :].max() == 0 and (upper <= whole + 0.01).all() and 0.2 < upper.mean() / whole.mean() < 0.9


@pytest.mark.parametrize("scale", [1, 4])
def test_crops_without_a_change_give_back_the_picture(cut, scale, capsys):
    for path in [*Path("crops").iterdir()] if scale > 1 else []:
        with Image.open(path) as crop:
            large = crop.resize((SIZE * scale, SIZE * scale), Image.Resampling.LANCZOS)
        large.save(path.with_name(f"{path.stem}_x{scale}.webp"), lossless=True)
        path.unlink()
    assert paste("--mask-out", "mask.png") == 0
    printed = capsys.readouterr()
    assert (
        "out.png: 2 faces, unchanged" in printed.out
        and "nothing was pasted, because the crops are unchanged" in printed.err
    )
    assert Path("out.png").read_bytes() == Path("group.png").read_bytes() and load_image("mask.png").max() == 0
    assert paste(out="out.tif") == 0
    assert np.array_equal(load_image("out.tif"), load_image("group.png"))


def test_changed_crops_are_pasted_as_by_the_node(cut, capsys):
    repaint("crops/group_face0.png", scale=4)
    repaint("crops/group_face1.png", (0, 0, 255))
    save_image("keep.png", np.repeat(np.uint8([255, 0]), 16)[:, None].repeat(32, 1))
    options = ["--grow", "2", "--feather", "6", "--color-match", "linear", "--color-strength", "0.5"]
    words = [*options, "--method", "multi-band", "--mask", "masks", "--keep", "keep.png", "--mask-out", "mask.png"]
    assert paste(*words, "--json") == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["faces"] == 2 and result["changed"]
    images, shares = styleswap.paste_faces(
        frame_of("group.png"),
        [frame_of(f"crops/group_face{row}.png")[0] for row in range(2)],
        styleswap.load_places("crops.json"),
        styleswap.BlendOptions(2, 6.0, "linear", 0.5, "multi-band"),
        masks=torch.stack([load_mask(f"masks/group_face{row}_mask.png") for row in range(2)]),
        keep=load_mask("keep.png")[None],
    )
    out, target = load_image("out.png"), load_image("group.png")
    assert np.abs(out - images[0].numpy() * 255).max() <= 0.51 and np.abs(out.astype(int) - target).max() > 50
    assert (load_mask("mask.png") - shares[0]).abs().max() < 0.003
    assert np.array_equal(out[: len(out) // 2 - 8], target[: len(out) // 2 - 8])


def test_defaults_are_those_of_the_node(cut):
    repaint("crops/group_face0.png")
    assert paste() == 0
    crops = torch.cat([frame_of(f"crops/group_face{row}.png") for row in range(2)])
    images, _ = styleswap.paste_faces(
        frame_of("group.png"), crops, styleswap.load_places("crops.json"), styleswap.BlendOptions(feather=4.0)
    )
    assert np.abs(load_image("out.png") - images[0].numpy() * 255).max() <= 0.51
    assert (*CROP_SIZES, CROP_TEMPLATES) == (MIN_SIZE, MAX_SIZE, tuple(TEMPLATES))


def test_what_a_picture_holds_is_kept_and_the_change_is_stated(cut):
    seen = load_image("group.png")
    deep = seen.astype(np.uint16) * 257
    deep = np.clip(deep.astype(int) + np.random.default_rng(0).integers(-100, 100, deep.shape), 0, 65535)
    deep = deep.astype(np.uint16)
    cv2.imwrite("deep.tif", deep[..., ::-1])
    alpha = np.full(seen.shape[:2], 255, np.uint8)
    alpha[:4] = 40
    texts = PngImagePlugin.PngInfo()
    for key, text in (("parameters", "a portrait"), ("styleswap", "face swapped"), ("styleswap-provenance", "x")):
        texts.add_text(key, text)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010E] = "a party"
    Image.fromarray(np.dstack([seen, alpha])).save("kept.png", pnginfo=texts, icc_profile=profile, exif=exif)
    repaint("crops/group_face0.png")
    assert paste("--mask-out", "mask.png", target="deep.tif", out="out.tif") == 0
    same = (load_image("out.tif") == load_image("deep.tif")).all(2)
    after = read_deep("out.tif")
    assert after.dtype == np.uint16 and np.array_equal(after[same], deep[same]) and 0.5 < same.mean() < 1
    assert paste(target="kept.png") == 0
    with Image.open("out.png") as result:
        assert result.text["parameters"] == "a portrait" and result.info["icc_profile"] == profile
        assert result.text["styleswap"] == f"face swapped | {EDITED}" and "styleswap-provenance" not in result.text
        assert result.getexif()[0x010E] == "a party" and np.array_equal(np.asarray(result)[..., 3], alpha)
    shutil.copy("out.png", "kept.png")
    assert main(["align", "--target", "kept.png", "--out", "again", "--size", "64"]) == 0
    assert Image.open("again/kept_face0.png").text["styleswap"] == f"face swapped | {EDITED}"
    # The crops are what they were pasted as, up to what the way there and back costs in sharpness.
    assert paste("--places", "crops.json", target="kept.png", out="twice.png") == 0
    assert Image.open("twice.png").text["styleswap"] == f"face swapped | {EDITED}"


@pytest.fixture(scope="module")
def folders_once(demo, cut_once, tmp_path_factory):
    """Folder with pictures in subfolders, one without a face and a damaged one, and their crops."""
    made = tmp_path_factory.mktemp("folders")
    (made / "in" / "day 2").mkdir(parents=True)
    shutil.copy(demo.folder / "source.png", made / "in" / "ä.png")
    Image.open(demo.folder / "target.png").convert("RGB").save(made / "in" / "day 2" / "b.jpg")
    save_image(made / "in" / "gray.png", np.full((64, 48), 128, np.uint8))
    (made / "in" / "broken.png").write_bytes(b"no picture")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        assert main(["align", "--target", "in", "--recursive", "--out", "crops", "--size", str(SIZE)]) == 2
    return made


@pytest.fixture
def folders(folders_once, folder):
    """That folder as the working directory."""
    shutil.copytree(folders_once, folder, dirs_exist_ok=True)
    return folder


def test_folders_of_pictures(folders, capsys):
    assert [(row.picture, row.crops) for row in read_places("crops.json")] == [
        ("day 2/b.jpg", ("day 2/b_face0.png",)),
        ("gray.png", ()),
        ("ä.png", ("ä_face0.png",)),
    ]
    repaint("crops/day 2/b_face0.png")
    assert paste("--recursive", target="in", out="out") == 2
    printed = capsys.readouterr()
    assert "out/gray.png: no face;" in printed.out.replace("\\", "/") and "broken.png" in printed.err
    assert "nothing was pasted into 1 of 3 pictures" in printed.err
    files = sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.*"))
    assert files == ["day 2/b.jpg", "gray.png", "ä.png"]
    assert np.array_equal(load_image("out/ä.png"), load_image("in/ä.png"))
    # A single picture of a folder, under another name than before.
    shutil.copy("in/day 2/b.jpg", "b.png")
    assert paste(target="b.png") == 0
    assert np.abs(load_image("out.png").astype(int) - load_image("b.png")).max() > 50


def test_crops_written_before_an_interruption_can_be_pasted(cut, monkeypatch):
    for name in ("b", "c"):
        shutil.copy("group.png", f"{name}.png")
    whole = align_command._cut_file

    def interrupted(one, *others):
        if one.target.name == "c.png":
            raise KeyboardInterrupt
        return whole(one, *others)

    monkeypatch.setattr(align_command, "_cut_file", interrupted)
    assert main(["align", "--target", "b.png", "c.png", "--out", "two", "--size", str(SIZE)]) == 130
    assert [row.picture for row in read_places("two.json")] == ["b.png"]


def test_only_one_file_is_the_crop_of_a_face(cut, error_of):
    for names, message in (
        (["group_face0.webp"], "several pictures for one face, group_face0.png and group_face0.webp"),
        (["group_face0_4x.png"], "several pictures for one face, group_face0.png and group_face0_4x.png"),
        (["group_face01.png", "notes.txt", "group_face.png"], ""),
    ):
        for name in names:
            shutil.copy("crops/group_face0.png", f"crops/{name}")
        if message:
            assert message in error_of("paste", "--target", "group.png", "--crops", "crops", "--out", "out.png")
        else:
            assert paste() == 0
        for name in names:
            Path("crops", name).unlink()


def snapshot():
    return {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()}


def test_crops_that_do_not_fit_are_one_line_and_nothing_is_written(cut, error_of):
    Image.open("group.png").resize((100, 60)).save("small.png")
    Image.open("group.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save("other.png")
    shutil.copytree("crops", "fewer")
    Path("fewer/group_face1.png").unlink()
    shutil.copytree("crops", "broken")
    Path("broken/group_face1.png").write_bytes(b"no picture")
    shutil.copytree("crops", "wide")
    Image.open("crops/group_face1.png").resize((64, 48)).save("wide/group_face1.png")
    shutil.copytree("crops", "mixed")
    shutil.copy("crops/group_face0.png", "mixed/group_face1.png")
    shutil.copy("crops/group_face1.png", "mixed/group_face0.png")
    Path("damaged.json").write_text(Path("crops.json").read_text(encoding="utf-8")[:300], encoding="utf-8")
    before = snapshot()
    for changes, message in (
        ({"--target": "small.png"}, "expected a picture of"),
        ({"--target": "other.png"}, "other.png is not the picture that the crops were cut from"),
        ({"--target": "nowhere.png"}, "nowhere.png"),
        ({"--crops": "fewer"}, "expected a crop named group_face1 in fewer, found none"),
        ({"--crops": "broken"}, "group_face1.png is not a picture"),
        ({"--crops": "wide"}, "group_face1.png is 64 x 48 px, but crops must be square"),
        ({"--crops": "mixed"}, "crop 0 shows face 1, not face 0"),
        ({"--crops": "nowhere"}, "expected a folder with a crop for each face, but nowhere is not a folder"),
        ({"--places": "nowhere.json"}, "nowhere.json, which does not exist"),
        ({"--places": "damaged.json"}, "damaged.json is damaged"),
        ({"--places": "group.png"}, "group.png is damaged"),
        ({"--mask": "fewer"}, "expected a mask named group_face1 in fewer, found none"),
        ({"--mask": "nowhere.png"}, "nowhere.png does not exist"),
        ({"--keep": "nowhere.png"}, "nowhere.png does not exist"),
        ({"--out": "group.png"}, "is an input and would be replaced"),
        ({"--out": "crops/group_face0.png"}, "is an input and would be replaced"),
        ({"--out": "missing/out.png"}, "create it first"),
        ({"--grow": "1000"}, "--grow"),
    ):
        given = {"--target": "group.png", "--crops": "crops", "--places": "crops.json", "--out": "out.png", **changes}
        message_of = error_of("paste", *(word for pair in given.items() for word in pair))
        assert message in message_of, message_of
    assert snapshot() == before


def test_a_place_for_crops_that_does_not_fit_is_one_line(cut, error_of):
    Path("notes.json").write_text('{"mine": true}', encoding="utf-8")
    before = snapshot()
    for words, message in (
        (["--out", "crops"], "expected a new or empty folder, but crops contains files"),
        (["--out", "group.png"], "group.png is a file"),
        (["--out", "new", "--mask-out", "masks"], "masks contains files"),
        (["--out", "new", "--mask-out", "new"], "expected different folders for crops and masks"),
        (["--out", "notes"], "notes.json exists and does not contain places of crops"),
        (["--out", "new", "--places", "missing/places.json"], "create it first"),
        (["--out", "new", "--occlusion", "x.onnx"], "--occlusion only affects masks"),
        (["--out", "new", "--size", "4000"], "--size"),
        (["--out", "new", "--template", "square"], "--template"),
    ):
        message_of = error_of("align", "--target", "group.png", *words)
        assert message in message_of, message_of
    assert "would both be written" in error_of("align", "--target", "group.png", "x/group.jpg", "--out", "new")
    assert "nowhere.png" in error_of("align", "--target", "nowhere.png", "--out", "new")
    assert snapshot() == before and not Path("new").exists()
