"""The command line: `hexcast serve`, `pub`, `sub`, `demo` and `bench`."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; exits with 0 when done, 1 when it failed, 2 on wrong usage."""
    try:
        from .commands import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print(f"hexcast: {error.name} is missing; install hexcast[cli]", file=sys.stderr)
        sys.exit(1)
    try:
        try:
            app(prog_name="hexcast")
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()  # whoever read has had enough
    except OSError as error:
        # What is printed may go to a full disk.
        _let_go_of_stdout()
        print(f"hexcast: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)


def _let_go_of_stdout() -> None:
    """Write nothing more: what is left in the buffer must not be flushed at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
