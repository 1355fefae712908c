"""`hexcast bench ways`: the lab's table in a terminal, from clients against a server of its own."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from websockets.exceptions import WebSocketException

from ...lab import words
from ..console import DONE, FAILED, say
from .bench_clients import ANSWER_SECONDS, CLIENTS, Asked, Tally, conversation, now

__all__ = ["Wanted", "bench_ways"]

SENDS = ("page", "whole", "change")
START_SECONDS = 20.0
STOP_SECONDS = 12.0
SETTLE_SECONDS = 1.0
WATCH_SECONDS = 10.0
"""How often the run is told that somebody still watches it."""

_SUMS = ("requests", "vain", "in", "out", "cpu")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured: seconds in all, changes a second, bytes, seconds between polls."""

    seconds: float
    rate: float
    size: int
    every: float


@dataclass(slots=True)
class _Segment:
    """What one client cost while one thing was sent."""

    changes: int
    sums: dict[str, float]


@dataclass(slots=True)
class _Board:
    """All that is known of a run."""

    tallies: dict[str, Tally] = field(default_factory=lambda: {w["way"]: Tally() for w in words()})
    places: dict[str, int] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    clients: dict[str, dict[str, float]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    segments: dict[str, dict[str, _Segment]] = field(default_factory=dict)

    def take(self, figures: dict[str, Any]) -> None:
        """Take in what the server tells."""
        for _, at, _, ids in figures["published"]:
            for id in ids:
                self.places[id] = len(self.times)
            self.times.append(at)
        for what, at, id in figures["pushed"]:
            if what == "record":
                self.tallies["push"].arrive(id, at)
        for tally in self.tallies.values():
            tally.settle(self.places, self.times)
        self.clients = figures["clients"]
        for way, client in self.clients.items():
            self.memory[way] = max(self.memory.get(way, 0), int(client["memory"]))

    def sums(self) -> dict[str, dict[str, float]]:
        return {way: {n: c[n] for n in _SUMS} for way, c in self.clients.items()}


def bench_ways(wanted: Wanted) -> int:
    """Measure and print; give the exit code."""
    try:
        board = asyncio.run(_measure(wanted))
    except KeyboardInterrupt:
        return FAILED  # what was asked for is not done
    except (OSError, TimeoutError, httpx.HTTPError, WebSocketException, ExceptionGroup) as error:
        say(f"the measurement failed: {_plain(error)}")
        return FAILED
    Console(width=None if sys.stdout.isatty() else 220).print(_table(board))
    print(
        f"{wanted.rate:g} changes a second of {wanted.size} bytes, asked every {wanted.every:g} s; "
        f"{len(board.times)} changes. One client a way, on this machine; bytes, CPU and memory "
        "are the server's count, compressed as such clients ask for it (pushed answers are not)."
    )
    return DONE


def _plain(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


async def _measure(wanted: Wanted) -> _Board:
    board = _Board()
    async with (
        _server() as base,
        httpx.AsyncClient(timeout=httpx.Timeout(ANSWER_SECONDS)) as http,
    ):
        wish = {"rate": wanted.rate, "size": wanted.size, "send": SENDS[0]}
        run = (await http.post(f"{base}/lab/runs", json=wish)).raise_for_status().json()
        async with asyncio.TaskGroup() as group:
            opened = asyncio.Event()
            watcher = group.create_task(_watch(base, run["prefix"], board, opened))
            await asyncio.wait_for(opened.wait(), START_SECONDS)
            for send in SENDS:
                await _segment(http, base, run["run"], wanted, send, board)
            watcher.cancel()
    return board


async def _segment(
    http: httpx.AsyncClient, base: str, run: str, wanted: Wanted, send: str, board: _Board
) -> None:
    """Let all clients receive in one form of sending, and note what that cost."""
    answer = await http.patch(f"{base}/lab/runs/{run}", json={"send": send})
    told = answer.raise_for_status().json()
    for tally in board.tallies.values():
        tally.begin()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for way, follow in CLIENTS.items():
            topic = told["page"] if way == "refresh" else told["topic"]
            delta = send == "change" and way != "refresh"
            asked = Asked(base, topic, f"{run}.{way}", wanted.every, delta)
            tasks.append(group.create_task(_follow(follow(http, asked, board.tallies[way]))))
        await asyncio.sleep(SETTLE_SECONDS)
        before, from_change = board.sums(), len(board.times)
        await asyncio.sleep(max(1.0, wanted.seconds / len(SENDS) - SETTLE_SECONDS))
        changes = max(1, len(board.times) - from_change)
        for way, sums in board.sums().items():
            spent = {name: sums[name] - before[way][name] for name in _SUMS}
            board.segments.setdefault(way, {})[send] = _Segment(changes, spent)
        for task in tasks:
            task.cancel()


async def _follow(following: Any) -> None:
    await following
    raise ConnectionError("the server has ended a stream")


async def _watch(base: str, prefix: str, board: _Board, opened: asyncio.Event) -> None:
    """Hear the run's figures, and tell it that it is watched."""
    async with conversation(f"{base}/topics?way=websocket") as connection:
        await connection.send(json.dumps({"subscribe": [f"{prefix}/figures"]}))
        opened.set()
        told = -WATCH_SECONDS * 1000
        async for message in connection:
            record = json.loads(message)
            if record.get("topic") == f"{prefix}/figures" and record["op"] == "post":
                board.take(record["data"])
            if now() - told > WATCH_SECONDS * 1000:
                told = now()
                clock = {"publish": f"{prefix}/clock", "op": "put", "data": told}
                await connection.send(json.dumps(clock))


@asynccontextmanager
async def _server() -> AsyncIterator[str]:
    """A server in a process of its own, on a free port; its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hexcast.cli", "serve", "--lab", "--port", "0",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        line = await asyncio.wait_for(process.stderr.readline(), START_SECONDS)
        found = re.search(rb"serves (http://\S+)", line)
        if found is None:
            raise OSError(f"the server did not start: {line.decode(errors='replace').strip()}")
        yield found[1].decode()
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.communicate(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.communicate()


def _table(board: _Board) -> Table:
    table = Table(title="One topic, six ways", title_justify="left", show_lines=False)
    columns = (
        "Way", "Age p50", "p99", "Requests\na change", "Bytes a change:\npage", "\nwhole",
        "only the\nchange", "CPU\na change", "Memory\na client", "Through\nproxies",
        "Without\nJavaScript", "Two-way", "Choose it", "What is commonly said",
    )  # fmt: skip
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if 1 <= place <= 8 else "left")
    for said in words():
        way = said["way"]
        segments = board.segments.get(way, {})
        ages = sorted(board.tallies[way].ages)
        total = sum(s.changes for s in segments.values())
        table.add_row(
            said["name"], _ms(_quantile(ages, 0.5)), _ms(_quantile(ages, 0.99)),
            _ratio(sum(s.sums["requests"] for s in segments.values()), total),
            *(_bytes(segments.get(send)) for send in SENDS),
            f"{_ratio(sum(s.sums['cpu'] for s in segments.values()) * 1000, total)} µs",
            f"{board.memory.get(way, 0)} B" if way not in ("refresh", "poll") else "0 at rest",
            said["proxies"], said["script"], said["both"], said["choose"], said["said"],
        )  # fmt: skip
    return table


def _quantile(ordered: list[float], part: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def _ratio(value: float, changes: int) -> str:
    return f"{value / changes:.2f}".rstrip("0").rstrip(".") if changes else "–"


def _bytes(segment: _Segment | None) -> str:
    return "–" if segment is None else f"{_each(segment.sums, ('in', 'out')) / segment.changes:.0f}"


def _each(sums: dict[str, float], names: Iterable[str]) -> float:
    return sum(sums[name] for name in names)
