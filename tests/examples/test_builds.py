"""The build board: a real make, and a log that is followed, shown in a real browser as they go."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.browsers import chromium, page_of, told
from tests.support.harness import Server, deadline, get, program

EXAMPLE = Path(__file__).parents[2] / "examples" / "builds"

pytestmark = pytest.mark.browser

HEXCAST = Path(sys.executable).with_name("hexcast")


def content(selector: str) -> str:
    return f"document.querySelector({selector!r})?.textContent"


@asynccontextmanager
async def started(
    server: Server, *command: str, **more: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that publishes to the server."""
    env = {**os.environ, "HEXCAST_URL": server.url, "HEXCAST": str(HEXCAST), **more}
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 15)
            await process.wait()


async def test_builds_are_shown_as_they_run(tmp_path: Path) -> None:
    make, build = program("make"), str(EXAMPLE / "build.sh")
    arguments = (make, "-C", str(EXAMPLE / "sample"), f"OUT={tmp_path / 'out'}")
    with Server("--pages", str(EXAMPLE / "site")) as server:
        async with chromium() as browser, page_of(browser) as page:
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            await page.goto(f"{server.url}/")
            assert await page.evaluate(content("article .state")) == "not run yet"
            # The next step waits until the test has seen the one before.
            gate = tmp_path / "gate"
            step = (
                "sh",
                "-c",
                f"echo 'step <one> & more'; until test -e {gate}; do sleep 0.05; done; echo two",
            )
            async with started(server, build, "library", *step) as process:
                log = content("[data-topic='builds/library/log']")
                await told(page, log, lambda text: text == "step <one> & more\n")
                await told(page, content("article.running .state"), lambda text: text == "running")
                gate.touch()
                await told(page, log, lambda text: text == "step <one> & more\ntwo\n")
                await told(page, content("article.passed .state"), lambda text: text == "passed")
                async with deadline("the build's end"):
                    assert await process.wait() == 0
            async with started(server, build, "tests", *arguments, "PAUSE=0", "tests") as process:
                await told(page, "document.querySelector('article.failed')?.innerText", bool, 30)
                async with deadline("the build's end"):
                    assert await process.wait() == 2
                text = await page.evaluate("document.querySelector('article.failed').innerText")
                assert "FAIL tree: expected 3 <nodes> & 2 edges, got 4" in text and "exit 2" in text
            assert not errors
        again = (await get(server, "/")).body.decode()
        assert "FAIL tree: expected 3 &lt;nodes&gt; &amp; 2 edges, got 4" in again
        assert '<article class="failed" data-topic="builds/tests"' in again


async def test_a_log_that_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "some.log"
    file.write_text("first\n")
    with Server("--pages", str(EXAMPLE / "site")) as server:
        async with (
            chromium() as browser,
            page_of(browser) as page,
            started(server, "sh", "-c", f"tail -n +1 -F {file} | $HEXCAST pub builds/lines"),
        ):
            await page.goto(f"{server.url}/")
            shown = content("[data-topic='builds/lines']")
            await told(page, shown, lambda text: text == "first")
            with file.open("a") as log:
                log.write("second <b>\n")
            await told(page, shown, lambda text: text == "second <b>")


async def test_the_sample_builds(tmp_path: Path) -> None:
    """The make of the README, with what it makes."""
    for target in ("library", "site"):
        done = await asyncio.to_thread(
            subprocess.run,
            [program("make"), "-C", str(EXAMPLE / "sample"), f"OUT={tmp_path}", "PAUSE=0", target],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "libsample.a").exists()
    assert "<h1>tree</h1>" in (tmp_path / "tree.html").read_text()
