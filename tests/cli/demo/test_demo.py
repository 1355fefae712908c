from __future__ import annotations

import json
import signal
import urllib.request
from contextlib import aclosing
from pathlib import Path

from hexcast.cli.demo.demo import figures
from tests.support.programs import Hexcast, serving, wait_until


async def test_figures_come_each_second_as_states() -> None:
    async with aclosing(figures()) as messages:
        first = [await anext(messages) for _ in range(5)]
    assert {message.op for message in first} == {"put"}
    assert [message.topic for message in first] == [
        *("machine/cpu", "machine/load", "machine/memory", "machine/disk", "machine/network")
    ]


def test_the_demo_serves_what_it_says() -> None:
    with serving("demo") as demo:
        demo.until("greeting")
        told = "\n".join(demo.seen["err"])
        for place in ("machine/cpu", "machine/*", "way=sse", "way=push", "sub machine/events"):
            assert place in told
        assert told.count(demo.url) >= 6

        def machine() -> list[str]:
            with urllib.request.urlopen(demo.url + "/topics/machine/*", timeout=5) as got:
                return [record["topic"] for record in json.load(got)["records"]]

        wait_until(lambda: {"machine/cpu", "machine/disk", "machine/network"} <= set(machine()))
        first = demo.get("machine/cpu")
        assert 0 <= first["data"]["percent"] <= 100
        assert wait_until(lambda: demo.get("machine/cpu")["id"] != first["id"])
        assert demo.stop(signal.SIGTERM) == 0
        assert "Traceback" not in "\n".join(demo.seen["err"])


def test_the_demo_over_tls(tmp_path: Path) -> None:
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    with serving("demo", "--tls-dev", env=cache) as demo:
        assert demo.url.startswith("https://")
        demo.until("greeting")
        command = ("sub", "machine/cpu", "--way", "push", "--json", "--url", demo.url)
        with Hexcast(*command, env=cache) as program:
            figures = [json.loads(program.line() or "")["data"] for _ in range(2)]
            program.until("connected (push)")
            assert program.stop(signal.SIGINT) == 0
        assert all(0 <= figure["percent"] <= 100 for figure in figures)
        assert demo.stop(signal.SIGTERM) == 0
        assert "Traceback" not in "\n".join(demo.seen["err"])
