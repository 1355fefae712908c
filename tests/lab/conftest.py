"""Makes the shared helpers importable, and starts one browser for each module of tests."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "browser"), str(TESTS)]

from browsing import chromium  # noqa: E402  # on the path since just now
from playwright.async_api import Browser  # noqa: E402  # stands behind it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running
