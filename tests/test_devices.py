"""Selection of device, precision and number of threads."""

import platform

import pytest
import torch
import torch.nn.functional as F

from styleswap_core import devices
from styleswap_core.devices import choose_device, choose_precision, describe_precision, one_thread
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import warp


def test_named_and_default_device():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["abacus", "", "cpu:x", "cuda:99"])
def test_missing_devices_are_refused(name):
    with pytest.raises(StyleSwapError, match="expected a device of this machine"):
        choose_device(name)


def test_the_number_of_threads_is_restored_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), one_thread():
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == before


CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("avx512_bf16", "amx", "machine", "dtype"),
    [
        (False, False, "x86_64", torch.float32),
        (True, False, "x86_64", torch.bfloat16),
        (False, True, "x86_64", torch.bfloat16),
        (False, False, "aarch64", torch.bfloat16),
    ],
)
def test_bfloat16_on_cpus_with_instructions(monkeypatch, avx512_bf16, amx, machine, dtype):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    for task in ("training", "inversion", "inference"):
        precision = choose_precision(CPU, task)
        assert precision.dtype == dtype and "bfloat16 instructions" in precision.reason
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert choose_precision(CPU, "inference").dtype == torch.float32, "oneDNN must support them as well"


@pytest.mark.parametrize(
    ("capability", "training", "inference"),
    [
        ((7, 5), torch.float32, torch.float16),
        ((8, 0), torch.bfloat16, torch.bfloat16),
        ((9, 0), torch.bfloat16, torch.bfloat16),
    ],
)
def test_bfloat16_on_gpus_since_ampere(monkeypatch, capability, training, inference):
    # True for emulation as well, and therefore not decisive.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *args, **options: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    cuda = torch.device("cuda")
    assert choose_precision(cuda, "training").dtype == choose_precision(cuda, "inversion").dtype == training
    assert choose_precision(cuda, "inference").dtype == inference
    assert f"{capability[0]}.{capability[1]}" in choose_precision(cuda, "training").reason


def test_other_devices_and_requests():
    assert choose_precision(torch.device("mps"), "training").dtype == torch.float32
    assert choose_precision(torch.device("xpu"), "training").dtype == torch.bfloat16
    assert choose_precision(CPU, "training", "bf16") == (torch.bfloat16, "as requested")
    assert choose_precision(CPU, "training", "fp32").name == "float32"
    with pytest.raises(StyleSwapError, match="expected one of the precisions auto"):
        choose_precision(CPU, "training", "fp8")


def test_the_description_names_precision_device_and_reason():
    cpu = torch.device("cpu")
    chosen = choose_precision(cpu, "training")
    assert describe_precision(cpu, "training") == f"precision on cpu: {chosen.name}, {chosen.reason}"
    assert "as requested" in describe_precision(cpu, "training", "fp32")


def test_a_device_without_border_padding_or_bicubic_sampling_uses_the_cpu(monkeypatch):
    """MPS raises these errors; the meta device stands for it."""
    real = F.grid_sample

    def limited(image, grid, mode, padding_mode, align_corners):
        if image.device.type == "meta" and (mode == "bicubic" or padding_mode == "border"):
            raise RuntimeError(f"MPS: Unsupported {mode} {padding_mode}")
        return real(image, grid, mode, padding_mode, align_corners)

    monkeypatch.setattr(F, "grid_sample", limited)
    modes = [("bilinear", "zeros"), ("bilinear", "reflection"), ("bilinear", "border"), ("bicubic", "zeros")]
    assert [devices._can_sample.__wrapped__("meta", *mode) for mode in modes] == [True, True, False, False]
    assert all(devices._can_sample.__wrapped__("cpu", *mode) for mode in modes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pictures_sampled_on_the_cpu_are_the_same(monkeypatch, dtype):
    image = torch.rand(1, 3, 9, 8).to(dtype).requires_grad_()
    matrix = torch.tensor([[[1.3, 0.2, -1.0], [-0.2, 1.3, 0.5]]])
    expected = warp(image.float(), matrix, 12, padding="border", mode="bicubic")
    monkeypatch.setattr(devices, "_can_sample", lambda *mode: False)
    got = warp(image, matrix, 12, padding="border", mode="bicubic")
    assert got.dtype == dtype and got.requires_grad
    tolerance = 0 if dtype == torch.float32 else 0.02
    torch.testing.assert_close(got.float(), expected, rtol=0, atol=tolerance)
