"""Parts of the benchmarks: matrix products, scheduling of rounds, studies, and preparation of pictures."""

import argparse
import json
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_matrix_products_agree(dtype):
    from matrix_peak import methods

    a, b = (torch.randn(64, 64, generator=torch.Generator().manual_seed(seed)).to(dtype) for seed in (1, 2))
    expected = a.float() @ b.float().T
    found = dict(methods(a, b, threads=1))
    assert {"torch.mm", "linear layer"} <= set(found) and ("ONNX Runtime MatMul" in found) == (dtype == torch.float32)
    for method, product in found.items():
        result = product()
        result = torch.as_tensor(result[0] if isinstance(result, list) else result).float()
        if result.ndim == 4:
            result = result.permute(0, 2, 3, 1).reshape(64, 64)
        tolerance = 1e-4 if dtype == torch.float32 else 0.3
        difference = (result - expected).abs().max()
        assert result.shape == expected.shape and difference <= tolerance, f"{method}: {difference}"


def rounds(minutes, monkeypatch, seconds_of):
    """Jobs that run in each of three rounds, given the seconds of each; job "once" has one timed call, others two."""
    import speed

    now, ran = [0.0], []

    def run(what, args, job):
        now[0] += seconds_of[job]
        ran[-1].append(job)
        return {"seconds": [1.0] * (1 if job == "once" else 2)}

    monkeypatch.setattr(speed, "run", run)
    monkeypatch.setattr(speed.time, "monotonic", lambda: now[0])
    made = speed.Rounds(
        [("generator", {"job": job}) for job in seconds_of], argparse.Namespace(minutes=minutes, rounds=3)
    )
    for number in range(3):
        ran.append([])
        made.run(number)
    return ran


def test_all_jobs_run_in_every_round_if_time_permits(monkeypatch):
    jobs = {"slow": 100, "quick": 1}
    assert rounds(10, monkeypatch, jobs) == [list(jobs)] * 3


def test_slow_jobs_are_skipped_once_they_have_enough_calls(monkeypatch):
    jobs = {"quick": 5, "slow": 100, "once": 90, "other": 5}
    # The first round leaves 100 s. The job with a single call needs the second round, which leaves 10 s for the third.
    assert rounds(5, monkeypatch, jobs) == [list(jobs), ["once"], ["quick", "other"]]


@pytest.mark.parametrize("study", ["architecture", "unpaired"])
def test_every_variant_of_a_study_is_a_configuration(study):
    import ablation

    from styleswap_core.training.training_config import config_from_dict, config_to_dict, override

    for name, settings in ablation.STUDIES[study].items():
        settings = {**ablation._BASE, **settings}
        config = config_from_dict(override({}, [f"{key}={json.dumps(value)}" for key, value in settings.items()]), name)
        for key, value in settings.items():
            assert reduce(getitem, key.split("."), config_to_dict(config)) == value, f"{name}: {key}"


def test_pictures_of_people_become_files_and_a_video(tmp_path):
    from own_pictures import PHOTOS, write_pictures

    from styleswap_core.faces.alignment import estimate_similarity, template_points
    from styleswap_core.io.images import load_image
    from styleswap_core.synthetic.columns import ColumnPlan, build_columns

    columns = tmp_path / "columns"
    build_columns(
        columns,
        ColumnPlan(columns=10, members=2, size=32, identities=4),
        lambda points: estimate_similarity(points, template_points("ffhq", 32)),
    )
    write_pictures(columns, tmp_path / "pictures", people=2)
    files = sorted((tmp_path / "pictures").rglob("*.jpg"))
    assert len(files) == 2 * PHOTOS and (tmp_path / "pictures" / "a video.mp4").stat().st_size > 0
    assert all(load_image(file).shape == (32, 32, 3) for file in files)


def test_lines_at_the_distance_of_the_networks_pixels_are_told_from_texture():
    from resolution import lines

    texture = torch.rand(3, 512, 512, generator=torch.Generator().manual_seed(0)) * 0.2
    striped = texture.clone()
    striped[:, ::4] += 0.02
    assert abs(lines(texture, 4)) < 6 < 10 < lines(striped, 4)
    assert lines(striped, 3) < 6, "the stripes have another distance"


def test_detail_of_a_blurred_face_is_lower():
    import numpy as np
    from kornia.filters import gaussian_blur2d
    from resolution import detail

    sharp = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    blurred = gaussian_blur2d(sharp, (7, 7), (1.0, 1.0))
    pictures = [np.ascontiguousarray(one[0].permute(1, 2, 0).byte().numpy()) for one in (sharp, blurred)]
    found = [detail(picture, torch.ones(64, 64)) for picture in pictures]
    assert found[1] < 0.5 * found[0]


@pytest.mark.parametrize("template", ["01_first_swap", "16_quick_swap"])
def test_first_preview_is_timed_without_rendering(template):
    from comfyui_first_preview import graph

    prompt = graph(FOLDER.parent, template, "target_1.png")
    assert not any(node["class_type"] == "StyleSwap_SyntheticFace" for node in prompt.values())
    links = [value for node in prompt.values() for value in node["inputs"].values() if isinstance(value, list)]
    assert {"source.png", "target_1.png"} <= {origin for origin, _ in links} <= set(prompt)
    assert [key for key in prompt if key not in {origin for origin, _ in links}] == ["shown"]


def test_revisions_are_compared_round_by_round():
    from comfyui_first_preview import STEPS, table

    before, after = (dict.fromkeys(STEPS, times) for times in ([1.0, 2.0, 4.0], [0.5, 2.0, 1.0]))
    assert "| 2000 ms | 1000 ms | 0.50 (0.25 to 1.00) |" in table(before, after)


def speed_record(scale, **facts):
    """A record of `speed.py` with round numbers: the reference takes 80 ms, baked 20 ms, ONNX Runtime 40 ms."""
    seconds = {"grouped": 0.08, "baked-float32": 0.02, "onnx-runtime": 0.04}
    results = [{"what": "peak", "dtype": "float32", "round": 0, "flops_per_second": 100e9 / scale}]
    for contender, spent in seconds.items():
        row = {"what": "generator", "preset": "demo-64", "batch": 1, "contender": contender, "round": 0, "calls": 3}
        results.append(row | {"seconds": [spent * scale] * 3, "peak_bytes": 2**20, "difference": 0.0})
    guest = {"what": "guest", "preset": "demo-64", "faces": 1, "round": 0}
    results.append(guest | {"loop": 50.0 * scale, "stream": 20.0 * scale, "network": 10.0 * scale})
    flops = {"demo-64": {"baked": 1e9, "grouped": 1e9}}
    return {"device": "cpu", "threads": 2, "torch": "2", "rounds": 1, "flops": flops, "results": results, **facts}


def test_machines_stand_side_by_side(tmp_path):
    import speed_beside

    old = speed_record(1, machine="One, AVX2")
    used = {"PyTorch": "AVX-512", "oneDNN": "AMX", "processor": "AMX"}
    new = speed_record(2, machine="Two, AVX512", instructions=used, limits={"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"})
    paths = [tmp_path / "one" / "speed-cpu.json", tmp_path / "speed-cpu.json"]
    for path, record in zip(paths, (old, new), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record), encoding="utf-8")
    lines = speed_beside.page(speed_beside.read_machines(paths), tmp_path).splitlines()
    assert any(line.startswith("- **AVX2**: [One, AVX2](one/speed-cpu.md)") for line in lines)
    limited = next(line for line in lines if line.startswith("- **AMX**: [Two, AVX512](speed-cpu.md)"))
    assert "limited by `ONEDNN_MAX_CPU_ISA=AVX512_CORE`" in limited and "what the processor has (AMX)" in limited
    # 80 / 20 ms, 40 / 20 ms, and 1 GFLOP in 20 ms of a peak of 100 GFLOP/s; the second machine is half as fast.
    baked = next(line for line in lines if "| baked, float32 |" in line)
    assert baked.endswith("| 20.0 | 4.00 | 2.00 | 50% | 40.0 | 4.00 | 2.00 | 50% |")
    plain_loop = [line for line in lines if line.startswith("| demo-64 | 1 | 50.0")]
    assert plain_loop == ["| demo-64 | 1 | 50.0 | 20.0 | 10.0 | 2.50 | 4.00 | 100.0 | 40.0 | 20.0 | 2.50 | 4.00 |"]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Intel AVX10.1 and Intel AMX with bfloat16 and 8-bit integer support", "AMX"),
        ("Intel AVX-512 with AVX512BW, AVX512VL, and AVX512DQ extensions", "AVX-512"),
        ("Intel(R) Advanced Vector Extensions 2 (Intel(R) AVX2) enabled processors", "AVX2"),
        ("fpu avx avx2 avx512f amx_tile", "AMX"),
        ("AVX512", "AVX-512"),
        ("DEFAULT", "DEFAULT"),
        ("ZVECTOR", "ZVECTOR"),
    ],
)
def test_instruction_sets_of_all_libraries_have_one_name(said, name):
    from machine import largest_set

    assert largest_set(said) == name


def test_time_belongs_to_the_innermost_step():
    import startup_clock

    now = [0.0]
    clock = startup_clock.Clock(lambda: now[0])

    class Work:
        def inner(self):
            now[0] += 1.0

        def outer(self):
            now[0] += 2.0
            self.inner()
            now[0] += 4.0

    clock.watch(Work, "inner", "inner", within="outer")
    clock.watch(Work, "outer", "outer")
    Work().inner()
    Work().outer()
    assert clock.stop() == {startup_clock.OTHER: 1.0, "outer": 6.0, "inner": 1.0}
