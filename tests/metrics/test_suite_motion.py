"""The motion suite with a toy swapper: its rows, and known figures."""

import numpy as np
import pytest
import torch
from tiny_networks import write_networks
from toy_swapper import Painter

from styleswap_core.faces.arcface import TorchRecognizer
from styleswap_core.faces.detected import DetectedFace
from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.metrics.bounds import MOTION_BOUNDS
from styleswap_core.metrics.motion_table import motion_table
from styleswap_core.metrics.moving_cases import draw_moving_cases
from styleswap_core.metrics.suite_motion import COLUMNS, MotionEvaluators, MotionSuite, evaluate_motion
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.network import SwappedCrops
from styleswap_core.synthetic.parameters import Identities
from styleswap_core.synthetic.world import five_points

SUITE = MotionSuite(identities=1, seed=3, size=64, kinds=("still",))


class Stripes(Painter):
    """Paints stripes, which show whether the crop moves."""

    def swap_crops(self, crops, identities, own_embeddings=None, strength=1.0):
        stripes = (torch.arange(crops.shape[-1]) % 8 / 4 - 1).expand_as(crops)
        return SwappedCrops(stripes, torch.ones_like(crops[:, :1]))


class NoisyFinder:
    """Finds the face of the still clip, with noise."""

    recognizer = RecognizerId("toy")

    def __init__(self):
        clip = draw_moving_cases(1, 3, 64, SUITE.kinds)[0].clip
        self.points = five_points(Identities.from_seeds(clip.targets), clip.attributes(0)[0], 64)[0].numpy()
        self.random = np.random.default_rng(0)

    def detect(self, picture, order="largest", embed=True, quick=False):
        points = (self.points + self.random.normal(0, 0.5, (5, 2))).astype(np.float32)
        center, reach = self.points.mean(0), 18
        box = np.float32([*(center - reach), *(center + reach)])
        return [DetectedFace(0, 0.9, box, points, np.eye(1, 8, dtype=np.float32)[0])]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    files = write_networks(tmp_path_factory.mktemp("networks"))
    recognizer, judge = (TorchRecognizer(path) for path in (files["--pack"] / "recognizer.onnx", files["--judge"]))
    torch.manual_seed(0)
    return evaluate_motion(MotionEvaluators(Swapper(Stripes(), NoisyFinder()), recognizer, judge), SUITE)


def test_tracking_and_smoothing_steady_the_points(evaluation):
    figures = evaluation.figures
    assert figures["swapped_share"] == figures["swapped_share_untracked"] == 1.0
    assert figures["jitter_ratio"] < figures["jitter_ratio_unsmoothed"] < figures["jitter_ratio_untracked"] == 1.0
    assert figures["jitter_ratio"] < 0.2
    assert figures["flicker_ratio_ceiling"] == 1.0 and figures["flicker_ratio_floor"] == pytest.approx(1, abs=0.1)
    assert figures["error_flicker_untracked"] > 3 * figures["error_flicker"]
    (clip,) = evaluation.clips
    assert clip["kind"] == "still" and clip["tracks"][0]["frames"] == 24


def test_table_has_a_column_for_each_way(evaluation):
    lines = motion_table({**evaluation.figures, "lag_frames": 0.7}).splitlines()
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 4}
    rows = {line.split("`")[1]: line for line in lines[2:]}
    assert rows["jitter_ratio"].endswith("| <= 0.333 | yes |") and rows["lag_frames"].endswith("**no** |")
    assert "identity_switches" not in rows and set(MOTION_BOUNDS) - set(rows) == {"identity_switches"}
