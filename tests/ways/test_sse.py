"""Events as an EventSource reads them (WHATWG HTML, 9.2.6), by a reader of the test's own."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hexcast.http.compression import STREAMS
from hexcast.http.exchange import chunk
from hexcast.model.record import Gap, Record
from hexcast.settings import Settings
from hexcast.ways.json_format import gap_json, record_json
from hexcast.ways.sse import HEARTBEAT_SECONDS, SseEncoder
from tests.support.fakes import EPOCH, Sent, World, delete, post, put
from tests.support.wire import Decoder


class EventSource:
    """The algorithm of the standard, line by line."""

    def __init__(self, data: bytes) -> None:
        self.events: list[tuple[str, str, str]] = []  # name, data, last event id
        self.comments = 0
        self.retry = 0
        self.last_id = ""
        name, lines, id_ = "", list[str](), ""
        text = data.decode()
        for line in (
            text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        ):
            if not line:
                self.last_id = id_
                if lines:
                    self.events.append((name or "message", "\n".join(lines), id_))
                name, lines = "", []
            elif line.startswith(":"):
                self.comments += 1
            else:
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if field == "data":
                    lines.append(value)
                elif field == "event":
                    name = value
                elif field == "id" and "\0" not in value:
                    id_ = value
                elif field == "retry" and value.isascii() and value.isdigit():
                    self.retry = int(value)
        assert not lines and not name, "the last event is not complete"


def record(data: bytes, event: str = "", type: str = "text/plain", op: str = "post") -> Record:
    return Record("e1", 7, "t", op, event, type, data, 0, False)  # type: ignore[arg-type]


text = st.text(st.characters(codec="utf-8"))
event_names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20
).filter(lambda n: not n.startswith("hexcast:"))  # fmt: skip


@given(text.filter(lambda t: "\r" not in t), event_names)
@example("", "")
@example("\n", "a")
@example(" x\n\n :y\ndata: z\n", " led by a space")
@example("\ufeff", "\ufeff")
@example("a\u2028b\x0bc\x85\0", "x")
def test_raw_text_comes_back_exactly(data: str, name: str) -> None:
    got = EventSource(SseEncoder("raw", bytes).encode(record(data.encode(), name)))
    assert got.events == [(name or "message", data, "e1-7")]
    assert got.last_id == "e1-7"


@given(st.binary().filter(lambda b: b"\r" in b or not _is_text(b)))
def test_what_a_line_cannot_carry_comes_in_json(data: bytes) -> None:
    one = record(data, "name", "application/octet-stream")
    got = EventSource(SseEncoder("raw", bytes).encode(one))
    assert got.events == [("hexcast:record", record_json(one).decode(), "e1-7")]


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(st.binary(), event_names)
def test_in_json_format_all_are_plain_messages(data: bytes, name: str) -> None:
    one = record(data, name)
    got = EventSource(SseEncoder("json", bytes).encode(one))
    assert got.events == [("message", record_json(one).decode(), "e1-7")]


def test_several_events_do_not_run_into_each_other() -> None:
    form = SseEncoder("raw", bytes)
    data = b"".join(form.encode(record(b"%d\n" % n)) for n in range(3)) + form.cursor("e1-9")
    assert EventSource(data).events == [
        ("message", "0\n", "e1-7"), ("message", "1\n", "e1-7"), ("message", "2\n", "e1-7"),
        ("hexcast:cursor", "e1-9", "e1-9"),
    ]  # fmt: skip


def test_a_delete_and_a_gap() -> None:
    form = SseEncoder("raw", bytes)
    gone = record(b"", op="delete", type="")
    gap = Gap("e1-0", "e1-3", ("t",))
    got = EventSource(form.encode(gone) + form.gap(gap))
    assert got.events[0] == ("hexcast:delete", record_json(gone).decode(), "e1-7")
    assert got.events[1][:2] == ("hexcast:gap", gap_json(gap).decode())
    assert b"id:" not in form.gap(gap), "a gap moves no cursor"


def test_pieces_are_framed_for_the_connection_that_carries_them() -> None:
    whole = SseEncoder("raw", bytes).encode(record(b"x"))
    assert SseEncoder("raw", chunk).encode(record(b"x")) == chunk(whole)
    assert (
        SseEncoder("raw", chunk).key
        != SseEncoder("raw", bytes).key
        != SseEncoder("json", bytes).key
    )


# Serving


@pytest.fixture
def world() -> World:
    return World()


def stream(world: World, target: str, **headers: str) -> Sent:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = world.ask(target, {"Accept": "text/event-stream", **fields})
    world.soon.all()
    return sent


def test_the_first_bytes_come_at_once(world: World) -> None:
    sent = stream(world, "/topics/a")
    got = EventSource(sent.body)
    assert sent.status == 200 and got.retry == 1000
    assert got.events == [("hexcast:cursor", f"{EPOCH}-0", f"{EPOCH}-0")]
    assert sent.header("Hexcast-Cursor") == f"{EPOCH}-0"
    assert sent.header("Cache-Control") == "no-store, no-transform"
    assert sent.header("X-Accel-Buffering") == "no" and sent.header("Hexcast-Way") == "sse"


def test_no_cursor_event_where_a_record_says_it(world: World) -> None:
    put(world.hub, "s", b"1")
    got = EventSource(stream(world, "/topics/s").body)
    assert got.events == [("message", "1", f"{EPOCH}-1")]


def test_records_follow_and_the_last_event_id_brings_them_back(world: World) -> None:
    first = stream(world, "/topics/a")
    for n in range(5):
        post(world.hub, "a", b"%d" % n)
        world.soon.all()
    assert [e[1] for e in EventSource(first.body).events[1:]] == ["0", "1", "2", "3", "4"]
    again = stream(world, "/topics/a", Last_Event_ID=f"{EPOCH}-3")
    assert [e[1] for e in EventSource(again.body).events] == ["3", "4"]
    assert again.header("Hexcast-Cursor") == f"{EPOCH}-3"


def test_an_unknown_place_is_a_gap_first(world: World) -> None:
    post(world.hub, "a", b"1")
    got = EventSource(stream(world, "/topics/a", Last_Event_ID="old-5").body)
    assert [e[0] for e in got.events] == ["hexcast:gap", "message"]
    assert json.loads(got.events[0][1])["after"] == "old-5"


def test_the_end_of_a_topic_ends_the_stream_and_then_there_is_204(world: World) -> None:
    sent = stream(world, "/topics/a")
    post(world.hub, "a", b"bye", end=True)
    world.soon.all()
    assert sent.finished and EventSource(sent.body).last_id == f"{EPOCH}-1"
    assert stream(world, "/topics/a", Last_Event_ID=f"{EPOCH}-1").status == 204
    post(world.hub, "a", b"again")
    assert stream(world, "/topics/a", Last_Event_ID=f"{EPOCH}-1").status == 200


def test_a_heartbeat_and_the_moving_place(world: World) -> None:
    sent = stream(world, "/topics/a")
    assert 0 < sent.alarm <= 15 and sent.alarm == HEARTBEAT_SECONDS
    before = len(sent.body)
    assert sent.handler is not None
    sent.handler.timeout()
    assert EventSource(sent.body[before:]).comments == 1
    post(world.hub, "other")
    sent.handler.timeout()
    assert EventSource(sent.body).last_id == f"{EPOCH}-1"


def test_a_heartbeat_repeats_no_place(world: World) -> None:
    post(world.hub, "a", b"1")
    post(world.hub, "other")
    for target in ("/topics/a", f"/topics/a,b?since={EPOCH}-1", f"/topics/*?since={EPOCH}-1"):
        sent = stream(world, target)
        before = len(sent.body)
        assert sent.handler is not None
        sent.handler.timeout()
        assert EventSource(sent.body[before:]).comments == 1, target


def test_a_client_that_does_not_read_is_sent_no_heartbeat(world: World) -> None:
    sent = stream(world, "/topics/a")
    handler, before = sent.handler, len(sent.body)
    assert handler is not None
    handler.pause()
    handler.timeout()
    assert len(sent.body) == before
    post(world.hub, "a", b"1")
    handler.resume()
    world.soon.all()
    assert EventSource(sent.body).events[-1][1] == "1"


def test_a_drain_says_when_to_come_back(world: World) -> None:
    sent = stream(world, "/topics/a")
    before, handler = len(sent.body), sent.handler
    assert handler is not None
    handler.drain()
    assert 1000 <= EventSource(sent.body[before:]).retry <= 2000 and sent.finished
    assert world.counters.ways["sse"].clients == 0
    world.context.draining = True
    late = stream(world, "/topics/a")
    assert late.status == 200 and late.finished
    assert 1000 <= EventSource(late.body).retry <= 2000


def test_head_is_get_without_the_stream(world: World) -> None:
    put(world.hub, "s")
    sent = world.ask("/topics/s", {"Accept": "text/event-stream"}, method="HEAD")
    assert sent.status == 200 and sent.body == b"" and sent.finished
    assert world.counters.ways["sse"].clients == 0 and world.feeds.interested("s") == {}


def test_what_was_deleted_while_a_client_was_away(world: World) -> None:
    put(world.hub, "s", b"1")
    delete(world.hub, "s")
    got = EventSource(stream(world, "/topics/s", Last_Event_ID=f"{EPOCH}-1").body)
    assert [e[0] for e in got.events] == ["hexcast:delete"]


def test_the_retry_is_the_operators() -> None:
    world = World(Settings(retry=2.5))
    assert EventSource(stream(world, "/topics/a").body).retry == 2500


# --- compressed -----------------------------------------------------------------------------------

BIG = b"the same words " * 40


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_whoever_joins_wherever_reads_the_same(world: World, coding: str) -> None:
    fields = {"Accept": "text/event-stream", "Accept-Encoding": coding}
    decoders, streams = list[Decoder](), list[Sent]()
    for n in range(12):
        sent = world.ask("/topics/t?last=1", fields)
        assert sent.header("Content-Encoding") == coding
        assert "Accept-Encoding" in sent.header("Vary")
        streams.append(sent), decoders.append(Decoder(coding))
        for m in range(n % 4):
            post(world.hub, "t", b"%d.%d " % (n, m) + (BIG if m % 2 else b""))
        world.pass_time(0.1)
        handler = streams[n // 2].handler
        assert handler is not None
        handler.timeout()
    everything = [
        b"%d.%d " % (n, m) + (BIG if m % 2 else b"") for n in range(12) for m in range(n % 4)
    ]
    for sent, decoder in zip(streams, decoders, strict=True):
        got = EventSource(decoder.feed(sent.body))
        records = [data.encode() for name, data, _ in got.events if name == "message"]
        assert records == everything[len(everything) - len(records) :]
        assert got.retry == 1000
    assert EventSource(Decoder(coding).feed(streams[0].body)).comments > 0


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_chunk_is_coded_once_for_all(
    world: World, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, calls = STREAMS[coding], list[bytes]()

    def piece(data: bytes) -> bytes:
        calls.append(data)
        return stream.piece(data)

    monkeypatch.setitem(STREAMS, coding, stream._replace(piece=piece))
    fields = {"Accept": "text/event-stream", "Accept-Encoding": coding}
    for n in range(50):
        world.ask("/topics/t", fields | {"User-Agent": str(n)})
    calls.clear()
    for n in range(3):
        post(world.hub, "t", b"%d" % n)
        world.pass_time(0.1)
    assert len(calls) == 3
    for n in range(5):
        post(world.hub, "t", b"%d" % n)
    world.pass_time(0.1)
    assert len(calls) == 4
    assert calls[3].count(b"data: ") == 5


@pytest.mark.parametrize(("drawn", "milliseconds"), [(0.0, 1000), (0.5, 1500), (0.999, 1999)])
def test_a_stop_draws_the_time_to_come_back(drawn: float, milliseconds: int) -> None:
    world = World()
    world.context.draw = lambda: drawn
    sent = world.ask("/topics/s?way=sse")
    assert EventSource(sent.body).retry == 1000
    assert sent.handler is not None
    sent.handler.drain()
    assert sent.finished and b"retry: %d\n" % milliseconds in sent.body
    world.context.draining = True
    late = world.ask("/topics/s?way=sse")
    assert late.finished and b"retry: %d\n" % milliseconds in late.body
