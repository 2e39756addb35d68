"""Corrupted files of every kind that the product reads; `make fuzz MINUTES=30` tries more of them."""

import json
import os
from pathlib import Path

import pytest
from fuzz_trial import FAULT, run_trial
from fuzzed_kinds import KINDS
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

SEEDS = json.loads(Path(__file__).with_name("seeds.json").read_text(encoding="utf-8"))
TRIALS = 100

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the limit of time needs a signal that Windows lacks")


@pytest.mark.parametrize("name", KINDS)
def test_bent_files_are_clean_errors_or_right_results(name):
    @settings(max_examples=TRIALS, derandomize=True, deadline=None, database=None, suppress_health_check=HealthCheck)
    @given(st.integers(0, 2**32))
    def check(seed):
        outcome = run_trial(name, seed)
        assert outcome.verdict != FAULT, f"{name}, seed {seed}: {outcome.detail}"

    # Those that were faults once.
    for seed in SEEDS.get(name, ()):
        check = example(seed)(check)
    check()
