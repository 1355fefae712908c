"""The event stream parser against a direct reading of the standard, over any cut of the bytes."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hexcast.client.eventstream import EventStreamParser, EventTooLarge, Reconnection, ServerEvent


def parse(*pieces: bytes, **limits: int) -> list[ServerEvent | Reconnection]:
    parser = EventStreamParser(**limits)
    return [event for piece in pieces for event in parser.feed(piece)]


def by_the_standard(stream: bytes) -> list[ServerEvent | Reconnection]:
    """The whole stream at once, step by step as the standard words it."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\n|\r", text)[:-1]  # what has no line end is no line yet
    found: list[ServerEvent | Reconnection] = []
    data = kind = last_id = id_buffer = ""
    for line in lines:
        if not line:
            last_id = id_buffer
            if data:
                found.append(ServerEvent(kind or "message", data.removesuffix("\n"), last_id))
            data = kind = ""
        elif not line.startswith(":"):
            field, colon, value = line.partition(":")
            value = value[1:] if colon and value.startswith(" ") else value
            if field == "data":
                data += value + "\n"
            elif field == "event":
                kind = value
            elif field == "id" and "\0" not in value:
                id_buffer = value
            elif field == "retry" and re.fullmatch("[0-9]{1,12}", value):
                found.append(Reconnection(int(value) / 1000))
    return found


PIECES = st.sampled_from(
    [
        *(b"data", b"event", b"id", b"retry", b":", b" ", b"x", b"12", b"\0"),
        *(b"\n", b"\r", b"\r\n", b"\n\n", b"data: a\n", b"id: k-7\n"),
        *("\ufeff".encode(), "é".encode(), b"\xff", b"\xe2\x82"),
    ]
)
STREAMS = st.lists(PIECES | st.binary(max_size=3), max_size=40).map(b"".join)


@given(stream=STREAMS, data=st.data())
@example(stream=b"\xef\xbb\xbfdata: a\r\n\r\ndata: b\r\rdata: c\n\n", data=None)
def test_any_cut_gives_what_the_standard_says(stream: bytes, data: st.DataObject | None) -> None:
    expected = by_the_standard(stream)
    assert parse(stream) == expected
    assert parse(*(stream[i : i + 1] for i in range(len(stream)))) == expected
    if data is not None:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
        assert parse(*(stream[a:b] for a, b in pairwise([0, *cuts, len(stream)]))) == expected


def test_fields() -> None:
    stream = b": hello\nid: k-1\nevent: price\ndata:  two\ndata\ndata:three\nfoo: bar\n\n"
    assert parse(stream) == [ServerEvent("price", " two\n\nthree", "k-1")]


def test_the_id_is_kept_and_can_be_emptied() -> None:
    events = parse(b"id: a\ndata: 1\n\ndata: 2\n\nid\ndata: 3\n\nid: b\0\ndata: 4\n\n")
    assert [event.id for event in events if isinstance(event, ServerEvent)] == ["a", "a", "", ""]


def test_an_id_without_data_is_remembered_without_an_event() -> None:
    parser = EventStreamParser()
    assert list(parser.feed(b"id: a\n")) == []
    assert parser.last_event_id == ""
    assert list(parser.feed(b"\n")) == []
    assert parser.last_event_id == "a"


def test_what_the_end_cuts_off_is_no_event() -> None:
    assert parse(b"data: whole\n\ndata: half\n") == [ServerEvent("message", "whole", "")]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"retry: 1500\n", [Reconnection(1.5)]),
        (b"retry:0\n", [Reconnection(0.0)]),
        (b"retry: 1.5\n", []),
        (b"retry: -1\n", []),
        (b"retry:\n", []),
        (b"retry: \xd9\xa1\n", []),  # a digit, but none of ASCII
    ],
)
def test_retry(line: bytes, found: list[Reconnection]) -> None:
    assert parse(line) == found


def test_a_line_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert parse(b"data:12345\n\n", max_line=10) == [ServerEvent("message", "12345", "")]
    assert parse(b"\xef\xbb\xbfdata:12345", b"\n\n", max_line=10) != []
    for pieces in ([b"data:123456\n"], [b"data:", b"123456"], [b"data:123456"]):
        with pytest.raises(EventTooLarge, match="10 bytes"):
            parse(b"\n", *pieces, max_line=10)


def test_an_event_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert (
        parse(b"data:12\ndata:45\n\n" * 3, max_event=5)
        == [ServerEvent("message", "12\n45", "")] * 3
    )
    with pytest.raises(EventTooLarge, match="5 bytes"):
        parse(b"data:12\ndata:456\n\n", max_event=5)


def test_events_before_an_overlong_line_still_come() -> None:
    parser = EventStreamParser(max_line=10)
    events = parser.feed(b"data: a\n\ndata: too long\n")
    assert next(events) == ServerEvent("message", "a", "")
    with pytest.raises(EventTooLarge):
        next(events)
