"""Prints the table, and writes it with the machine's description to RESULTS.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures import Row

__all__ = ["COLUMNS", "cells", "print_rows", "results_page"]

COLUMNS = ("measure", "figure", "limit", "C loop", "ratio", "rounds", "verdict")


def _number(value: float, unit: str) -> str:
    if unit == "µs":
        return f"{value:.2f} µs"
    if unit == "bytes":
        return f"{value:,.0f} bytes"
    return f"{value:,.0f} {unit}"


def cells(row: Row) -> tuple[str, ...]:
    """A row's figures as people read them, one for each of COLUMNS."""
    limit = ""
    if row.limit is not None:
        held = f"{row.limit:g} ×" if row.ratio is not None else _number(row.limit, row.unit)
        limit = f"{row.sense} {held}"
    spread = ""
    if len(row.rounds) > 1:
        low, high = min(row.rounds), max(row.rounds)
        if row.ratio is not None:
            spread = f"{low:.2f} to {high:.2f} ×"
        else:
            spread = f"{_number(low, row.unit)} to {_number(high, row.unit)}"
    return (
        row.measure,
        _number(row.figure, row.unit),
        limit,
        "" if row.floor is None else _number(row.floor, row.unit),
        "" if row.ratio is None else f"{row.ratio:.2f} ×",
        spread,
        row.verdict,
    )


def print_rows(rows: Sequence[Row], console: Console) -> None:
    """The table, with what missed its limit in red."""
    table = Table(*COLUMNS)
    for row in rows:
        style = {"missed": "red", "pass": "green"}.get(row.verdict, "")
        shown = cells(row)
        table.add_row(*shown[:-1], f"[{style}]{shown[-1]}[/]" if style else shown[-1])
    console.print(table)


def results_page(rows: Sequence[Row], machine: dict[str, str], how: Path) -> str:
    """RESULTS.md: the frame and the table of one run. `how` is the text on how it is measured."""
    lines = [
        "# Figures of one run",
        "",
        f"Written by `make bench`; {how.name} says how each is taken.",
        "",
    ]
    lines += [f"- {name}: {value}" for name, value in machine.items()]
    lines += ["", "| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    notes = [f"- {row.name}: {row.note}" for row in rows if row.note]
    if notes:
        lines += ["", "Notes:", "", *notes]
    missed = [row.name for row in rows if row.verdict == "missed"]
    lines += ["", f"Missed: {', '.join(missed) if missed else 'none'}."]
    return "\n".join(lines) + "\n"
