"""Training batches from a prepared set, and `styleswap train` on it."""

import dataclasses
import threading

import numpy as np
import pytest
import torch

from styleswap_core.checkpoints.native import load_generator
from styleswap_core.cli import main
from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.preparation.prepared_set import PreparedSet, ShardReader
from styleswap_core.training.shard_source import ShardSource

SIZE = 64


@pytest.fixture(scope="module")
def prepared(prepared_folder):
    return PreparedSet.open(prepared_folder)


def source(prepared, **changes):
    values = {
        "recognizer": RecognizerId("arcface_demo", prepared.manifest["recognizer_sha256"]),
        "template": "ffhq",
        "size": SIZE,
        "batch": 16,
        "seed": 3,
        "same_identity_share": 0.25,
    }
    return ShardSource(prepared, **{**values, **changes})


def test_a_batch_depends_only_on_seed_and_step(prepared):
    one, other = source(prepared), source(prepared)
    other.batch(7)
    for field in dataclasses.fields(one.batch(5)):
        a, b = (
            getattr(one.batch(5, source_crop=True), field.name),
            getattr(other.batch(5, source_crop=True), field.name),
        )
        assert a is b is None or torch.equal(a, b), field.name
    assert not torch.equal(one.batch(5).target, one.batch(6).target)
    assert not torch.equal(one.batch(5).target, source(prepared, seed=4).batch(5).target)


def test_no_thread_outlives_a_batch(prepared):
    before = set(threading.enumerate())
    data = source(prepared)
    data.batch(0)
    assert set(threading.enumerate()) <= before


def test_a_batch_contains_the_data_of_the_set(prepared):
    data, reader = source(prepared), ShardReader(prepared)
    batch, draw = data.batch(2, source_crop=True), data.draw(2)
    assert (
        torch.equal(batch.truth_known, batch.same_identity)
        and batch.target.shape == (16, 3, SIZE, SIZE)
        and batch.face_mask.shape == (16, 1, SIZE, SIZE)
    )
    for place, (target, photo) in enumerate(zip(draw.target, draw.source_photo, strict=True)):
        assert torch.allclose(
            (batch.target[place].permute(1, 2, 0) + 1) * 127.5, _float(reader.image(target)), atol=1e-3
        )
        assert torch.allclose(
            (batch.source_crop[place].permute(1, 2, 0) + 1) * 127.5, _float(reader.image(photo)), atol=1e-3
        )
        assert torch.allclose(batch.face_mask[place, 0] * 255, _float(reader.mask(target)), atol=1e-3)
        assert np.array_equal(batch.id_embedding[place].numpy(), prepared.embeddings[photo])
        assert np.array_equal(batch.points[place].numpy(), prepared.rows["points"][target])
        assert bool(batch.same_identity[place]) == (prepared.people[target] == prepared.people[photo])


def _float(picture):
    return torch.from_numpy(picture).float()


def test_pairs_are_drawn_with_the_requested_shares(prepared):
    draw = source(prepared, batch=20_000).draw(1)
    people = np.asarray(prepared.people)
    same = people[draw.target] == people[draw.source_photo]
    assert same.mean() == pytest.approx(0.25, abs=0.02)
    # A different picture of the person; each has three here.
    assert (draw.target != draw.source_photo).all()
    for drawn in (draw.target, draw.source_photo, draw.source_photo[same], draw.source_photo[~same]):
        shares = np.bincount(drawn, minlength=len(people)) / len(drawn)
        assert shares == pytest.approx(1 / len(people), abs=0.015)


def test_the_only_picture_of_a_person_is_its_own_source(prepared):
    people = np.array([0, 1, 1, *range(2, 11)], dtype=np.int32)
    draw = source(dataclasses.replace(prepared, people=people), batch=5000, same_identity_share=0.5).draw(0)
    same = people[draw.target] == people[draw.source_photo]
    assert same.mean() == pytest.approx(0.5, abs=0.03)
    alone = same & (draw.target != 1) & (draw.target != 2)
    assert (draw.target[alone] == draw.source_photo[alone]).all()
    of_two = same & ((draw.target == 1) | (draw.target == 2))
    assert of_two.any() and (draw.target[of_two] + draw.source_photo[of_two] == 3).all()


def test_smaller_crops_are_averages_with_scaled_points(prepared):
    full, half = source(prepared).batch(1), source(prepared, size=SIZE // 2).batch(1)
    assert torch.allclose(half.target, torch.nn.functional.avg_pool2d(full.target, 2), atol=1e-5)
    assert torch.allclose(half.face_mask, torch.nn.functional.avg_pool2d(full.face_mask, 2), atol=1e-5)
    assert torch.allclose(half.points, full.points / 2)


def test_replicas_share_a_batch(prepared):
    whole = source(prepared).batch(9)
    parts = [source(prepared, rows=rows).batch(9) for rows in (slice(0, 8), slice(8, 16))]
    for name in ("target", "id_embedding", "face_mask", "same_identity", "points"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recognizer": RecognizerId("arcface_demo", "0" * 64)}, "recognizer arcface_demo"),
        ({"template": "gpen"}, "--template gpen"),
        ({"size": 48}, "multiple of 48"),
    ],
)
def test_sets_that_do_not_fit_are_refused(prepared, change, message):
    with pytest.raises(StyleSwapError, match=message):
        source(prepared, **change)


def test_a_single_person_is_refused(prepared):
    with pytest.raises(StyleSwapError, match="at least 2 people"):
        source(dataclasses.replace(prepared, people=np.zeros(len(prepared), np.int32)))


def test_train_command_takes_a_prepared_folder(prepared_folder, tmp_path, capsys):
    words = ["train", "--out", str(tmp_path / "run"), "--device", "cpu"]
    settings = {
        "model": "tiny",
        "data": prepared_folder,
        "steps": 2,
        "batch": 2,
        "precision": "fp32",
        "log_every": 1,
        "sample_images": 2,
        "perceptual_every": 2,
        "weights.adversarial": 0,
    }
    words += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    assert main([*words, "--set", f"validation_data={prepared_folder}"]) == 2
    assert "exact swaps are known" in capsys.readouterr().err
    assert main([*words, "--resident"]) == 2
    assert "leave it out" in capsys.readouterr().err
    assert main(words) == 0
    generator, metadata = load_generator(tmp_path / "run" / "generator_ema.safetensors")
    assert generator.config.size == 32 and metadata["training_steps"] == 2
    # The demo pack was trained on rendered faces, hence the domain of models trained with it.
    assert metadata["domain"] == "synthetic"
