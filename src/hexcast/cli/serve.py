"""`hexcast serve`: run a server, and say in one line where it is and what it promises."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..settings import Settings
from .console import FAILED, WRONG_USAGE, say

if TYPE_CHECKING:
    from ..server import Server

__all__ = ["announce", "run_server", "serve"]


def serve(settings: Settings) -> int:
    """Serve until a signal; give the exit code."""
    return run_server(settings, announce)


def announce(server: Server) -> None:
    """The start line."""
    say(
        f"version {__version__} serves {server.url} (log: {server.settings.log}; "
        f"an acknowledged publish survives: {server.node.durability})"
    )


def run_server(
    settings: Settings,
    announce: Callable[[Server], None],
    beside: Callable[[Server], Coroutine[Any, Any, None]] | None = None,
) -> int:
    """Run a server, with a task beside it; give the exit code."""
    try:
        from ..server import run
    except ModuleNotFoundError as error:
        say(f"{error.name} is missing; install hexcast[server]")
        return FAILED
    try:
        return run(settings, announce=announce, beside=beside)
    except ValueError as error:
        say(str(error))
        return WRONG_USAGE
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        say(f"cannot listen on {settings.host}, port {settings.port}: {reason}")
        return FAILED
