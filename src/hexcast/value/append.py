"""Text that grows at its end: a language model's answer, a build's log, a transcript."""

from __future__ import annotations

from .errors import MalformedText, TooLarge
from .json_text import LIMITS, Limits


def append(value: bytes, text: bytes, limits: Limits = LIMITS) -> bytes:
    """A text value with more text at its end.

    Each piece has to be whole UTF-8: a subscriber is shown the piece alone, so a character cut
    in two across pieces could never be shown. Raises `MalformedText`, or `TooLarge` where the
    whole would be.
    """
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise MalformedText(error.start) from None
    if len(value) + len(text) > limits.bytes:
        raise TooLarge(limits.bytes)
    return value + text
