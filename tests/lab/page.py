"""The lab's page in a real browser, and what its panels have measured."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page

from tests.support.harness import deadline, program

AXE = "4.14.1"
CACHE = Path(__file__).resolve().parents[1] / ".cache"
WAYS = ("refresh", "poll", "long-poll", "sse", "websocket", "push")

STATE = """() => Object.fromEntries(window.lab.panels.map((panel) => [panel.way, {
    ...panel.tally.counts, state: panel.state, harm: panel.harm, shown: panel.tally.shown,
    lost: panel.lost, changes: panel.tally.ages.length, p50: panel.tally.age(0.5),
    totals: panel.totals, memory: panel.memory, forms: Object.keys(panel.segments),
}]))"""


class Lab:
    """One tab with the lab."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "console",
            lambda line: self.errors.append(line.text) if line.type == "error" else None,
        )

    @property
    def faults(self) -> list[str]:
        """Errors but for those of connections that were broken on purpose."""
        return [e for e in self.errors if "ERR_" not in e and "WebSocket connection" not in e]

    async def state(self) -> dict[str, dict[str, Any]]:
        """What each panel has, by way."""
        state: dict[str, dict[str, Any]] = await self.page.evaluate(STATE)
        return state

    async def until(
        self, what: str, enough: Callable[[dict[str, dict[str, Any]]], bool], seconds: float = 25
    ) -> dict[str, dict[str, Any]]:
        """Wait until the panels are so; asked from outside, as the page's policy demands."""
        last: dict[str, dict[str, Any]] = {}
        try:
            async with deadline(what, seconds):
                while not enough(last := await self.state()):
                    await self.page.wait_for_timeout(100)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}") from None
        return last


@asynccontextmanager
async def lab(
    browser: Browser | BrowserContext, url: str, query: str = "", **options: Any
) -> AsyncIterator[Lab]:
    """The lab's page, once its run has begun; another tab where a context is given."""
    context = browser if isinstance(browser, BrowserContext) else None
    async with AsyncExitStack() as stack:
        if not isinstance(browser, BrowserContext):
            context = await browser.new_context(**options)
            stack.push_async_callback(context.close)
        assert context is not None
        context.set_default_timeout(15_000)
        tab = Lab(await context.new_page())
        stack.push_async_callback(tab.page.close)
        await tab.page.goto(f"{url}/lab{query}")
        async with deadline("a run", 20):
            while not await tab.page.evaluate("Boolean(window.lab)"):
                await tab.page.wait_for_timeout(50)
        yield tab


def axe() -> str:
    """The accessibility checker's source, from the registry once, then from the cache."""
    path = CACHE / f"axe-core-{AXE}.js"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [program("npm"), "pack", "--silent", f"axe-core@{AXE}"],
                cwd=folder, check=True, timeout=120, capture_output=True,
            )  # fmt: skip
            archive = next(Path(folder).glob("*.tgz")).read_bytes()
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            member = files.extractfile("package/axe.min.js")
            assert member is not None
            path.write_bytes(member.read())
    return path.read_text("utf-8")
