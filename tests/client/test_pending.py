"""The window against a server that forgets no key, over any order of events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.client.encoding import Message, encode_line
from hexcast.client.errors import HexcastError, ProtocolError, Refused
from hexcast.client.pending import KEY_SECONDS, Published, Unknown, Window

BUSY = {"error": {"status": 503, "title": "Service Unavailable"}}
IN_HAND = {"error": {"status": 409, "title": "Conflict"}}
BAD = {"error": {"status": 400, "title": "Bad Request", "detail": "no"}}


def add(window: Window, n: int) -> None:
    message = Message("t", n)
    window.add(message, encode_line(message, str(n)))


def sent(lines: bytes) -> list[int]:
    return [json.loads(line)["data"] for line in lines.splitlines()]


def ok(n: int) -> dict[str, Any]:
    return {"id": f"k-{n}"}


def test_answers_meet_their_records_in_order() -> None:
    window = Window(10)
    for n in range(3):
        add(window, n)
    assert sent(window.take(0.0, 10_000)) == [0, 1, 2]
    assert window.unanswered == 3
    window.answer(ok(0))
    window.answer(BAD)
    window.answer(ok(2))
    done = list(window.done())
    assert [ack.message.data for ack in done] == [0, 1, 2]
    assert done[0].published == Published("k-0", "t")
    assert isinstance(done[1].error, Refused)
    assert str(done[1].error) == "Bad Request: no"
    assert done[2].published == Published("k-2", "t")
    assert window.held == 0


def test_take_respects_the_size_but_sends_at_least_one() -> None:
    window = Window(10)
    for n in range(4):
        add(window, n)
    assert sent(window.take(0.0, 1)) == [0]
    size = len(encode_line(Message("t", 1), "1"))
    assert sent(window.take(0.0, 2 * size)) == [1, 2]
    assert sent(window.take(0.0, 10_000)) == [3]
    assert window.take(0.0, 10_000) == b""


def test_a_lost_connection_sends_what_was_not_answered_again_and_nothing_else() -> None:
    window = Window(10)
    for n in range(5):
        add(window, n)
    window.take(0.0, 3 * len(encode_line(Message("t", 1), "1")))
    window.answer(ok(0))
    window.lost(1.0)
    assert window.unanswered == 0
    assert sent(window.take(1.0, 10_000)) == [1, 2, 3, 4]


def test_not_now_is_sent_again_in_its_place() -> None:
    window = Window(10)
    for n in range(3):
        add(window, n)
    window.take(0.0, 10_000)
    window.answer(BUSY)
    window.answer(ok(1))
    assert window.refused
    assert list(window.done()) == []  # 1 waits behind 0, so that the order stays
    window.lost(1.0)
    assert sent(window.take(1.0, 10_000)) == [0, 2]
    window.answer(ok(0))
    window.answer(ok(2))
    assert [ack.message.data for ack in window.done()] == [0, 1, 2]


def test_in_hand_is_tried_again_only_for_what_was_sent_before() -> None:
    window = Window(10)
    add(window, 0)
    window.take(0.0, 10_000)
    window.answer(IN_HAND)  # a first sending cannot be in hand: this is the wrong kind of topic
    assert [ack.error is None for ack in window.done()] == [False]
    add(window, 1)
    window.take(0.0, 10_000)
    window.lost(1.0)
    window.take(1.0, 10_000)
    window.answer(IN_HAND)
    assert window.refused
    window.lost(2.0)
    window.take(2.0, 10_000)
    window.answer(ok(1))
    assert [ack.error is None for ack in window.done()] == [True]


def test_in_hand_is_not_believed_for_ever() -> None:
    window = Window(10)
    add(window, 0)
    for n in range(100):
        window.take(float(n), 10_000)
        window.answer(IN_HAND)
        if window.finished:
            break
        window.lost(float(n))
    (ack,) = window.done()
    assert isinstance(ack.error, Refused)


def test_what_was_sent_too_long_ago_is_not_sent_again() -> None:
    window = Window(10)
    add(window, 0)
    window.take(0.0, 10_000)
    add(window, 1)  # never sent: it may wait as long as it takes
    window.lost(KEY_SECONDS + 1)
    (ack,) = window.done()
    assert isinstance(ack.error, Unknown)
    assert sent(window.take(KEY_SECONDS + 1, 10_000)) == [1]


def test_what_was_turned_away_may_wait_as_long_as_it_takes() -> None:
    window = Window(10)
    add(window, 0)
    window.take(0.0, 10_000)
    window.answer({"error": {"status": 429}})
    window.lost(10 * KEY_SECONDS)
    assert sent(window.take(10 * KEY_SECONDS, 10_000)) == [0]


def test_full_by_number_and_by_size() -> None:
    window = Window(2)
    add(window, 0)
    assert not window.full
    add(window, 1)
    assert window.full
    window.take(0.0, 10_000)
    window.answer(ok(0))
    assert window.full  # until it has been given back
    assert len(list(window.done())) == 1
    assert not window.full
    small = Window(1000, limit_bytes=100)
    add(small, 0)
    assert not small.full
    message = Message("t", "x" * 100)
    small.add(message, encode_line(message, "k"))
    assert small.full


def test_what_cannot_be_sent_keeps_its_place() -> None:
    window = Window(10)
    add(window, 0)
    window.add_failed(Message("t", 1), HexcastError("no JSON"))
    add(window, 2)
    assert sent(window.take(0.0, 10_000)) == [0, 2]
    window.answer(ok(0))
    window.answer(ok(2))
    assert [str(ack.error) for ack in window.done()] == ["None", "no JSON", "None"]


@pytest.mark.parametrize("value", [None, [], {}, {"id": 5}, {"error": None}, {"error": {}}])
def test_what_is_no_answer(value: object) -> None:
    window = Window(10)
    add(window, 0)
    window.take(0.0, 10_000)
    with pytest.raises(ProtocolError):
        window.answer(value)


def test_an_answer_too_many() -> None:
    with pytest.raises(ProtocolError):
        Window(10).answer(ok(0))


class Server:
    """Takes lines, publishes each key once, and may be cut off with answers unread."""

    def __init__(self) -> None:
        self.published: dict[str, int] = {}
        self.unread: list[object] = []

    def take(self, lines: bytes, busy: set[int]) -> None:
        for line in map(json.loads, lines.splitlines()):
            key, n = line["key"], line["data"]
            if n in busy and key not in self.published:
                self.unread.append(BUSY)
            else:
                self.published.setdefault(key, n)
                self.unread.append(ok(n))


STEPS = st.lists(
    st.sampled_from(["add", "send", "answer", "cut with answers", "cut without", "collect"])
    | st.tuples(st.just("busy"), st.sets(st.integers(0, 30))),
    max_size=120,
)


@given(steps=STEPS, limit=st.integers(1, 8))
def test_nothing_is_lost_and_nothing_doubled(steps: list[Any], limit: int) -> None:
    window, server = Window(limit), Server()
    added, busy, done, now = 0, set[int](), [], 0.0

    def answer() -> None:
        for value in server.unread:
            window.answer(value)
        server.unread.clear()

    for step in steps:
        now += 0.01
        if isinstance(step, tuple):
            busy = step[1]
        elif step == "add" and not window.full:
            add(window, added)
            added += 1
        elif step == "send":
            server.take(window.take(now, 100), busy)
        elif step == "answer":
            answer()
        elif step == "cut with answers":
            answer()
            window.lost(now)
        elif step == "cut without":
            server.unread.clear()  # published, but the answer is lost on the way
            window.lost(now)
        elif step == "collect":
            done += list(window.done())
        assert window.held <= limit
        assert [ack.message.data for ack in done] == list(range(len(done)))
    answer()
    while window.held:
        window.lost(now)
        server.take(window.take(now, 10_000), set())
        answer()
        done += list(window.done())
    assert [ack.message.data for ack in done] == list(range(added))
    assert all(ack.published == Published(f"k-{ack.message.data}", "t") for ack in done)
    assert sorted(server.published.values()) == list(range(added))
