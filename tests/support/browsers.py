"""A real headless Chromium, and waits that a page's own policy does not forbid."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from tests.support.harness import deadline, program

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP rebound.example 127.0.0.1",
]  # fmt: skip


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program("chromium"), args=ARGUMENTS, headless=True
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def page_of(browser: Browser, **options: Any) -> AsyncIterator[Page]:
    context = await browser.new_context(**options)
    context.set_default_timeout(15_000)
    try:
        yield await context.new_page()
    finally:
        await context.close()


async def until(page: Page, text: str) -> None:
    """Wait until the page shows it."""
    await page.get_by_text(text, exact=False).first.wait_for(timeout=15_000)


async def told(
    page: Page, expression: str, enough: Callable[[Any], object], seconds: float = 20
) -> Any:
    """What an expression comes to in the page, once it is enough.

    Asked from outside, because the page's own policy forbids the waiting script that Playwright
    would put into it.
    """
    async with deadline(f"{expression} to be enough", seconds):
        while not enough(value := await page.evaluate(expression)):
            await page.wait_for_timeout(30)
    return value
