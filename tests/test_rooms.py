"""The rooms of the package: in which order they may import each other, and what each hands on."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "hexcast"

ORDER = [
    "settings",  # what an operator can set
    "value",  # exact JSON, patches, deltas
    "model",  # what everything speaks of: topics, records, types, problems
    "log",  # the one order of records
    "hub",  # the fold of the log: what is retained
    "feed",  # subscribers that share bytes
    "access",  # who may
    "http",  # connections
    "publish",  # requests that change topics
    "ways",  # requests that receive
    "site",  # live pages from a directory
    "client",  # the Python client
    "lab",  # the six ways side by side
    "server",  # all of it behind sockets
    "cli",  # the command line
]
"""From the ground up: a room imports only from rooms above it in this list."""

PURE = ["value", "model", "log", "hub", "feed", "access"]
"""Rooms without I/O and without clocks."""

ROOT = {"__init__.py", "__main__.py", "settings.py", "py.typed"}

PUBLIC = {"client"}
"""Rooms whose face is for applications too: it may list more than other rooms use."""


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE)


def imports(path: Path, *, typing: bool = True) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The (module, names) that a file imports from the package, with or without TYPE_CHECKING."""
    package = path.relative_to(SOURCE).parts[:-1]
    found: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

    def visit(node: ast.AST) -> None:
        if not typing and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            module = (*base, *(node.module.split(".") if node.module else ()))
            found.append((module, tuple(alias.name for alias in node.names)))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def test_the_root_has_only_the_public_api_and_the_settings() -> None:
    assert {path.name for path in SOURCE.iterdir() if path.is_file()} <= ROOT
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert rooms == set(ORDER) - {"settings"}


def test_imports_point_one_way() -> None:
    wrong = [
        f"{path.relative_to(SOURCE)} imports {module[0]}"
        for path in modules()
        for module, _ in imports(path)
        if module and ORDER.index(module[0]) > ORDER.index(room_of(path))
    ]
    assert not wrong


def test_a_room_is_entered_by_its_face() -> None:
    wrong = [
        f"{path.relative_to(SOURCE)} imports {'.'.join(module)}"
        for path in modules()
        for module, _ in imports(path)
        if len(module) > 1 and module[0] != room_of(path)
    ]
    assert not wrong


def test_a_face_lists_what_other_rooms_use() -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for path in modules():
        for module, names in imports(path):
            if module and module[0] != room_of(path):
                used[module[0]] |= set(names)
    for room in ORDER:
        if room in ("settings", "cli"):
            continue
        face = ast.parse((SOURCE / room / "__init__.py").read_text())
        (names,) = (
            ast.literal_eval(node.value)
            for node in face.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        )
        assert used[room] <= set(names), room
        if room not in PUBLIC:
            assert set(names) <= used[room], room


@pytest.mark.parametrize("room", ORDER[1:])
def test_a_face_says_in_ten_lines_what_the_room_is_for(room: str) -> None:
    text = ast.get_docstring(ast.parse((SOURCE / room / "__init__.py").read_text()))
    assert text and len(text.splitlines()) <= 10


def test_files_import_in_no_circle() -> None:
    """When they run: types alone may know each other."""
    graph: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for path in modules():
        if path.name == "__init__.py":
            continue
        mine = path.relative_to(SOURCE).with_suffix("").parts
        targets = set()
        for module, names in imports(path, typing=False):
            for name in ((*module, name) for name in names):
                for target in (name, name[:-1]):
                    if (SOURCE.joinpath(*target)).with_suffix(".py").is_file():
                        targets.add(target)
        graph[mine] = targets
    done: set[tuple[str, ...]] = set()

    def walk(node: tuple[str, ...], path: tuple[tuple[str, ...], ...]) -> None:
        assert node not in path, " -> ".join(".".join(step) for step in (*path, node))
        if node in done:
            return
        for target in graph.get(node, ()):
            walk(target, (*path, node))
        done.add(node)

    for node in graph:
        walk(node, ())


def test_the_core_does_no_input_or_output() -> None:
    forbidden = {"asyncio", "socket", "time", "threading", "os", "uvloop", "httptools", "httpx"}
    for room in PURE:
        for path in (SOURCE / room).rglob("*.py"):
            names: set[str] = set()
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names.add((node.module or "").split(".")[0])
            assert not names & forbidden, path.relative_to(SOURCE)
