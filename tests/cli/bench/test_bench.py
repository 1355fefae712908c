from __future__ import annotations

import re

import pytest

from hexcast.cli.bench.bench_clients import Tally
from tests.support.programs import Hexcast

WAYS = ("Page refresh", "Polling", "Long polling", "Server-Sent Events", "WebSocket", "HTTP/2 push")


def milliseconds(text: str) -> float:
    number, unit = text.split()
    return float(number) * (1000 if unit == "s" else 1)


@pytest.mark.long
def test_the_ways_are_measured_side_by_side() -> None:
    with Hexcast(
        "bench", "ways", "--seconds", "7", "--rate", "20", "--size", "12000", "--every", "1"
    ) as bench:
        lines = []
        while (line := bench.line()) is not None:
            lines.append(line)
        assert bench.process.wait(20) == 0
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    rows = {row[0]: row for row in cells if row[0] in WAYS}
    assert tuple(rows) == WAYS
    p50 = {way: milliseconds(row[1]) for way, row in rows.items()}
    assert p50["Polling"] > 2 * p50["Server-Sent Events"] > 0
    assert p50["Page refresh"] > 2 * p50["HTTP/2 push"] > 0
    for way in WAYS[2:]:
        page, whole, change = (int(text) for text in rows[way][4:7])
        assert page > 3000 and 3000 < whole < 13_500 and 0 < change < whole / 2, rows[way]
        assert float(rows[way][7].removesuffix(" µs")) > 0
    assert float(rows["Server-Sent Events"][3]) < 0.2 < float(rows["Long polling"][3])
    assert re.search(r"20 changes a second of 12000 bytes, asked every 1 s; \d+ changes", lines[-1])
    assert not any("Traceback" in line for line in bench.seen["err"])


def test_ages_are_those_of_each_change() -> None:
    tally = Tally()
    places, times = {"a": 0, "b": 1, "c": 2}, [0.0, 100.0, 200.0]
    tally.arrive("a", 5.0)
    tally.arrive("c", 250.0)
    tally.arrive("c", 260.0)
    tally.arrive("later", 300.0)
    tally.settle(places, times)
    assert (tally.ages, tally.twice, tally.shown) == ([150.0, 50.0], 1, 2)
    tally.begin()
    tally.arrive("d", 400.0)
    tally.settle(places | {"d": 3}, [*times, 390.0])
    assert tally.ages == [150.0, 50.0]
    assert not tally.arrivals
