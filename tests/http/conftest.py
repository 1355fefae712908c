"""One server for each module of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.harness import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with default options. Tests share it, each with topics of its own."""
    with Server() as running:
        yield running
