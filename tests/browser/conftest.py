"""A browser for each module of tests, and the proxies that stand between it and a server."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from browsing import chromium
from harness import Server
from playwright.async_api import Browser


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with default options. Tests share it, each with topics of its own."""
    with Server() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running
