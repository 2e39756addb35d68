"""The one exception that a user's own input can cause. A leaf module: everything may import it."""


class StyleSwapError(ValueError):
    """A problem the user can mend; the message is one line: what was expected, what came, what to do."""
