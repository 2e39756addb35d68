"""Choosing a device by name, and the number of threads."""

import pytest
import torch

from styleswap_core.devices import choose_device, one_thread
from styleswap_core.errors import StyleSwapError


def test_named_and_default_device():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["abacus", "", "cpu:x", "cuda:99"])
def test_a_device_that_is_not_there(name):
    with pytest.raises(StyleSwapError, match="expected a device of this machine"):
        choose_device(name)


def test_threads_are_given_back_whatever_happens():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), one_thread():
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == before
