"""`make gpu` with tiny settings on the CPU: all parts run, and report figures, bars and verdicts."""

import json
import math
import sys
import time
from pathlib import Path

import pytest
from rendered_once import rendered_once

from styleswap_core.checkpoints.native import load_generator
from styleswap_core.io.images import load_image

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu"


@pytest.fixture
def gpu_run(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    import gpu_run

    return gpu_run


def figures(value):
    if isinstance(value, dict):
        return [figure for entry in value.values() for figure in figures(entry)]
    if isinstance(value, list):
        return [figure for entry in value for figure in figures(entry)]
    return [value] if isinstance(value, (int, float)) else []


def test_all_parts_run_and_compare_their_figures_with_bars(gpu_run, tmp_path):
    model = tmp_path / "generator.safetensors"
    model.write_text("the present model")
    out = tmp_path / "results"
    with rendered_once():
        assert gpu_run.main(["--quick", "--device", "cpu", "--out", str(out), "--ship", str(model)]) == 0
    record = json.loads((out / "results.json").read_text())
    right, fast, trained = (record["parts"][name] for name in ("right", "fast", "model"))
    assert all(math.isfinite(figure) for figure in figures(record["parts"]))
    # The CPU agrees with itself.
    assert len(right["bars"]) >= 12 and all(bar["kept"] for bar in right["bars"])
    assert [bar["limit"] for bar in fast["bars"]] == [3000.0, 1000.0]
    assert all(bar["kept"] == (bar["value"] >= bar["limit"]) for bar in fast["bars"])
    forms = {row["form"]: row for row in fast["generator"]}
    assert forms["grouped"]["times_reference"] == 1.0
    assert {"unbaked", "baked-float32, channels-last", "baked-float32, graph"} < set(forms)
    assert all(row["difference"] < 1e-4 and row["share_of_floor"] > 0 for row in forms.values())
    assert fast["frames"][0]["faces_found"] == 1 and fast["training"][0]["rendered"] > 0
    # Trained for two steps, the model is worse than the present one, and therefore does not replace it.
    assert [stage["size"] for stage in trained["stages"]] == [16, 32]
    assert len(trained["bars"]) == 16 and not trained["ships"] and not trained["official"]
    assert model.read_text() == "the present model"
    generator, metadata = load_generator(out / "generator.safetensors")
    assert generator.config.size == 32 and metadata["training_steps"] == 2
    assert load_image(out / "sheet.jpg").shape[1] > 1000
    page = (out / "results.md").read_text()
    assert "## Right" in page and "## Fast" in page and "It does not ship." in page
    assert sum(path.stat().st_size for path in out.iterdir()) < gpu_run.LARGEST_RESULTS


def test_a_run_that_is_cut_short_gives_what_it_had(gpu_run, tmp_path, monkeypatch):
    def cut(device, share, quick, found):
        found.append({"name": "first", "value": 1.0, "relation": ">=", "limit": 0.5, "kept": True})
        yield
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu_run.right, "check", cut)
    with pytest.raises(KeyboardInterrupt):
        gpu_run.main(["--quick", "--device", "cpu", "--out", str(tmp_path)])
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["parts"]["right"]["bars"][0]["name"] == "first"
    assert "| first | 1 | >= 0.5 | kept |" in (tmp_path / "results.md").read_text()


def test_a_part_that_fails_does_not_cost_the_others(gpu_run, tmp_path, monkeypatch, capsys):
    def fail(*arguments):
        raise RuntimeError("no memory left")
        yield

    def measure(device, share, quick, found):
        found["bars"] = []
        yield

    monkeypatch.setattr(gpu_run.right, "check", fail)
    monkeypatch.setattr(gpu_run.fast, "measure", measure)
    words = ["--quick", "--device", "cpu", "--parts", "right", "fast", "--out", str(tmp_path)]
    assert gpu_run.main(words) == 1
    parts = json.loads((tmp_path / "results.json").read_text())["parts"]
    assert parts["right"]["failed"] == "RuntimeError: no memory left" and "failed" not in parts["fast"]


def test_shares_of_the_time(gpu_run, monkeypatch):
    from time_share import TimeShare

    now = [100.0]
    monkeypatch.setattr("time_share.time.monotonic", lambda: now[0])
    whole = TimeShare(100)
    weights = {"a": 0.2, "b": 0.3, "c": 0.5}
    assert whole.part(weights, "a").seconds == pytest.approx(20)
    now[0] += 4
    # What the first part did not use is shared by those after it.
    second = whole.part(weights, "b")
    assert second.seconds == pytest.approx(96 * 0.3 / 0.8)
    now[0] += 30
    assert second.allows([1.0, 5.0]) and not second.allows([7.0])
    assert whole.part(weights, "c").seconds == pytest.approx(66)


def test_a_call_that_takes_too_long_is_ended(gpu_run):
    from time_share import time_limit

    with pytest.raises(TimeoutError, match="more than 0 s"), time_limit(0.05):
        time.sleep(60)
    with time_limit(60):
        pass


def test_only_forms_that_win_everywhere_are_worth_it(gpu_run):
    from fast import worth

    def row(form, batch, rate):
        return {"preset": "released-256", "batch": batch, "form": form, "frames_per_second": rate}

    plain = [row("baked-float16", 1, 100.0), row("baked-float16", 16, 1000.0)]
    graph = [row("baked-float16, graph", 1, 300.0), row("baked-float16, graph", 16, 1250.0)]
    assert worth(plain + graph) == ["baked-float16, graph"]
    assert worth([*plain, graph[0], row("baked-float16, graph", 16, 1150.0)]) == []
    failed = {**row("baked-float16, compiled", 1, 0.0), "failed": "no compiler"}
    assert worth([*plain, failed]) == []


@pytest.mark.parametrize(
    ("change", "ships"),
    [({}, True), ({"face_psnr": 25.4}, False), ({"ssim": 0.8}, False), ({"outside_l1": 2.0}, False)],
)
def test_a_model_ships_only_if_it_is_better_in_every_row_and_reaches_the_goals(gpu_run, change, ships):
    from demo_model import shipping_bars

    from styleswap_core.metrics.bounds import SYNTHETIC_BOUNDS

    present = {key: 0.9 if bound.relation == ">=" else 1.0 for key, bound in SYNTHETIC_BOUNDS.items()}
    better = {key: 26.0 if bound.relation == ">=" else 0.5 for key, bound in SYNTHETIC_BOUNDS.items()}
    bars = shipping_bars({**better, **change}, present)
    assert all(bar.kept for bar in bars) == ships
    assert not all(bar.kept for bar in shipping_bars(better, {})), "without figures nothing is better"


def test_columns_in_the_ring_come_in_twos_and_are_replaced(gpu_run):
    import torch
    from rendered_source import RenderedSource, RingSettings

    from styleswap_core.faces.arcface import TorchRecognizer
    from styleswap_core.training.run_setup import DEMO_RECOGNIZER

    settings = RingSettings(size=16, batch=4, columns=4, members=2, chunk=4, reuse=1.0)
    source = RenderedSource(settings, TorchRecognizer(DEMO_RECOGNIZER), torch.device("cpu"))
    assert source.rendered == 8
    first = source._images.clone()
    batch = source.batch(0, source_crop=True)
    assert source.rendered == 12 and batch.target.shape == (4, 3, 16, 16)
    changed = (source._images != first).flatten(1).any(1).tolist()
    assert changed == [True, True, False, False]
    assert torch.equal(batch.target[batch.same_identity], batch.truth[batch.same_identity])
    assert torch.allclose(batch.id_embedding.norm(dim=1), torch.ones(4), atol=1e-5)
    # Another photograph of the same person is more alike than one of the other person, on average.
    own, other = source._embeddings[0], source._embeddings[1]
    assert float((own * other).sum(1).mean()) > float((own * other.flip(0)).sum(1).mean())


def test_configurations_of_the_stages_are_valid(gpu_run):
    from demo_model import STAGES, stage_config

    from styleswap_core.faces.arcface import TorchRecognizer
    from styleswap_core.training.run_setup import DEMO_RECOGNIZER
    from styleswap_core.training.training_state import generator_config

    twin = TorchRecognizer(DEMO_RECOGNIZER)
    sizes = [generator_config(stage_config(stage, twin)).size for stage in STAGES]
    assert sizes == [64, 128, 256] and sum(stage.weight for stage in STAGES) == pytest.approx(1.0)
