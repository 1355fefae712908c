"""The command line: `hexcast serve`, `pub`, `sub`, `demo` and `bench`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; exits with 0 when done, 1 when it failed, 2 on wrong usage."""
    try:
        from .app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print(f"hexcast: {error.name} is missing; install hexcast[cli]", file=sys.stderr)
        sys.exit(1)
    app(prog_name="hexcast")
