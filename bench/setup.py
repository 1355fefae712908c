"""What every measure is given: the amounts, the cores, and how to start the server."""

from __future__ import annotations

import os
from dataclasses import dataclass

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

    def server(self, *options: str) -> Server:
        """A server of its own for one measure, with more options of `serve`."""
        return Server(self.command, self.cores, options)


def choose_cores(pin: bool) -> Cores:
    """The sender on one core, its clients on the others, if there are two and it is wanted."""
    available = sorted(os.sched_getaffinity(0))
    if not pin or len(available) < 2:
        return Cores()
    return Cores(sender={available[0]}, clients=set(available[1:]))
