"""Python code that is run as a program."""


def run(words):
    """Run the code that is the first word."""
    (code,) = words
    exec(compile(code, "example", "exec"), {"__name__": "__main__"})
