"""Memory that an inversion takes on its device, for callers that have to free memory before it starts."""

from ..faces.arcface import TorchRecognizer
from .inversion_settings import InversionSettings
from .invertible import InvertibleNetwork

# For small tensors, and for memory that an allocator leaves unused between its blocks.
_MARGIN = 1.1


def bytes_needed(
    network: InvertibleNetwork,
    recognizer: TorchRecognizer,
    settings: InversionSettings,
    sources: int,
    guides: int,
) -> int:
    """Upper estimate of the peak memory of `invert` in bytes, in a guided step, without the two networks.

    Derived from what `Objective` and the network keep; a test compares it with the allocator's record. It exceeds the
    peak by a factor of 1.25 with the demo model in float32, 1.18 in bfloat16, and 1.09 with the layers of released-256
    in bfloat16. Savings by gradient checkpointing are not counted.

    Args:
        network: The network to invert for, on the device where the inversion runs.
        recognizer: The recognizer that drives it.
        settings: How the inversion runs.
        sources: Number of source pictures.
        guides: Number of guide pictures that the caller gives.
    """
    element_bytes = network.precision(settings).dtype.itemsize
    micro_batch = network.batch_size(1 if settings.low_memory else settings.guide_batch)
    kept = network.footprint()
    per_face = kept.per_face + settings.views * recognizer.map_elements
    # float32 per view: a copy of the picture, its sampling coordinates (2 channels), and three states of the crop.
    per_view = 3 * network.size**2 + (2 + 3 * 3) * recognizer.input_size**2
    needed = element_bytes * (micro_batch * per_face + kept.fixed) + 4 * micro_batch * settings.views * per_view
    if not settings.low_memory:
        faces = sources + settings.guides_wanted(guides)
        # Per face, the aligned crop and the swap by the plain code are float32.
        needed += faces * (element_bytes * kept.prepared + 4 * 2 * 3 * network.size**2)
    return int(_MARGIN * needed)
