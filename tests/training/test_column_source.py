"""Batches from a small folder of rendered columns."""

import numpy as np
import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.faces.alignment import estimate_similarity, recognizer_crop, template_points
from styleswap_core.synthetic.columns import ColumnPlan, ColumnSet, build_columns
from styleswap_core.training.column_source import ColumnSource, column_embeddings

SIZE = 32


def align(points: torch.Tensor) -> torch.Tensor:
    return estimate_similarity(points, template_points("ffhq", SIZE))


@pytest.fixture(scope="module")
def columns(tmp_path_factory) -> ColumnSet:
    return build_columns(
        tmp_path_factory.mktemp("columns"), ColumnPlan(columns=12, members=3, size=SIZE, identities=9), align
    )


@pytest.fixture(scope="module")
def embeddings(columns, recognizer) -> np.ndarray:
    return column_embeddings(columns, recognizer, recognizer.sha256, torch.device("cpu"))


def source(columns, embeddings, **changes) -> ColumnSource:
    values = {"size": SIZE, "batch": 64, "seed": 3, "same_identity_share": 0.25, "owner_share": 0.5, "exact_swap": True}
    return ColumnSource(columns, embeddings, **{**values, **changes})


def test_batches_are_a_function_of_seed_and_step(columns, embeddings):
    one, other = source(columns, embeddings), source(columns, embeddings)
    other.batch(7)
    for name in ("target", "id_embedding", "truth", "face_mask", "same_identity", "points"):
        assert torch.equal(getattr(one.batch(5), name), getattr(other.batch(5), name))
    assert not torch.equal(one.batch(5).target, one.batch(6).target)
    assert not torch.equal(one.batch(5).target, source(columns, embeddings, seed=4).batch(5).target)


def test_pairs_and_shares(columns, embeddings):
    data = source(columns, embeddings, batch=2000)
    draw = data.draw(0)
    seeds = columns.identity_seeds.reshape(-1)

    def column(index):
        return index // 3

    assert (column(draw.target) == column(draw.truth)).all()
    assert (seeds[draw.source_photo] == seeds[draw.truth]).all()
    assert (column(draw.source_photo) != column(draw.truth)).all(), "the embedding comes from another photo"
    assert (seeds[draw.target_photo] == seeds[draw.target]).all() and (draw.target_photo != draw.target).all()
    same = seeds[draw.target] == seeds[draw.truth]
    assert same.mean() == pytest.approx(0.25, abs=0.04)
    assert ((draw.target % 3) == 0).mean() == pytest.approx(0.5 + 0.5 / 3, abs=0.04)


def test_pictures_masks_and_embeddings(columns, embeddings, recognizer):
    data = source(columns, embeddings, batch=16)
    batch, draw = data.batch(2, source_crop=True), data.draw(2)
    pictures, masks = columns.images.reshape(-1, 3, SIZE, SIZE), columns.masks.reshape(-1, SIZE, SIZE)
    assert torch.allclose((batch.target + 1) * 127.5, torch.from_numpy(pictures[draw.target]).float(), atol=1e-3)
    union = np.maximum(masks[draw.target], masks[draw.truth])
    assert torch.allclose(batch.face_mask[:, 0] * 255, torch.from_numpy(union).float(), atol=1e-3)
    assert torch.equal(batch.truth[batch.same_identity], batch.target[batch.same_identity])
    # The embedding is that of the photo shown.
    points = torch.from_numpy(np.asarray(columns.points).reshape(-1, 5, 2)[draw.source_photo])
    expected = torch.nn.functional.normalize(recognizer(recognizer_crop(batch.source_crop, points)), dim=1)
    assert torch.allclose(batch.id_embedding, expected, atol=1e-5)


def test_withheld_exact_swap(columns, embeddings):
    data = source(columns, embeddings, exact_swap=False, batch=16)
    batch, draw = data.batch(0), data.draw(0)
    assert torch.equal(batch.truth, batch.target) and torch.equal(batch.truth_known, batch.same_identity)
    masks = columns.masks.reshape(-1, SIZE, SIZE)
    assert torch.allclose(batch.face_mask[:, 0] * 255, torch.from_numpy(masks[draw.target]).float(), atol=1e-3)


def test_smaller_crops_are_averages_with_scaled_landmarks(columns, embeddings):
    full, half = source(columns, embeddings).batch(1), source(columns, embeddings, size=SIZE // 2).batch(1)
    assert torch.allclose(half.target, torch.nn.functional.avg_pool2d(full.target, 2), atol=1e-5)
    assert torch.allclose(half.points, full.points / 2)
    with pytest.raises(StyleSwapError, match="multiple of 48"):
        source(columns, embeddings, size=48)


def test_resident_pictures_give_the_same_batches(columns, embeddings):
    mapped = source(columns, embeddings).batch(4)
    resident = source(columns, embeddings, device=torch.device("cpu")).batch(4)
    assert torch.equal(mapped.target, resident.target) and torch.equal(mapped.face_mask, resident.face_mask)


def test_embeddings_are_stored_with_the_columns(columns, embeddings):
    class Never(torch.nn.Module):
        def forward(self, crop):
            raise AssertionError("computed twice")

    (stored,) = columns.folder.glob("embeddings_*.npy")
    sha256 = stored.stem.removeprefix("embeddings_")
    again = column_embeddings(columns, Never(), sha256, torch.device("cpu"))
    assert np.array_equal(again, embeddings)
    assert np.linalg.norm(embeddings, axis=2) == pytest.approx(1.0, abs=1e-5)


def test_one_picture_per_identity_is_refused(columns, embeddings, tmp_path):
    few = build_columns(tmp_path / "few", ColumnPlan(columns=1, members=3, size=SIZE, identities=9), align)
    with pytest.raises(StyleSwapError, match="second picture"):
        source(few, embeddings[:1])
