"""Polling: values and batches, against the topics themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.settings import Settings
from tests.support.fakes import EPOCH, Sent, World, delete, post, put


@pytest.fixture
def world() -> World:
    return World()


def batch(sent: Sent) -> Any:
    assert sent.status == 200, sent.body
    return json.loads(sent.body)


def test_a_value_and_its_version(world: World) -> None:
    put(world.hub, "s", b"<1>", type="text/html")
    sent = world.ask("/topics/s")
    assert (sent.status, sent.body) == (200, b"<1>")
    assert sent.header("Content-Type") == "text/html" and sent.header("ETag") == f'"{EPOCH}-1"'
    assert sent.header("X-Content-Type-Options") == "nosniff"
    assert sent.header("Content-Security-Policy") == "sandbox"
    for tag in (f'"{EPOCH}-1"', f'W/"{EPOCH}-1"', f'"x-1", "{EPOCH}-1~gzip"', "*"):
        again = world.ask("/topics/s", {"If-None-Match": tag})
        assert again.status == 304 and again.body == b""
        assert again.header("ETag") == f'"{EPOCH}-1"'
        assert again.header("Vary") == sent.header("Vary") != ""
    put(world.hub, "s", b"2")
    assert world.ask("/topics/s", {"If-None-Match": f'"{EPOCH}-1"'}).body == b"2"


def test_nothing_there(world: World) -> None:
    assert world.ask("/topics/s").status == 404
    put(world.hub, "s"), delete(world.hub, "s")
    assert world.ask("/topics/s").status == 404
    assert batch(world.ask("/topics/s?since=now"))["records"] == []


def test_one_record_that_will_never_change(world: World) -> None:
    post(world.hub, "a", b"1"), post(world.hub, "a", b"2"), delete(world.hub, "a")
    put(world.hub, "s", b"3")

    def status(target: str) -> int:
        return world.ask(target).status

    assert world.ask(f"/topics/s?id={EPOCH}-4").body == b"3"
    assert "immutable" in world.ask(f"/topics/s?id={EPOCH}-4").header("Cache-Control")
    assert status(f"/topics/a?id={EPOCH}-3") == 410
    assert status(f"/topics/a?id={EPOCH}-1") == 404 == status(f"/topics/a?id={EPOCH}-9")
    assert status("/topics/a?id=other-4") == 404 == status(f"/topics/a?id={EPOCH}-4")
    assert status("/topics/a?id=x") == 400


@given(
    st.lists(st.tuples(st.sampled_from(["post", "put"]), st.integers(0, 2)), max_size=30),
    st.integers(1, 7),
    st.sampled_from(["/topics/a0", "/topics?topic=a0&topic=s1", "/topics/*", "/topics?topic=**"]),
    st.integers(0, 30),
)
def test_batch_after_batch_gives_all_there_is(
    steps: list[tuple[str, int]], limit: int, target: str, cursor: int
) -> None:
    world = World()
    held: dict[str, list[int]] = {}
    for op, n in steps:
        if op == "post":
            held.setdefault(f"a{n}", []).append(post(world.hub, f"a{n}"))
        else:
            held[f"s{n}"] = [put(world.hub, f"s{n}", b"%d" % world.hub.head)]
    cursor = min(cursor, world.hub.head)
    chosen = {"/topics/a0": ["a0"], "/topics?topic=a0&topic=s1": ["a0", "s1"]}.get(
        target, list(held)
    )
    wanted = sorted(s for name in chosen for s in held.get(name, []) if s > cursor)
    got: list[int] = []
    at = f"{EPOCH}-{cursor}"
    for _ in range(100):
        said = batch(world.ask(f"{target}{'&' if '?' in target else '?'}since={at}&limit={limit}"))
        assert said["gap"] is None and len(said["records"]) <= limit
        got += [int(r["id"].rpartition("-")[2]) for r in said["records"]]
        at = said["cursor"]
        if not said["more"]:
            break
    assert got == wanted and at == f"{EPOCH}-{world.hub.head}"


def test_more_is_said_only_where_there_is_more(world: World) -> None:
    for _ in range(4):
        post(world.hub, "a")
    post(world.hub, "noise")
    said = batch(world.ask(f"/topics/a?since={EPOCH}-0&limit=4"))
    assert not said["more"] and said["cursor"] == f"{EPOCH}-5"
    said = batch(world.ask(f"/topics/a?since={EPOCH}-0&limit=3"))
    assert said["more"] and said["cursor"] == f"{EPOCH}-3"


def test_a_pattern_without_a_cursor_is_each_topics_newest(world: World) -> None:
    for n in range(3):
        post(world.hub, "x/a", b"%d" % n)
    put(world.hub, "x/s", b"v"), post(world.hub, "y", b"no")
    post(world.hub, "x/b", b"w"), delete(world.hub, "x/b")
    said = batch(world.ask("/topics/x/*"))
    assert [(r["topic"], r["data"]) for r in said["records"]] == [("x/a", "2"), ("x/s", "v")]
    assert said["cursor"] == f"{EPOCH}-7"


def test_what_is_lost_is_told_and_what_is_held_follows() -> None:
    world = World(Settings(hold_records=2))
    for n in range(5):
        post(world.hub, "a", b"%d" % n)
    said = batch(world.ask(f"/topics/a?since={EPOCH}-1"))
    assert said["gap"] == {"after": f"{EPOCH}-1", "before": f"{EPOCH}-4", "topics": ["a"]}
    assert [r["data"] for r in said["records"]] == ["3", "4"]
    assert batch(world.ask(f"/topics/a?since={EPOCH}-3"))["gap"] is None
    assert batch(world.ask("/topics/a?since=earliest"))["gap"] is None


def test_an_end_is_told(world: World) -> None:
    post(world.hub, "a"), post(world.hub, "a", end=True)
    said = batch(world.ask(f"/topics/a?since={EPOCH}-0"))
    assert said["end"] is True and len(said["records"]) == 2
    assert batch(world.ask(f"/topics/a?since={EPOCH}-2"))["end"] is True
    post(world.hub, "a")
    said = batch(world.ask(f"/topics/a?since={EPOCH}-2"))
    assert "end" not in said and len(said["records"]) == 1


def test_batches_are_kept_nowhere(world: World) -> None:
    sent = world.ask("/topics/a?since=now")
    assert sent.header("Cache-Control") == "no-store, no-transform"
    assert (
        sent.header("X-Accel-Buffering") == "no" and sent.header("Hexcast-Cursor") == f"{EPOCH}-0"
    )


def test_what_is_told_is_counted(world: World) -> None:
    put(world.hub, "s", b"value")
    for way, target in (("poll", "/topics/s"), ("long-poll", "/topics/s?wait=9"),
                        ("refresh", "/topics/s?way=refresh"),
                        ("poll", f"/topics/s?since={EPOCH}-0"),
                        ("long-poll", f"/topics/s?wait=9&since={EPOCH}-0")):  # fmt: skip
        meter = world.counters.ways[way]
        before = meter.deliveries, meter.sent
        body = world.ask(target).body
        assert (meter.deliveries - before[0], meter.sent - before[1]) == (1, len(body)), target
    meter = world.counters.ways["poll"]
    before = meter.deliveries, meter.sent
    world.ask("/topics/s", {"If-None-Match": f'"{EPOCH}-1"'})
    assert (meter.deliveries, meter.sent) == before
