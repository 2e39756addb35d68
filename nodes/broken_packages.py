"""Errors of packages that do not load, in the words of `styleswap doctor`."""

from functools import wraps
from typing import Any

from ..styleswap_core.errors import StyleSwapError
from ..styleswap_core.installation.import_failures import explain


def explain_broken_packages(node: type) -> type:
    """Let a node's `execute` raise a StyleSwapError, with cause and remedy, where a package cannot be imported."""
    execute = node.execute.__func__  # type: ignore[attr-defined]

    @wraps(execute)
    def explained(cls: type, *values: Any, **named: Any) -> Any:
        try:
            return execute(cls, *values, **named)
        except StyleSwapError:
            raise
        except Exception as error:
            if failure := explain(error):
                raise StyleSwapError(f"{failure.sentence()} and restart ComfyUI") from error
            raise

    node.execute = classmethod(explained)  # type: ignore[attr-defined]
    return node
