"""The chat room of `examples/chat`: said and heard over each way, with JavaScript and without."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.support.browsing import page_of, until
from tests.support.harness import Endpoint, Server, deadline, free_port, get

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "chat" / "chat.py"
HEARD = "[...document.querySelectorAll('#messages li')].map((line) => line.innerText)"


@asynccontextmanager
async def room(port: int, server: Server) -> AsyncIterator[Endpoint]:
    """The pages of the room."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), "--port", str(port), "--url", server.url,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with deadline("the chat to start"):
            await process.stdout.readuntil(b"Running on")
        yield Endpoint(port)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def say(page: Page, name: str, text: str) -> None:
    await page.fill("[name=name]", name)
    await page.fill("[name=text]", text)
    await page.click("button")


async def test_a_room_over_every_way(browser: Browser) -> None:
    port = free_port()
    with Server("--allow-origin", f"http://127.0.0.1:{port}") as server:
        async with (
            room(port, server) as chat,
            page_of(browser) as anna,
            page_of(browser, java_script_enabled=False) as bert,
        ):
            posts: list[str] = []
            anna.on("request", lambda r: posts.append(r.url) if r.method == "POST" else None)
            await anna.goto(chat.url)
            said = ["Anna <i>hello</i>", "Bert no script", "Anna {{name}} & done"]
            await say(anna, "Anna", "<i>hello</i>")
            await until(anna, f"{HEARD}.length === 1")
            await bert.goto(chat.url)
            await say(bert, "Bert", "no script")
            await until(anna, f"{HEARD}.length === 2")
            await say(anna, "Anna", "{{name}} & done")
            assert posts == [], "over a WebSocket it goes back the same way"
            for way in ("sse", "long-poll", "poll", "refresh", "websocket"):
                await anna.select_option("#way", way)
                await say(anna, "Anna", way)
                said.append(f"Anna {way}")
                await until(anna, "document.querySelector('[name=text]').value === ''")
                if way == "refresh":
                    frame = anna.frame_locator("#frame")
                    await frame.get_by_text("Anna refresh").wait_for()
                else:
                    await until(anna, f"{HEARD}.length === {len(said)}")
            assert await anna.evaluate(HEARD) == said
            assert posts == [f"{server.url}/topics/chat/lobby"] * 4
            await bert.goto(chat.url)
            await bert.frame_locator("#frame").get_by_text("Anna websocket").wait_for()
            lines = await bert.frame_locator("#frame").locator("li").all_inner_texts()
            assert lines == said
            assert await bert.input_value("[name=name]") == "Bert"


async def test_what_is_no_message_is_not_said(browser: Browser) -> None:
    port = free_port()
    with Server("--allow-origin", f"http://127.0.0.1:{port}") as server:
        async with room(port, server) as chat, page_of(browser, java_script_enabled=False) as bert:
            await bert.goto(chat.url)
            await say(bert, "Bert", "   ")
            await bert.get_by_role("alert").get_by_text("the text is empty").wait_for()
            assert (await get(server, "/topics/chat/lobby")).status == 404
