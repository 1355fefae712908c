"""The stock board: one command serves it and keeps it moving, in a real browser."""

from __future__ import annotations

import asyncio
import operator
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.browsers import chromium, page_of, told
from tests.support.harness import Endpoint, deadline, free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "stocks"

pytestmark = pytest.mark.browser

WATCH = """() => {
    window.touched = new Set();
    new MutationObserver(changes => {
        for (const { target } of changes) {
            const element = target.nodeType == 1 ? target : target.parentElement;
            window.touched.add(element.closest('[data-topic]')?.dataset.topic ?? element.tagName);
        }
    }).observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
}"""

PRICES = "[...document.querySelectorAll('.price')].map(e => e.textContent)"


@asynccontextmanager
async def board(*options: str) -> AsyncIterator[Endpoint]:
    """The example as its README starts it, stopped and judged at the end."""
    server = Endpoint(free_port())
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", str(EXAMPLE / "feed.py"), "--port", str(server.port), *options,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert program.stderr is not None
    try:
        async with deadline("the line that says where the board is", 20):
            line = await program.stderr.readline()
        assert line == f"The board is at http://127.0.0.1:{server.port}/\n".encode(), line
        yield server
        program.send_signal(signal.SIGTERM)
        async with deadline("the end"):
            rest = await program.stderr.read()
            assert await program.wait() == 0, rest
        assert b"Traceback" not in rest and b"Warning" not in rest, rest
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1040), ("dark", 390)])
async def test_the_board_moves(scheme: str, width: int) -> None:
    async with (
        board("--rate", "100", "--seed", "1") as server,
        chromium() as browser,
        page_of(browser, color_scheme=scheme, viewport={"width": width, "height": 760}) as page,
    ):
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text))
        await page.goto(f"{server.url}/")
        before = await told(page, PRICES, lambda prices: all("." in price for price in prices))
        await page.evaluate(WATCH)
        after = await told(
            page, PRICES, lambda prices: sum(map(operator.ne, before, prices)) > len(before) / 2
        )
        assert all(len(price.partition(".")[2]) == 2 for price in after)
        touched = await page.evaluate("[...window.touched]")
        assert all(name.startswith("stocks/") or name in ("market", "trades") for name in touched)
        assert await page.evaluate("document.querySelector('polyline').points.length") == 40
        assert await page.evaluate("document.querySelector('meter').hasAttribute('value')")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert not errors


async def test_the_board_without_javascript() -> None:
    async with (
        board("--rate", "50") as server,
        chromium() as browser,
        page_of(browser, java_script_enabled=False) as page,
    ):
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.resource_type))
        await page.goto(f"{server.url}/?every=1")
        await page.get_by_text("Alder Timber").wait_for()
        shown = await page.locator(".price").first.inner_text()
        await page.wait_for_event("domcontentloaded")
        async with deadline("another price"):
            while await page.locator(".price").first.inner_text() == shown:
                await page.wait_for_event("domcontentloaded")
        assert not {"fetch", "websocket", "eventsource"} & set(requests)


def test_a_rate_that_is_none() -> None:
    for rate in ("0", "nan"):
        done = subprocess.run(
            [sys.executable, str(EXAMPLE / "feed.py"), "--rate", rate],
            capture_output=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 2, rate
