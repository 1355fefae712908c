"""A browser for each module of tests, and the proxies that stand between it and a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.browsing import chromium
from tests.support.harness import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with default options. Tests share it, each with topics of its own."""
    with Server() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running
