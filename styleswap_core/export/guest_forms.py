"""The forms of other programs' networks in which a generator can be written, and which generators fit them."""

from typing import TYPE_CHECKING

from ..errors import StyleSwapError

if TYPE_CHECKING:
    from ..model import GeneratorConfig

GUEST_FORMS = ("inswapper", "hyperswap")
GUEST_TEMPLATE = "arcface_128"
"""Crop template that other programs cut for both forms."""


def check_guest_form(config: "GeneratorConfig", form: str, template_ok: bool = False) -> None:
    """Check that a generator can be written in a form.

    Args:
        config: The generator's configuration.
        form: One of `GUEST_FORMS`.
        template_ok: Whether its crop template may differ from `GUEST_TEMPLATE`.

    Raises:
        StyleSwapError: The form is unknown, the template differs, the generator takes embeddings of another length, or
            it has no mask where the form has one.
    """
    if form not in GUEST_FORMS:
        raise StyleSwapError(f"expected the form {' or '.join(GUEST_FORMS)}, got {form!r}")
    if config.template != GUEST_TEMPLATE and not template_ok:
        raise StyleSwapError(
            f"programs that take {form} files cut crops of the template {GUEST_TEMPLATE}, but this model was trained "
            f"on {config.template}; train one with --set model_overrides.template={GUEST_TEMPLATE}, or write it "
            "all the same with --template-ok"
        )
    if form == "inswapper" and config.style_dim != 512:
        raise StyleSwapError(
            f"expected a model that takes embeddings of 512 numbers for the form inswapper, this one takes "
            f"{config.style_dim}; use the form hyperswap"
        )
    if form == "hyperswap" and not config.mask_branch:
        raise StyleSwapError("the form hyperswap needs a mask, which this model does not predict; use inswapper")
