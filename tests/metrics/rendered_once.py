"""Rendered pictures are kept: tests of the evaluation measure the same few people again and again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

import pytest
from torch import Tensor

from styleswap_core.inversion import guides
from styleswap_core.metrics import moving_cases, synthetic_cases
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import Rendered, render

_KEPT: dict[tuple, Rendered] = {}


@contextmanager
def rendered_once() -> Iterator[None]:
    """Within this context, suites and inversions render no picture twice in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (guides, moving_cases, synthetic_cases):
            patch.setattr(module, "render", render_once)
        yield


def render_once(*arguments: object, **options: object) -> Rendered:
    """What `render` returns, which is computed at the first call with these arguments."""
    key = tuple(map(_key, (*arguments, *sorted(options.items()))))
    if key not in _KEPT:
        _KEPT[key] = render(*arguments, **options)
    return Rendered(**{field.name: getattr(_KEPT[key], field.name).clone() for field in fields(Rendered)})


def _key(value: object) -> object:
    if isinstance(value, Identities):
        return _key(value.values)
    if isinstance(value, Attributes):
        return _key((*value.fields.items(), value.noise_seeds))
    if isinstance(value, Tensor):
        return value.cpu().numpy().tobytes()
    return tuple(map(_key, value)) if isinstance(value, tuple) else value
