"""Options of `styleswap swap` that the nodes have too: one ability, one result, whichever way it is reached."""

import numpy as np
import pytest

import styleswap_core as styleswap
from styleswap_core.cli import main
from styleswap_core.io.images import from_uint8, load_image, save_image, to_uint8


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Folder with a rendered source and target."""
    out = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--out", str(out), "--device", "cpu"]) == 0
    return out


def swapped_by_api(demo):
    analysis = styleswap.load_face_analysis()
    identity, _ = styleswap.extract_identity([demo / "source.png"], analysis)
    return styleswap.Swapper(styleswap.load_model(device="cpu", baked=False), analysis).swap(
        load_image(demo / "target.png"), identity
    )


def test_the_command_and_the_python_api_give_the_same_picture(demo):
    assert np.array_equal(load_image(demo / "result.png"), swapped_by_api(demo).image)


def test_every_public_name_is_there():
    for name in styleswap._PUBLIC:
        assert getattr(styleswap, name).__name__ == name and name in dir(styleswap)
    with pytest.raises(AttributeError, match="no attribute 'swap_faces'"):
        styleswap.swap_faces  # noqa: B018 - the access itself is what is tested


def test_blending_options_do_what_the_node_does(demo, tmp_path):
    out, mask_out = tmp_path / "blended.png", tmp_path / "mask.png"
    words = ["swap", "--source", demo / "source.png", "--target", demo / "target.png", "--out", out]
    assert (
        main([*map(str, words), "--color-match", "linear", "--method", "multi-band", "--mask-out", str(mask_out)]) == 0
    )
    target = load_image(demo / "target.png")
    plain = swapped_by_api(demo)
    expected, mask = styleswap.blend_with_mask(
        from_uint8(target),
        from_uint8(plain.image),
        plain.mask[None, None],
        styleswap.BlendOptions(0, 4.0, "linear", 1.0, "multi-band"),
    )
    assert np.array_equal(load_image(out), to_uint8(expected)[0]) and not np.array_equal(load_image(out), plain.image)
    assert np.abs(load_image(mask_out)[..., 0] / 255 - mask[0, 0].numpy()).max() < 0.01


def test_kept_pixels_stay(demo, tmp_path):
    keep = tmp_path / "keep.png"
    save_image(keep, np.full((64, 64), 255, np.uint8))
    out = tmp_path / "kept.png"
    words = ["swap", "--source", demo / "source.png", "--target", demo / "target.png", "--out", out, "--keep", keep]
    assert main([str(word) for word in words]) == 0
    assert np.array_equal(load_image(out), load_image(demo / "target.png"))


def test_choice_by_likeness(demo, tmp_path, capsys):
    words = ["swap", "--source", demo / "source.png", "--target", demo / "target.png", "--out", tmp_path / "out.png"]
    assert main([*map(str, words), "--reference", str(demo / "target.png")]) == 0
    capsys.readouterr()
    assert main([*map(str, words), "--reference", str(demo / "source.png"), "--likeness", "0.9"]) == 2
    assert "no face like reference 0" in capsys.readouterr().err


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
def test_options_out_of_range_are_one_line(option, demo, tmp_path, capsys):
    words = ["swap", "--source", demo / "source.png", "--target", demo / "target.png", "--out", tmp_path / "out.png"]
    assert main([*map(str, words), *option]) == 2
    error = capsys.readouterr().err
    assert error.startswith("styleswap: error: ") and error.count("\n") == 1
    assert not (tmp_path / "out.png").exists()
