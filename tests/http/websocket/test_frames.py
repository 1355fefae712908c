"""WebSocket frames, with the websockets library's own server side as the oracle."""

from __future__ import annotations

import itertools
import struct
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol, State

from hexcast.http.websocket import frames
from hexcast.http.websocket.frames import Closed, Message, Ping, Pong, Receiver, Violation

LIMIT = 300
MASK = b"\x01\x02\x03\x04"


def frame(
    opcode: int, data: bytes = b"", *, fin: bool = True, mask: bool = True, rsv: int = 0
) -> bytes:
    """One frame as a client sends it, made by hand so that it may be wrong."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if mask else 0
    if len(data) < 126:
        head = struct.pack("!BB", first, bit | len(data))
    elif len(data) < 65_536:
        head = struct.pack("!BBH", first, bit | 126, len(data))
    else:
        head = struct.pack("!BBQ", first, bit | 127, len(data))
    if not mask:
        return head + data
    return head + MASK + bytes(b ^ MASK[n % 4] for n, b in enumerate(data))


def received(pieces: list[bytes]) -> tuple[list[Any], int]:
    """What a receiver makes of pieces, and the close code of the violation, or 0."""
    receiver, events = Receiver(LIMIT), list[Any]()
    try:
        for piece in pieces:
            for event in receiver.feed(piece):
                events.append(event)
                if isinstance(event, Closed):
                    return events, 0
    except Violation as violation:
        return events, violation.code
    return events, 0


def by_the_library(data: bytes) -> tuple[list[Any], int]:
    """The same by the library: its frames put together, and the code that it fails with."""
    protocol = Protocol(SERVER, state=State.OPEN, max_size=LIMIT)
    events: list[Any] = []
    message, is_text = None, False
    protocol.receive_data(data)
    failed = protocol.close_sent if protocol.parser_exc is not None else None
    for got in protocol.events_received():
        assert isinstance(got, Frame)
        payload = bytes(got.data)
        if got.opcode is Opcode.PING:
            events.append(Ping(payload))
        elif got.opcode is Opcode.PONG:
            events.append(Pong(payload))
        elif got.opcode is Opcode.CLOSE:
            close = Close.parse(payload)
            events.append(Closed(close.code, close.reason))
        else:
            if got.opcode is not Opcode.CONT:
                message, is_text = b"", got.opcode is Opcode.TEXT
            assert message is not None
            message += payload
            if got.fin:
                if is_text:
                    try:
                        message.decode()
                    except UnicodeDecodeError:
                        return events, 1007  # the library leaves this to its users
                events.append(Message(message, is_text))
                message = None
    return events, failed.code if failed else 0


text = st.text(st.characters(codec="utf-8"), max_size=60).map(str.encode)
control = st.builds(
    lambda opcode, data: frame(opcode, data), st.sampled_from([9, 10]), st.binary(max_size=125)
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A message in fragments, with control frames between them."""
    opcode = draw(st.sampled_from([1, 2]))
    data = draw(text if opcode == 1 else st.binary(max_size=LIMIT))
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    parts = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    out = b""
    for n, part in enumerate(parts):
        out += b"".join(draw(st.lists(control, max_size=2)))
        out += frame(opcode if n == 0 else 0, part, fin=n == len(parts) - 1)
    return out


closes = st.sampled_from([b"", struct.pack("!H", 1000), struct.pack("!H", 4999) + b"bye"]).map(
    lambda data: frame(8, data)
)
cuts = st.lists(st.integers(0, 3000), max_size=10)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({c % (len(data) + 1) for c in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(st.lists(messages() | control, max_size=4), st.none() | closes, cuts)
def test_any_fragments_in_any_split_give_the_same_messages(
    sent: list[bytes], close: bytes | None, cuts: list[int]
) -> None:
    data = b"".join(sent) + (close or b"")
    wanted = by_the_library(data)
    assert wanted[1] == 0
    assert received([data]) == wanted
    assert received(split(data, cuts)) == wanted
    assert received([data[n : n + 1] for n in range(len(data))]) == wanted


wrong = st.builds(
    lambda opcode, data, fin, mask, rsv: frame(opcode, data, fin=fin, mask=mask, rsv=rsv),
    st.integers(0, 15), st.binary(max_size=130) | st.binary(min_size=LIMIT, max_size=LIMIT + 5),
    st.booleans(), st.sampled_from([True, True, True, False]), st.sampled_from([0, 0, 0, 1, 4]),
)  # fmt: skip


@given(st.lists(messages() | wrong, max_size=5), cuts)
def test_what_breaks_the_protocol_does_so_with_the_librarys_code(
    sent: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(sent)
    events, code = by_the_library(data)
    # A frame that is too large and begins a message inside another breaks two rules.
    codes = {code} if code not in (1002, 1009) else {1002, 1009}
    for pieces in ([data], split(data, cuts)):
        got, with_code = received(pieces)
        assert got == events and with_code in codes


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_bytes_raise_anything_else(pieces: list[bytes]) -> None:
    events, code = received(pieces)
    assert code in (0, 1002, 1007, 1009)
    assert all(isinstance(e, Message | Ping | Pong | Closed) for e in events)


@pytest.mark.parametrize(("data", "code"), [
    (frame(1, b"x", mask=False), 1002), (frame(3), 1002), (frame(11), 1002),
    (frame(1, b"x", rsv=4), 1002), (frame(9, b"x" * 126), 1002), (frame(9, b"x", fin=False), 1002),
    (frame(0, b"x"), 1002), (frame(1, b"x", fin=False) + frame(1, b"y"), 1002),
    (frame(8, b"x"), 1002), (frame(8, struct.pack("!H", 1005)), 1002),
    (frame(8, struct.pack("!H", 999)), 1002), (frame(8, struct.pack("!H", 5000)), 1002),
    (frame(8, struct.pack("!H", 1000) + b"\xff"), 1007), (frame(1, b"\xff"), 1007),
    (frame(1, b"\xed\xa0\x80"), 1007), (frame(1, b"\xc3", fin=False) + frame(0, b"\x28"), 1007),
    (frame(2, b"x" * (LIMIT + 1)), 1009), (frame(2, b"x" * 200, fin=False) + frame(0, b"x" * 101), 1009),
    (frame(1, b"x" * LIMIT, fin=False) + frame(0, b"y"), 1009),
    (struct.pack("!BBQ", 0x82, 0xFF, 2**63), 1009),
])  # fmt: skip
def test_each_violation_has_its_close_code(data: bytes, code: int) -> None:
    assert received([data])[1] == code
    assert received([data[n : n + 1] for n in range(len(data))])[1] == code


def test_what_is_too_big_is_refused_before_it_comes() -> None:
    head = struct.pack("!BBQ", 0x82, 0xFF, 10**9)
    assert received([head]) == ([], 1009)


@pytest.mark.parametrize("size", [0, 125, 126, LIMIT])
def test_messages_up_to_the_limit(size: int) -> None:
    events, code = received([frame(2, b"x" * size)])
    assert events == [Message(b"x" * size, False)] and code == 0


def test_empty_fragments_without_end_are_not_gathered() -> None:
    receiver = Receiver(LIMIT)
    list(receiver.feed(frame(1, b"", fin=False)))
    empty = frame(0, b"", fin=False) * 1000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(30):
            try:
                assert list(receiver.feed(empty)) == []
            except Violation:
                break
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 50_000, "a client can grow what is kept of it without end"


def test_a_receiver_is_idle_between_messages_only() -> None:
    receiver = Receiver(LIMIT)
    assert receiver.idle
    data = frame(1, b"ab", fin=False) + frame(9) + frame(0, b"cd")
    for n in range(len(data)):
        list(receiver.feed(data[n : n + 1]))
        assert receiver.idle is (n == len(data) - 1)


# What is sent


def sent(data: bytes) -> Frame:
    """One frame as a client's library reads it."""
    client = Protocol(CLIENT, state=State.OPEN)
    client.receive_data(data)
    (got,) = client.events_received()
    assert isinstance(got, Frame) and client.parser_exc is None
    return got


@given(text, st.binary(max_size=70_000))
def test_what_is_sent_is_what_a_client_reads(said: bytes, data: bytes) -> None:
    assert (sent(frames.text(said)).opcode, bytes(sent(frames.text(said)).data)) == (
        Opcode.TEXT,
        said,
    )
    got = sent(frames.binary(data))
    assert (got.opcode, bytes(got.data), got.fin) == (Opcode.BINARY, data, True)
    assert bytes(sent(frames.ping(data[:125])).data) == data[:125]
    assert bytes(sent(frames.pong(data[:125])).data) == data[:125]


@given(st.sampled_from([1000, 1003, 1009, 1012, 4401]), st.text(st.characters(codec="utf-8")))
def test_a_reason_is_cut_to_what_fits(code: int, reason: str) -> None:
    got = Close.parse(bytes(sent(frames.close(code, reason)).data))
    assert got.code == code and reason.startswith(got.reason)
    assert len(got.reason.encode()) > 119 or got.reason == reason


# --- compression (RFC 7692) -----------------------------------------------------------------------

AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize(("offers", "answer"), [
    ("", ""), ("permessage-deflate", AGREED), ("x-webkit-deflate-frame", ""),
    ("permessage-deflate; client_max_window_bits", AGREED),
    ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", AGREED),
    ("permessage-deflate; server_max_window_bits=15", AGREED + "; server_max_window_bits=15"),
    ("permessage-deflate; server_max_window_bits=10", ""),  # what is packed for all needs more
    ("permessage-deflate; server_max_window_bits=10, permessage-deflate", AGREED),
    ("permessage-deflate; unknown", ""), ("permessage-deflate; server_max_window_bits=77", ""),
    ("foo; bar=1, permessage-deflate", AGREED),
])  # fmt: skip
def test_agreements(offers: str, answer: str) -> None:
    assert frames.agree_on_packing(offers) == answer


@pytest.mark.parametrize("offers", [";", "permessage-deflate; =1", "a b", '"x"'])
def test_malformed_offers(offers: str) -> None:
    with pytest.raises(ValueError):
        frames.agree_on_packing(offers)


def packed(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return (deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


def unpacked(pieces: list[bytes], limit: int = LIMIT) -> tuple[list[Any], int]:
    receiver, events = Receiver(limit, packed=True), list[Any]()
    try:
        for piece in pieces:
            events += receiver.feed(piece)
    except Violation as violation:
        return events, violation.code
    assert receiver.idle
    return events, 0


@given(st.binary(max_size=LIMIT), st.lists(st.integers(0, 400), max_size=4), st.booleans())
def test_compressed_messages_come_back_however_they_are_cut(
    data: bytes, cuts: list[int], plain: bool
) -> None:
    body = data if plain else packed(data)
    ends = [*sorted(min(cut, len(body)) for cut in cuts), len(body)]
    starts = [0, *ends[:-1]]
    sent = [
        frame(0 if n else 2, body[start:end], fin=n == len(cuts), rsv=0 if n or plain else 4)
        for n, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
    events, code = unpacked([*sent, frame(9, b"ping")])
    assert (events, code) == ([Message(data, False), Ping(b"ping")], 0)


@given(st.binary(max_size=2000), st.booleans())
def test_what_is_sent_compressed_is_read_by_the_library(data: bytes, is_text: bool) -> None:
    if is_text:
        data = data.hex().encode()
    sent = (frames.text if is_text else frames.binary)(data, packed=True)
    packing = PerMessageDeflate(True, True, 15, 15)
    protocol = Protocol(CLIENT, state=State.OPEN)
    protocol.extensions = [packing]
    protocol.receive_data(sent)
    (got,) = protocol.events_received()
    assert isinstance(got, Frame)
    assert bytes(got.data) == data
    assert len(sent) <= len(data) + 10


BOMB = bytes(64 * 2**20)


def test_a_bomb_does_not_go_off() -> None:
    bomb = packed(BOMB)
    assert len(bomb) < 70_000
    for pieces in (
        [frame(1, bomb, rsv=4)],
        [frame(1, bomb[:100], rsv=4, fin=False), frame(0, bomb[100:])],
        [frame(1, bomb[:50], rsv=4, fin=False), *(frame(0, bomb[n : n + 50], fin=False) for n in range(50, 5000, 50))],
    ):  # fmt: skip
        tracemalloc.start()
        events, code = unpacked(pieces, limit=100_000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (events, code) == ([], 1009)
        assert peak < 1_000_000


def test_what_is_not_compressed_as_agreed() -> None:
    assert received([frame(1, packed(b"x"), rsv=4)]) == ([], 1002)
    assert unpacked([frame(1, b"\xff\xff\xff", rsv=4)]) == ([], 1002)
    assert unpacked([frame(1, b"a", fin=False), frame(0, packed(b"b"), rsv=4)])[1] == 1002
    assert unpacked([frame(9, b"x", rsv=4)]) == ([], 1002)
    assert unpacked([frame(1, b"x", rsv=2)]) == ([], 1002)
    assert unpacked([frame(1, packed(b"\xff"), rsv=4)]) == ([], 1007)
