"""FrozenSynthesis against SynthesisNetwork: outputs and gradients."""

import pytest
import torch

from styleswap_core.errors import StyleSwapError
from styleswap_core.model import Generator, GeneratorConfig
from styleswap_core.model.inference.frozen import FrozenSynthesis

SMALL = {"size": 16, "style_dim": 8, "w_dim": 8, "mapping_layers": 1, "channels": {4: 6, 8: 6, 16: 4}}
KINDS = [
    {
        "attribute_injection": injection,
        "attribute_masking": masking,
        "mask_accumulation": accumulation,
        "masking_start": 8,
    }
    for injection in ("every_conv", "per_resolution")
    for masking, accumulation in (("none", "logits"), ("block", "logits"), ("mean", "sigmoid"))
]


def make(**kind):
    """A generator without parameters at their initial zero, w_plus and crops."""
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(**SMALL | kind)).eval().requires_grad_(False)
    for parameter in generator.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    config = generator.config
    w_plus = torch.randn(config.num_ws, config.w_dim)
    crops = torch.rand(3, 3, config.size, config.size) * 2 - 1
    return generator, w_plus, crops


def run_both(generator, w_plus, crops, dtype, checkpointing=False):
    """Yield (output, gradient of w_plus) of the network itself and of its frozen form."""
    weights = [
        torch.randn_like(part)
        for part in generator.synthesis(w_plus.expand(3, -1, -1), generator.encode(crops), crops)[:3]
    ]
    for run in (
        lambda w: generator.synthesis(w.expand(3, -1, -1), generator.encode(crops), crops),
        lambda w: FrozenSynthesis(generator.synthesis, dtype, checkpointing)(w, generator.encode(crops), crops),
    ):
        w = w_plus.clone().requires_grad_(True)
        output = run(w)
        sum((part * weight).sum() for part, weight in zip(output[:3], weights, strict=True)).backward()
        yield output, w.grad


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", [*KINDS, {"mask_branch": False, "attribute_masking": "none"}, {"rgb_bound": "tanh"}])
def test_outputs_and_gradients_equal_those_of_the_network(kind, checkpointing):
    (usual, usual_gradient), (frozen, gradient) = run_both(*make(**kind), torch.float32, checkpointing)
    for expected, part in zip(usual[:3], frozen[:3], strict=True):
        torch.testing.assert_close(part, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gradient, usual_gradient, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
def test_lower_precision_differs_by_rounding_only(dtype, tolerance):
    (usual, usual_gradient), (frozen, gradient) = run_both(*make(), dtype)
    assert frozen.image.dtype == torch.float32 and gradient.dtype == torch.float32
    assert (frozen.image - usual.image).abs().max() < tolerance * usual.image.abs().max()
    assert (gradient - usual_gradient).norm() < tolerance * usual_gradient.norm()


def test_zero_styles_have_finite_gradients():
    generator, w_plus, crops = make()
    for block in generator.synthesis.blocks.values():
        block.convs[-1].conv.modulation.weight[0] = 0.0
        block.convs[-1].conv.modulation.bias[0] = 0.0
    (_, usual), (_, gradient) = run_both(generator, w_plus, crops, torch.float32)
    assert torch.isfinite(gradient).all()
    torch.testing.assert_close(gradient, usual, atol=1e-3, rtol=1e-3)


def test_only_w_plus_gets_a_gradient():
    generator, w_plus, crops = make()
    generator.requires_grad_(True)
    attributes = [maps.detach() for maps in generator.encode(crops)]
    FrozenSynthesis(generator.synthesis)(w_plus.requires_grad_(True), attributes, crops).image.sum().backward()
    assert w_plus.grad is not None and all(parameter.grad is None for parameter in generator.parameters())


def test_several_identities_are_refused():
    generator, w_plus, crops = make()
    with pytest.raises(StyleSwapError, match="one identity"):
        FrozenSynthesis(generator.synthesis)(w_plus[None], generator.encode(crops), crops)
