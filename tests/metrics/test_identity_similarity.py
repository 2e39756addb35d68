"""Cosine similarity and retrieval of given embeddings."""

import pytest
import torch

from styleswap_core.metrics.identity_similarity import cosine, retrieval_hits, round_to_8_bits


def test_cosine_ignores_length():
    first = torch.tensor([[3.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    second = torch.tensor([[5.0, 0.0], [1.0, 0.0], [0.0, -1.0]])
    assert cosine(first, second).tolist() == pytest.approx([1.0, 2**-0.5, -1.0])


def test_retrieval_goes_by_angle():
    gallery = torch.tensor([[1.0, 0.0], [0.0, 1.0], [10.0, 10.0]])
    probes = torch.tensor([[2.0, 0.1], [0.2, 5.0], [1.0, 0.9], [1.0, 0.1]])
    # The third row of the gallery is the longest, but only the third probe has its direction.
    assert retrieval_hits(probes, gallery, torch.tensor([0, 1, 2, 1])).tolist() == [1.0, 1.0, 1.0, 0.0]


def test_round_to_8_bits_rounds_to_levels_and_clips():
    levels = (round_to_8_bits(torch.tensor([-1.2, 0.0, 0.004, 0.7, 1.3]).expand(1, 3, 1, 5)) + 1) * 127.5
    assert levels[0, 0, 0].tolist() == pytest.approx([0, 128, 128, 217, 255], abs=1e-3)
