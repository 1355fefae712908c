"""Makes the shared helpers importable, and starts one server for each module of tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with default options. Tests share it, each with topics of its own."""
    with Server() as running:
        yield running
