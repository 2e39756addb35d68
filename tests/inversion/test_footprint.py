"""The memory estimate of an inversion, compared with what it takes."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from styleswap_core.faces.alignment import template_points
from styleswap_core.inversion import AlignedFaces, InversionSettings, InvertibleGenerator, bytes_needed, optimize
from styleswap_core.model import Generator, GeneratorConfig

SIZE, GUIDES = 64, 6


def _peak_bytes(run):
    """Peak of the memory allocated by torch while `run` runs."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        run()
    events = [
        (event.start_ns(), event.nbytes())
        for event in record.profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    allocated = peak = 0
    for _, size in sorted(events, key=lambda event: event[0]):
        allocated += size
        peak = max(peak, allocated)
    return peak


def _faces(count):
    crops = torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(count)) * 2 - 1
    return AlignedFaces(crops, template_points("ffhq", SIZE).expand(count, 5, 2).contiguous())


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),
    reason="without oneDNN, convolutions allocate their workspace with torch's allocator, which the estimate excludes",
)
@pytest.mark.parametrize("injection", ["per_resolution", "every_conv"])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_estimate_exceeds_the_peak_moderately(recognizer, person, injection, precision):
    channels = {4: 32, 8: 32, 16: 32, 32: 32, 64: 32}
    config = GeneratorConfig(size=SIZE, w_dim=16, mapping_layers=1, channels=channels, attribute_injection=injection)
    network = InvertibleGenerator(Generator(config).eval())
    settings = InversionSettings(steps=2, check_every=1, precision=precision)
    needed = bytes_needed(network, recognizer, settings, 1, GUIDES)
    taken = _peak_bytes(lambda: optimize(network, recognizer, _faces(1), person, _faces(GUIDES), settings))
    assert taken < needed < 1.7 * taken


def test_more_faces_need_more_memory_and_low_memory_needs_less(recognizer, generator):
    default, low = InversionSettings(), InversionSettings(low_memory=True)

    def needed(settings, *pictures):
        return bytes_needed(InvertibleGenerator(generator), recognizer, settings, *pictures)

    assert (
        needed(default, 2, 20)
        > needed(default, 1, 20)
        > needed(default, 1, 2)
        > needed(low, 1, 2)
        == needed(low, 9, 20)
    )
    assert needed(default, 1, 0) == needed(default, 1, default.rendered_guides) < needed(default, 1, 1)
