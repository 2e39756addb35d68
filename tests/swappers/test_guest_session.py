"""Sessions of ONNX Runtime: batches, closing, providers and what they fall back to, memory."""

import types

import guest_forms as forms
import numpy as np
import onnxruntime
import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces import execution_providers
from styleswap_core.faces.execution_providers import fallback_of, providers_for
from styleswap_core.faces.onnx_summary import summarize_onnx
from styleswap_core.swappers import guest_session
from styleswap_core.swappers.guest_session import GuestSession, OutOfMemoryError

CPU = torch.device("cpu")


def session_for(path, **more):
    return GuestSession(summarize_onnx(forms.write_vector_form(path / "net.onnx", size=16, **more)), CPU)


def feeds(rows):
    random = np.random.default_rng(0)
    target = random.random((rows, 3, 16, 16), dtype=np.float32)
    return {"target": target, "source": random.standard_normal((rows, 512)).astype(np.float32)}


def count_runs(session, monkeypatch):
    sizes, run = [], session._session.run
    monkeypatch.setattr(
        session._session, "run", lambda names, fed, *more: sizes.append(len(fed["target"])) or run(names, fed, *more)
    )
    return sizes


@pytest.mark.parametrize(
    ("form", "together"),
    [
        ({}, True),
        ({"batch": "batch"}, True),
        ({"half": True, "mask": True}, True),
        # A batch is refused by the graph, or gives other results than single runs.
        ({"fixed_inside": True}, False),
        ({"mixes_rows": True}, False),
        ({"mixes_rows": True, "batch": "batch"}, False),
    ],
)
def test_batches_run_together_where_that_changes_nothing(tmp_path, monkeypatch, form, together):
    session, given = session_for(tmp_path, **form), feeds(5)
    alone = [session.run({name: value[row : row + 1] for name, value in given.items()}) for row in range(5)]
    expected = [np.concatenate(parts) for parts in zip(*alone, strict=True)]
    session.run(given)
    sizes = count_runs(session, monkeypatch)
    found = session.run(given)
    assert sizes == ([5] if together else [1] * 5)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float32 and np.abs(one - other).max() < 1e-5


def test_a_closed_session_opens_again(tmp_path):
    session, given = session_for(tmp_path), feeds(3)
    expected, sha256 = session.run(given), session.sha256
    session.close()
    assert not session.is_open
    assert np.array_equal(session.run(given)[0], expected[0]) and session.is_open and session.sha256 == sha256
    size = (tmp_path / "net.onnx").stat().st_size
    assert session.memory_bytes() == size


def test_a_file_that_changes_has_to_be_loaded_again(tmp_path):
    session = session_for(tmp_path)
    session.close()
    forms.write_vector_form(tmp_path / "net.onnx", size=16, mask=True)
    with pytest.raises(StyleSwapError, match="has changed since it was loaded"):
        session.run(feeds(1))


def test_large_files_run_one_by_one_on_the_cpu_and_are_never_copied(tmp_path, monkeypatch):
    """ONNX Runtime takes a changed file as bytes only, which needs several times its size."""
    created, create = [], onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda model, *more, **named: created.append(model) or create(model, *more, **named),
    )
    path = forms.write_vector_form(tmp_path / "net.onnx", size=16)
    small = GuestSession(summarize_onnx(path), CPU)
    monkeypatch.setattr(guest_session, "SMALL_FILE", 100)
    large = GuestSession(summarize_onnx(path), CPU)
    assert [type(model) for model in created] == [bytes, str] and small.sha256 == large.sha256
    assert small._session._model_bytes is None, "the bytes are not kept"
    given, sizes = feeds(3), count_runs(large, monkeypatch)
    assert np.abs(large.run(given)[0] - small.run(given)[0]).max() < 1e-6 and sizes == [1, 1, 1]


def test_faces_that_run_one_by_one_can_be_canceled_between_them(tmp_path, monkeypatch):
    monkeypatch.setattr(guest_session, "SMALL_FILE", 100)
    session = GuestSession(summarize_onnx(forms.write_vector_form(tmp_path / "net.onnx", size=16)), CPU)
    sizes = count_runs(session, monkeypatch)

    def cancel():
        if len(sizes) == 2:
            raise KeyboardInterrupt

    session.before_run = cancel
    with pytest.raises(KeyboardInterrupt):
        session.run(feeds(5))
    assert sizes == [1, 1]
    session.before_run = lambda: None
    assert len(session.run(feeds(5))[0]) == 5


def test_out_of_memory_is_told_from_other_errors(tmp_path, monkeypatch):
    from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

    session = session_for(tmp_path)
    for message, error in (
        ("BFCArena::AllocateRawInternal Available memory of 0 is smaller than requested", OutOfMemoryError),
        ("CUDA failure 2: out of memory ; GPU=0", OutOfMemoryError),
        ("Non-zero status code returned while running Conv node", StyleSwapError),
    ):

        def fail(names, fed, options, message=message):
            raise RuntimeException(message)

        session._session = types.SimpleNamespace(run=fail)
        with pytest.raises(error):
            session.run(feeds(1))


def test_the_provider_follows_the_device(monkeypatch):
    available = ["CUDAExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(execution_providers, "available_providers", lambda: available)
    for device, expected in (
        ("cpu", ["CPUExecutionProvider"]),
        ("mps", [("CoreMLExecutionProvider", {}), "CPUExecutionProvider"]),
        ("privateuseone:0", [("DmlExecutionProvider", {"device_id": 0}), "CPUExecutionProvider"]),
    ):
        assert providers_for(torch.device(device)) == (expected, "")
    (name, options), _ = providers_for(torch.device("cuda:1"))[0]
    assert name == "CUDAExecutionProvider" and options["device_id"] == 1
    monkeypatch.setattr(torch.version, "hip", "6.0")
    providers, reason = providers_for(torch.device("cuda"))
    assert providers == ["CPUExecutionProvider"] and "MIGraphXExecutionProvider" in reason
    monkeypatch.setattr(execution_providers, "available_providers", lambda: ["ROCMExecutionProvider"])
    assert providers_for(torch.device("cuda"))[0][0] == ("ROCMExecutionProvider", {"device_id": 0})
    assert "no execution provider for xpu" in providers_for(torch.device("xpu"))[1]


def _session(used, nodes=()):
    parts = [
        types.SimpleNamespace(ep_name=name, get_nodes=lambda n=n: [types.SimpleNamespace(op_type=n)])
        for name, n in nodes
    ]
    return types.SimpleNamespace(get_providers=lambda: used, get_provider_graph_assignment_info=lambda: parts)


def test_a_fallback_is_told():
    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    wanted = [(cuda, {}), cpu]
    assert fallback_of(_session([cpu]), [cpu]) == ""
    assert "could not start the CUDAExecutionProvider" in fallback_of(_session([cpu]), wanted)
    assert fallback_of(_session([cuda, cpu], [(cuda, "Conv"), (cpu, "Shape")]), wanted) == ""
    told = fallback_of(_session([cuda, cpu], [(cuda, "Conv"), (cpu, "Conv"), (cpu, "Gemm")]), wanted)
    assert told.startswith("2 of 3 convolutions and matrix products")
    assert fallback_of(types.SimpleNamespace(get_providers=lambda: [cuda, cpu]), wanted) == "", "older ONNX Runtime"


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA")
def test_a_device_without_provider_is_a_notice(tmp_path):
    session = GuestSession(summarize_onnx(forms.write_vector_form(tmp_path / "n.onnx", size=16)), torch.device("cuda"))
    assert session.provider == "CPUExecutionProvider"
    assert session.fallback == (
        "ONNX Runtime is installed without the CUDAExecutionProvider; install onnxruntime-gpu in its place"
    )
