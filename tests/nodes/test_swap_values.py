"""What the widgets of the swapping nodes mean to the core."""

from dataclasses import fields

import numpy as np
import pytest
import torch

REQUIRED = {
    "faces": "all",
    "index": "0,2",
    "order": "left-right",
    "likeness": 0.4,
    "strength": 0.9,
    "mask_grow": 2,
    "mask_feather": 1.5,
    "batch_size": 3,
}


@pytest.fixture(scope="module")
def values(pack):
    return pack("nodes.swap_values")


class _Analyzer:
    def __init__(self, recognizer):
        self.recognizer = recognizer


def test_a_prompt_of_the_first_release_means_the_defaults_of_the_core(values, pack):
    found = values.SwapValues(**REQUIRED)
    core = pack("styleswap_core.pipeline.swap_options").SwapOptions
    assert found.options == core(strength=0.9, mask_grow=2, mask_feather=1.5, batch_size=3)
    assert found.tracking_options is None
    choice = found.choice(_Analyzer(None))
    assert (choice.rule, choice.order, choice.gender, choice.ages) == ("all", "left-right", "any", None)


def test_tracking_has_the_defaults_of_the_core(values, pack):
    core = pack("styleswap_core.tracking.tracking_options").TrackingOptions
    assert values.SwapValues(**REQUIRED, tracking=True).tracking_options == core()
    found = values.SwapValues(**REQUIRED, tracking=True, detection_interval=2, smoothing=1.0, bridge=0)
    assert found.tracking_options == core(2, 1.0, 0)


def test_every_option_of_a_swap_is_set(values):
    widgets = {"resolution": "2x", "mask_padding": 0.1, "mask_edge": 0.2, "doubtful": "swap"}
    options = values.SwapValues(**REQUIRED, **widgets).options
    defaults = type(options)()
    assert all(getattr(options, one.name) != getattr(defaults, one.name) for one in fields(options))
    assert (options.resolution, options.swap_doubtful) == (2, True)


def test_choice_by_index_keeps_order_gender_and_ages(values):
    widgets = REQUIRED | {"faces": "by index", "gender": "female", "min_age": 20, "max_age": 60}
    choice = values.SwapValues(**widgets).choice(_Analyzer(None))
    assert (choice.indices, choice.order, choice.gender, choice.ages) == ((0, 2), "left-right", "female", (20, 60))
    assert not choice.in_turn and values.SwapValues(**widgets, in_turn=True).choice(_Analyzer(None)).in_turn


@pytest.mark.parametrize("rule", ["by likeness", "everyone but"])
def test_choices_with_references_take_them(values, pack, rule):
    recognizer = pack("styleswap_core.faces.recognizer_id").RecognizerId("a", "0" * 64)
    identity = pack("styleswap_core.identities.identity").Identity(torch.arange(512.0), recognizer)
    found = values.SwapValues(**REQUIRED | {"faces": rule})
    choice = found.choice(_Analyzer(recognizer), [identity, identity])
    assert (choice.rule, choice.likeness) == (rule, 0.4)
    assert len(choice.references) == 2 and np.allclose(choice.references[0], identity.id_embedding)
    with pytest.raises(pack("styleswap_core.errors").StyleSwapError, match="reference"):
        found.choice(_Analyzer(recognizer))


def test_only_an_index_that_is_used_is_checked(values):
    assert values.index_problem("by index", "0,2") is None
    assert values.index_problem("largest", "none") is None
    assert values.index_problem("by index", None) is None
    assert "'none'" in values.index_problem("by index", "none")
