"""The networks can be exported with torch.export and give the same output."""

import pytest
import torch
import torch.nn.functional as F

from styleswap_core.model import Discriminator, Generator, preset


@pytest.mark.parametrize(("masking", "accumulation"), [("block", "logits"), ("mean", "sigmoid")])
def test_exported_generator_equals_the_generator_for_any_batch_size(masking, accumulation):
    config = preset(
        "tiny",
        size=16,
        channels={4: 8, 8: 8, 16: 8},
        attribute_masking=masking,
        mask_accumulation=accumulation,
        attribute_injection="every_conv",
    )
    generator = Generator(config).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    crop, identity = torch.rand(2, 3, 16, 16), F.normalize(torch.randn(2, 512))
    program = torch.export.export(generator, (crop, identity), dynamic_shapes=({0: batch}, {0: batch}))
    crop, identity = torch.rand(5, 3, 16, 16), F.normalize(torch.randn(5, 512))
    for ours, theirs in zip(generator(crop, identity), program.module()(crop, identity), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_exported_discriminator():
    discriminator = Discriminator(preset("tiny")).eval()
    image = torch.randn(4, 3, 32, 32)
    program = torch.export.export(discriminator, (image,))
    found, expected = program.module()(image), discriminator(image)
    torch.testing.assert_close(found[0], expected.logits)
