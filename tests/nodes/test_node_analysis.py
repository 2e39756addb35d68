"""The face analysis that travels between nodes."""

import sys

import numpy as np
import pytest
from zoo_networks import write_zoo


@pytest.fixture(scope="module")
def analysis(pack):
    return pack("nodes.analysis")


@pytest.fixture(scope="module")
def error(pack):
    return pack("styleswap_core.errors").StyleSwapError


@pytest.fixture(scope="module")
def demo_pack(pack):
    return pack("styleswap_core.faces.packs").DEMO_PACK


def test_an_error_names_missing_packages_and_how_to_install_them(analysis, error, demo_pack, monkeypatch):
    # Python takes None for a module that does not exist.
    monkeypatch.setitem(sys.modules, "insightface.app", None)
    loaded = analysis.LoadedAnalysis(demo_pack)
    with (
        pytest.raises(
            error, match=r"^face detection needs insightface, which .*-m pip install .* and restart ComfyUI$"
        ),
        loaded.open(),
    ):
        pass


def test_on_the_cpu_the_analyzer_is_loaded_once(analysis, demo_pack):
    loaded = analysis.LoadedAnalysis(demo_pack)
    with analysis.open_analysis(loaded) as first, analysis.open_analysis(loaded) as second:
        assert first is second and first.recognizer.name == "arcface_demo"


def test_the_face_analysis_of_another_pack_is_used_unchanged(analysis, error, demo_pack):
    from insightface.app import FaceAnalysis

    foreign = FaceAnalysis(name=str(demo_pack), providers=["CPUExecutionProvider"])
    foreign.prepare(ctx_id=0, det_thresh=0.31, det_size=(320, 320))
    with analysis.open_analysis(foreign) as analyzer:
        assert analyzer.recognizer.name == "arcface_demo"
        assert analyzer.detect(np.zeros((64, 64, 3), np.uint8)) == []
    assert foreign.det_size == (320, 320) and foreign.det_model.det_thresh == 0.31
    with pytest.raises(error, match="FaceAnalysis, got str"), analysis.open_analysis("a value from elsewhere"):
        pass


def test_unavailable_cuda_is_an_error_instead_of_a_silent_fallback(analysis, error, demo_pack):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("ONNX Runtime has CUDA on this machine")
    loaded = analysis.LoadedAnalysis(demo_pack, run_on="CUDA")
    with pytest.raises(error, match="onnxruntime-gpu"), loaded.open():
        pass


def test_opencv_zoo_needs_neither_insightface_nor_onnx_runtime(analysis, error, tmp_path, monkeypatch):
    folder = write_zoo(tmp_path / "opencv_zoo")
    monkeypatch.setitem(sys.modules, "insightface.app", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with analysis.LoadedAnalysis(folder).open() as analyzer:
        assert analyzer.recognizer.dimension == 128 and analyzer.license_note == "YuNet MIT, SFace Apache-2.0"
    with pytest.raises(error, match="on the CPU"), analysis.LoadedAnalysis(folder, run_on="CUDA").open():
        pass
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(error, match="opencv-python"), analysis.LoadedAnalysis(folder).open():
        pass


def test_nodes_explain_packages_that_do_not_load(pack, error, monkeypatch):
    """Like `styleswap doctor`, wherever the import is."""

    class Node:
        @classmethod
        def execute(cls, image):
            pack("styleswap_core.io.deep_pictures").write_deep_png(image, None, b"", {})

    explain = pack("nodes.broken_packages").explain_broken_packages
    assert explain(explain(Node)) is Node
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(error, match=r"^opencv-python does not load|is not installed.* and restart ComfyUI$"):
        Node.execute(image=np.zeros((2, 2, 3), np.uint16))
    monkeypatch.undo()
    with pytest.raises(AttributeError):
        Node.execute(None)


def test_comfyui_shows_the_type_of_an_error_without_the_packs_path(pack, error):
    errors = error, pack("styleswap_core.media.video_source").UnreadableVideo
    assert [one.__module__ for one in errors] == ["styleswap_core.errors", "styleswap_core.media.video_source"]
