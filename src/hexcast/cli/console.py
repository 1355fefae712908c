"""Messages for people, on standard error, and the exit codes that go with them."""

from __future__ import annotations

import sys

__all__ = ["DONE", "FAILED", "WRONG_USAGE", "printable", "say"]

DONE = 0
FAILED = 1
WRONG_USAGE = 2


def say(text: str) -> None:
    """Print one message, as one line."""
    print(f"hexcast: {printable(text)}", file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """`text` on one line, with nothing that a terminal would act on.

    Data comes from others: a control sequence in it must not reach the terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
