"""`python -m bench`: build, measure, print."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from bench.build import BENCH, BuildError, build
from bench.fanout import fan_out, own_selectors, sse, websocket
from bench.figures import FULL, QUICK, Row
from bench.processes import BenchError
from bench.report import cells, print_rows, results_page
from bench.requests import batch, burst, long_poll, poll, publish
from bench.secure import fan_out_h2, memory, push
from bench.setup import Setup, choose_cores
from bench.sizes import sizes
from bench.states import diff, patch, stalled
from bench.system import machine, raise_file_limit

WIDTH = 180
"""Columns of the table where no terminal tells."""

Measure = Callable[[], list[Row]]


def measures(setup: Setup) -> dict[str, Measure]:
    """Every measure by its name, in the order in which they run."""
    small, large = setup.amounts.small, setup.amounts.large
    return {
        "publish": partial(publish, setup),
        "sse": partial(fan_out, setup, sse, small, 1.3),
        "websocket": partial(fan_out, setup, websocket, small, 1.3),
        "sse-large": partial(fan_out, setup, sse, large, 1.3, memory=True),
        "websocket-large": partial(fan_out, setup, websocket, large, 1.3, memory=True),
        "own": partial(fan_out, setup, own_selectors, small, 2.0),
        "burst": partial(burst, setup, sse),
        "burst-websocket": partial(burst, setup, websocket),
        "h2-sse": partial(fan_out_h2, setup),
        "push": partial(push, setup),
        "tls-memory": partial(memory, setup),
        "poll": partial(poll, setup),
        "long-poll": partial(long_poll, setup),
        "batch": partial(batch, setup),
        "sizes": partial(sizes, setup),
        "diff": partial(diff, setup),
        "patch": partial(patch, setup),
        "stalled": partial(stalled, setup),
    }


def options() -> argparse.Namespace:
    names = list(measures(Setup(FULL, choose_cores(False))))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small amounts: does it all work?")
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--write", action="store_true", help="write the table to RESULTS.md")
    parser.add_argument(
        "--no-pin", action="store_true", help="do not keep sender and clients on different cores"
    )
    parser.add_argument(
        "--server", metavar="COMMAND", help="measure another server; {port} stands for its port"
    )
    return parser.parse_args()


def main() -> int:
    """0: all was measured (whatever the figures are); 1: something was missing or failed."""
    chosen = options()
    say = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH)
    amounts = QUICK if chosen.quick else FULL
    if chosen.rounds:
        amounts = replace(amounts, rounds=chosen.rounds)
    setup = Setup(
        amounts,
        choose_cores(not chosen.no_pin),
        chosen.server,
    )
    rows: list[Row] = []
    failed: list[str] = []
    try:
        build()
        raise_file_limit(amounts.large + 2_000)
    except (BuildError, OSError) as error:
        say.print(f"[red]{error}[/]")
        return 1
    for name, measure in measures(setup).items():
        if chosen.only and name not in chosen.only:
            continue
        say.print(f"{name} …")
        try:
            measured = measure()
        except (BenchError, OSError) as error:
            failed.append(name)
            say.print(f"[red]{name}: {error}[/]", *getattr(error, "__notes__", ()), sep="\n")
            continue
        rows += measured
        for row in measured:
            say.print(f"  {' | '.join(filter(None, cells(row)))}", highlight=False)
    print_rows(rows, Console(width=None if sys.stdout.isatty() else WIDTH))
    about = machine()
    if chosen.json:
        figures = {"machine": about, "rows": [row.as_dict() for row in rows], "failed": failed}
        chosen.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    if chosen.write and not failed:
        page = results_page(rows, about, BENCH / "README.md")
        (BENCH / "RESULTS.md").write_text(page)
    if failed:
        say.print(f"[red]not measured: {', '.join(failed)}[/]")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
