"""The server's own client of push, against a server."""

from __future__ import annotations

import asyncio

from hexcast.lab.push_client import Address, PushClient
from tests.support.harness import Server, deadline, publish, unique


class Following:
    """A client, and what it has told."""

    def __init__(self, server: Server, topic: str, cursor: str = "", query: str = "") -> None:
        self.told: list[tuple[str, str]] = []
        self.news = asyncio.Event()
        self.client = PushClient(
            Address(server.host, server.port, False, ""),
            lambda at: f"/topics/{topic}?way=push{query}" + (f"&since={at}" if at else ""),
            self._tell,
            cursor,
        )

    def _tell(self, what: str, id: str) -> None:
        self.told.append((what, id))
        self.news.set()

    async def until(self, count: int) -> list[tuple[str, str]]:
        """What was told, once it is so much."""
        async with deadline(f"{count} tidings"):
            while len(self.told) < count:
                self.news.clear()
                await self.news.wait()
        return self.told


async def test_records_are_told_in_order_beyond_what_can_be_pushed_at_once() -> None:
    """More than the streams that a client allows: the rest is asked for."""
    topic = unique("burst")
    with Server() as server:
        ids = [await publish(server, topic, f"{n}" * 5000) for n in range(150)]
        following = Following(server, topic, query="&since=earliest")
        told = await following.until(150)
        assert told == [("record", id) for id in ids]
        assert following.client.received > 150 * 5000
        ids.append(await publish(server, topic, "one more"))
        assert (await following.until(151))[-1] == ("record", ids[-1])
        await following.client.stop()


async def test_a_gap_is_told_and_then_what_is_held() -> None:
    topic = unique("gap")
    with Server() as server:
        ids = [await publish(server, topic, str(n)) for n in range(3)]
        following = Following(server, topic, cursor="another-7")
        told = await following.until(5)
        assert told == [("again", ""), ("gap", ""), *(("record", id) for id in ids)]
        await following.client.stop()


async def test_it_comes_back_with_its_cursor() -> None:
    topic = unique("restart")
    with Server() as server:
        following = Following(server, topic)
        await publish(server, topic, "one")
        async with deadline("the first"):
            while not following.told:
                await publish(server, topic, "more")
        seen = len(following.told)
        await asyncio.to_thread(server.stop)
        with Server(port=server.port) as second:
            async with deadline("its return", 15):
                while ("again", "") not in following.told:
                    following.news.clear()
                    await following.news.wait()
            id = await publish(second, topic, "after")
            async with deadline("what came after"):
                while ("record", id) not in following.told:
                    following.news.clear()
                    await following.news.wait()
            tidings = [what for what, _ in following.told[seen:]]
            assert tidings.count("again") == 1 and tidings.count("gap") == 1
        await following.client.stop()
