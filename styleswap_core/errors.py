"""The exception for problems that a user can fix, and the wording of other exceptions in its message."""


class StyleSwapError(ValueError):
    """A problem that the user can fix; the message is one line: what was expected, what was found, what to do."""


def one_line(error: Exception, limit: int = 200) -> str:
    """Message of an exception on one line, shortened to `limit` characters; the exception's type if it is empty."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else f"{text[:limit]}..."
