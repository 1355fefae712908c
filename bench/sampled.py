"""Runs a Python program under a sampling profiler and leaves a flame graph: `--profile`.

    python -m bench.sampled FLAME.svg PROGRAM ARGUMENT...

At each tick of the kernel in which the process used CPU (ITIMER_PROF), the stack of Python frames
is counted. Time inside a call into C, such as `transport.write` with the kernel's part of it,
counts for the line that made the call. SIGUSR2 turns the sampling on and off, so that a measure is
not mixed with the connecting before it. Beside the picture comes a text with the lines that cost
most.
"""

from __future__ import annotations

import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from bench.flame import flame_graph, hottest

__all__ = ["Sampler"]

INTERVAL = 0.001
"""Seconds of CPU between samples; the kernel rounds it up to its tick, mostly 4 ms."""


class Sampler:
    """Counts stacks: outermost first, each frame as `module:function`, the last with its line."""

    def __init__(self) -> None:
        self.stacks: Counter[tuple[str, ...]] = Counter()
        self._on = False

    def install(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR2, self._toggle)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _toggle(self, _number: int, _frame: FrameType | None) -> None:
        self._on = not self._on
        interval = INTERVAL if self._on else 0
        signal.setitimer(signal.ITIMER_PROF, interval, interval)

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        stack: list[str] = []
        line = frame.f_lineno if frame is not None else 0
        while frame is not None:
            code = frame.f_code
            name = f"{Path(code.co_filename).stem}:{code.co_qualname}"
            stack.append(name if stack else f"{name}:{line}")
            frame = frame.f_back
        self.stacks[tuple(reversed(stack))] += 1


def main() -> None:
    picture, program = Path(sys.argv[1]), sys.argv[2]
    sys.argv = sys.argv[2:]
    sampler = Sampler()
    sampler.install()
    try:
        runpy.run_path(program, run_name="__main__")
    finally:
        sampler.stop()
        if sampler.stacks:
            picture.write_text(flame_graph(sampler.stacks, picture.stem))
            picture.with_suffix(".txt").write_text(hottest(sampler.stacks))


if __name__ == "__main__":
    main()
