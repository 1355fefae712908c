"""Imports point one way: a room may import only what stands before it in this list."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "hexcast"

ORDER = [
    "hexcast",
    "problem",
    "settings",
    "record",
    "topics",
    "value",
    "media",
    "coding",
    "meters",
    "wheel",
    "cache",
    "partly",
    "deltas",
    "held",
    "history",
    "keys",
    "log",
    "hub",
    "start",
    "form",
    "feed",
    "http",
    "publishing",
    "batches",
    "ways",
    "pages",
    "lab",
    "metrics",
    "app",
    "server",
    "client",
    "cli",
]
"""From the ground up. `log.base` and `hub` know each other by the log's protocols alone."""


def room(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return "hexcast" if parts == ("__init__",) else parts[0]


def imported(path: Path) -> set[str]:
    """The rooms that a file imports when it runs."""
    package = ["hexcast", *path.relative_to(SOURCE).parts[:-1]]
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{name}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "hexcast":
                known = len(parts) > 1 and parts[1] in ORDER
                found.add(parts[1] if known else "hexcast")
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def test_every_room_is_in_the_order() -> None:
    assert {room(path) for path in SOURCE.rglob("*.py")} <= set(ORDER)


def test_imports_point_one_way() -> None:
    wrong = [
        f"{path.relative_to(SOURCE)} imports {name}"
        for path in sorted(SOURCE.rglob("*.py"))
        for name in sorted(imported(path))
        if ORDER.index(name) > ORDER.index(room(path))
    ]
    assert not wrong


def test_the_core_does_no_input_or_output() -> None:
    """What the pure rooms import from outside."""
    forbidden = {"asyncio", "socket", "time", "threading", "os", "uvloop", "httptools", "httpx"}
    for name in (
        "record",
        "topics",
        "media",
        "coding",
        "cache",
        "held",
        "history",
        "keys",
        "hub",
        "feed",
        "wheel",
        "deltas",
        "partly",
    ):
        files = list((SOURCE / name).glob("*.py")) or [SOURCE / f"{name}.py"]
        nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
        names = {
            alias.name.split(".")[0]
            for node in nodes
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {
            (node.module or "").split(".")[0]
            for node in nodes
            if isinstance(node, ast.ImportFrom) and not node.level
        }
        assert not names & forbidden, name
