"""Content Credentials of saved images. Does not import ComfyUI.

Certificate and key come from environment variables of ComfyUI only: the values of widgets are saved in workflows and
in the metadata of every image.
"""

from pathlib import Path

from ..styleswap_core.credentials.signing import ContentSigner
from ..styleswap_core.credentials.signing_key import CERTIFICATE_VARIABLE, KEY_VARIABLE, find_signing_key
from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.identities.provenance import SwapFacts
from ..styleswap_core.io.files import Finish

AUTOMATIC, ON, OFF = "automatic", "on", "off"


def image_signing(credentials: str, swap_info: str | None, target: Path | None, identity_name: str) -> Finish | None:
    """What signs saved images; None if they are not signed.

    Args:
        credentials: AUTOMATIC signs if a certificate is set up, ON demands one, OFF does not sign.
        swap_info: Text of Swap Face; without it there is no swap to state.
        target: File of the target, or None.
        identity_name: What to call the source person; empty to state only the hash of the identity.

    Raises:
        StyleSwapError: ON without a certificate or without `swap_info`, a text that is not of Swap Face, or a
            certificate that cannot be used.
    """
    if credentials == OFF or (credentials == AUTOMATIC and not swap_info):
        return None
    if not swap_info:
        raise StyleSwapError(
            "expected swap_info to state what was swapped; connect that of Swap Face, or set credentials to off"
        )
    key = find_signing_key()
    if key is None:
        if credentials == AUTOMATIC:
            return None
        raise StyleSwapError(
            f"no certificate to sign with; start ComfyUI with {CERTIFICATE_VARIABLE} and {KEY_VARIABLE} set to files"
            " with a certificate and its key (styleswap credentials create makes them), or set credentials to automatic"
        )
    facts = SwapFacts.parse(swap_info)
    if facts is None:
        raise StyleSwapError(
            f"expected the text swap_info of Swap Face, got {swap_info[:80]!r}; connect it directly, or set credentials"
            " to off"
        )
    return ContentSigner(key, identity_name.strip()).finish(facts, target)
