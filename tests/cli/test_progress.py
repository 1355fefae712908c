from __future__ import annotations

import io
import time

from hexcast.cli.progress import REFUSALS_TOLD, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_a_file_gets_messages_and_the_last_count_alone() -> None:
    out = io.StringIO()
    async with Progress(out) as progress:
        progress.tell("connected")
        progress.acknowledged()
        progress.refused("no\x1b[2J")
        progress.pending = lambda: 3
    first, second, last = out.getvalue().splitlines()
    assert first == "hexcast: connected"
    assert second == "hexcast: no\\x1b[2J"
    assert last.startswith("hexcast: 1 acknowledged, 1 refused, 3 unacknowledged in ")


async def test_the_first_refusals_are_told_and_all_are_counted() -> None:
    out = io.StringIO()
    async with Progress(out) as progress:
        for n in range(REFUSALS_TOLD + 5):
            progress.refused(f"refusal {n}")
    assert progress.refusals == REFUSALS_TOLD + 5
    assert f"refusal {REFUSALS_TOLD - 1}" in out.getvalue()
    assert f"refusal {REFUSALS_TOLD}\n" not in out.getvalue()
    assert f"{REFUSALS_TOLD + 5} refused" in out.getvalue()


async def test_a_terminal_line_gives_way_to_messages() -> None:
    out = Terminal()
    async with Progress(out) as progress:
        progress.tell("hello")
    assert out.getvalue().startswith("\r\x1b[Khexcast: hello\n")


def test_rates() -> None:
    progress = Progress(io.StringIO())
    begun = time.monotonic()
    for _ in range(1000):
        progress.acknowledged()
    assert progress.line(begun + 2).startswith("1,000 acknowledged, 0 under way, ")
    for _ in range(500):
        progress.acknowledged()
    assert progress.line(begun + 3) == "1,500 acknowledged, 0 under way, 500/s"
    assert "1,500 acknowledged in " in progress.summary(begun + 10)
