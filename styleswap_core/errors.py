"""The exception for problems that a user can fix."""


class StyleSwapError(ValueError):
    """A problem that the user can fix; the message is one line: what was expected, what was found, what to do."""
