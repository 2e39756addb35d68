"""What comes out of sockets, and what the core makes of it."""

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def values(pack):
    return pack("nodes.values")


@pytest.fixture(scope="module")
def error(pack):
    return pack("styleswap_core.errors").StyleSwapError


@pytest.fixture
def anna(pack):
    torch.manual_seed(0)
    recognizer = pack("styleswap_core.faces.recognizer_id").RecognizerId("any")
    return pack("styleswap_core.identities.identity").Identity(torch.randn(512), recognizer)


def test_identities_lists_and_foreign_face_models(values, error, anna):
    face = {"embedding": np.ones(512, np.float32)}
    assert values.as_identities(anna) == [anna]
    assert [one.recognizer.name for one in values.as_identities([anna, face])] == ["any", "w600k_r50"]
    assert values.as_identity([anna], "identity") is anna
    with pytest.raises(error, match="one identity as identity_a, got a list of 2"):
        values.as_identity([anna, anna], "identity_a")
    with pytest.raises(error, match="empty list"):
        values.as_identities([])
    with pytest.raises(error, match="face model"):
        values.as_identities(torch.zeros(1))


def test_pictures_of_any_batch(values, error):
    batch = torch.zeros(2, 20, 30, 3)
    transparent = torch.zeros(1, 8, 9, 4)
    broken = torch.full((1, 8, 9, 3), float("nan"))
    pictures = list(values.picture_arrays(batch, None, transparent, broken))
    assert [picture.shape for picture in pictures] == [(20, 30, 3)] * 2 + [(8, 9, 3)] * 2
    assert pictures[2].min() == 255, "transparency is white"
    assert values.count_pictures(batch, None, transparent) == 3
    for wrong in (torch.zeros(0, 8, 8, 3), torch.zeros(1, 8, 8, 1), torch.zeros(8, 8, 3)):
        with pytest.raises(error, match="expected pictures"):
            list(values.picture_arrays(wrong))


def test_the_empty_mask_of_load_image_means_everywhere(values):
    none = torch.zeros(1, 64, 64)
    assert values.meant_mask(none, (512, 512)).min() == 1
    assert values.meant_mask(none, (64, 64)).max() == 0, "an empty mask of the picture's own size"
    assert values.meant_mask(torch.zeros(1, 512, 512), (512, 512)).max() == 0
    drawn = none.clone()
    drawn[0, 3, 3] = 1
    assert torch.equal(values.meant_mask(drawn, (512, 512)), drawn)


def test_missing_packages_are_named_with_the_way_to_get_them(pack, error, monkeypatch):
    analysis = pack("nodes.analysis")
    monkeypatch.setitem(analysis._NEEDED, "some-package", "a_module_that_is_not_there")
    assert "some-package" in analysis.missing_packages()
    loaded = analysis.LoadedAnalysis(folder=None)
    with pytest.raises(error, match=r"some-package.*-m pip install -r .*requirements\.txt"), loaded.open():
        pass


def test_the_demo_pack_opens_and_stays_open_on_the_cpu(pack):
    analysis = pack("nodes.analysis")
    loaded = analysis.LoadedAnalysis(analysis.find_pack(None, [], False))
    with analysis.open_analysis(loaded) as first, analysis.open_analysis(loaded) as second:
        assert first is second and first.recognizer.name == "arcface_demo"


def test_a_face_analysis_of_another_pack_is_used_as_it_is(pack, error):
    from insightface.app import FaceAnalysis

    analysis = pack("nodes.analysis")
    foreign = FaceAnalysis(name=str(analysis.find_pack(None, [], False)), providers=["CPUExecutionProvider"])
    foreign.prepare(ctx_id=0, det_thresh=0.31, det_size=(320, 320))
    with analysis.open_analysis(foreign) as analyzer:
        assert analyzer.recognizer.name == "arcface_demo"
        assert analyzer.detect(np.zeros((64, 64, 3), np.uint8)) == []
    assert foreign.det_size == (320, 320) and foreign.det_model.det_thresh == 0.31, "nothing in it was changed"
    with pytest.raises(error, match="FaceAnalysis, got str"), analysis.open_analysis("a wire from elsewhere"):
        pass


def test_cuda_that_is_not_there_is_an_error_and_no_silent_cpu(pack, error):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine's ONNX Runtime has CUDA")
    analysis = pack("nodes.analysis")
    loaded = analysis.LoadedAnalysis(analysis.find_pack(None, [], False), run_on="CUDA")
    with pytest.raises(error, match="onnxruntime-gpu"), loaded.open():
        pass
