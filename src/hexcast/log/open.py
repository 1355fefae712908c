"""Which engine keeps a log: chosen by a URL, as `--log` gives it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from .base import Log
from .memory import MemoryLog

__all__ = ["open_log"]


def open_log(url: str, epoch: str, now: Callable[[], int]) -> Log:
    """The log that `url` names, not started yet.

    `epoch` is the name of an epoch that may begin; `now` gives milliseconds since 1970 UTC. Raises
    ValueError where no engine is known by that scheme.
    """
    if url == "memory":
        return MemoryLog(epoch, now)
    scheme = urlsplit(url).scheme or url
    raise ValueError(f"there is no log {scheme!r}: the log is kept in memory")
