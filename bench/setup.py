"""What every measure is given: the amounts, the cores, and how to start the server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Amounts
from bench.processes import Cores, Server

__all__ = ["Setup", "choose_cores"]


@dataclass(frozen=True, slots=True)
class Setup:
    """One run's circumstances, the same for every measure."""

    amounts: Amounts
    cores: Cores
    command: str | None = None
    """Another server to measure: a command line with `{port}` in it."""

    profiles: Path | None = None
    """Where to leave a flame graph of the server for each measure; None: do not sample."""

    def server(self, name: str, *options: str) -> Server:
        """A server of its own for the measure of this name, with more options of `serve`."""
        profile = None if self.profiles is None else self.profiles / f"{name}.svg"
        return Server(self.command, self.cores, profile, options)


def choose_cores(pin: bool) -> Cores:
    """The sender on one core, its clients on the others, if there are two and it is wanted."""
    available = sorted(os.sched_getaffinity(0))
    if not pin or len(available) < 2:
        return Cores()
    return Cores(sender={available[0]}, clients=set(available[1:]))
