"""Messages come out of any split of the bytes alike, and no bytes are more than a fault."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hexcast.http.exchange import Body, Plan
from hexcast.http.h1.parser import MAX_HEADERS, MAX_LINE, MAX_UNWANTED, Incoming, MessageReader
from hexcast.http.request import Request
from hexcast.model.caller import Caller
from hexcast.model.problem import Problem

BODIES = {"POST": Body.WHOLE, "PUT": Body.STREAM}


def judge(request: Request) -> tuple[Caller, Plan]:
    body = BODIES.get(request.method, Body.NONE)
    return Caller(), Plan(lambda exchange, body: None, body, 1000 if body is Body.WHOLE else 0)


class Told(NamedTuple):
    """All that a reader makes of some bytes."""

    messages: list[tuple[str, str, dict[str, str], bytes, bool, bool]]
    fault: int
    rest: bytes | None
    in_head: bool


def read(data: bytes, cuts: list[int] | None = None) -> Told:
    found: list[Incoming] = []
    reader = MessageReader(judge, found.append)
    places = sorted({c % (len(data) + 1) for c in cuts or ()} | {0, len(data)})
    for begin, end in itertools.pairwise(places):
        reader.feed(data[begin:end])
        if reader.rest is not None:
            reader.rest += data[end:]
        if reader.rest is not None or reader.fault is not None:
            break
    return Told(
        [(m.request.method, m.request.path, m.request.headers, b"".join(m.parts), m.complete,
          m.upgrade) for m in found],
        reader.fault.status if reader.fault else 0, reader.rest, reader.in_head,
    )  # fmt: skip


names = st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True).filter(
    lambda n: n not in ("content-length", "transfer-encoding", "connection", "upgrade", "expect",
                        "host", "proxy-connection", "keep-alive")
)  # fmt: skip
fields = st.lists(st.tuples(names, st.from_regex(r"[!-~]([ -~]{0,10}[!-~])?", fullmatch=True)),
                  max_size=4, unique_by=lambda f: f[0])  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]))
    head = [f"{method} /{draw(st.sampled_from(['', 'a', 'a/b?c=d']))} HTTP/1.1", "Host: localhost"]
    head += [f"{name}: {value}" for name, value in draw(fields)]
    body = b""
    if method in ("POST", "PUT"):
        parts = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=4))
        if draw(st.booleans()):
            head.append(f"Content-Length: {sum(map(len, parts))}")
            body = b"".join(parts)
        else:
            head.append("Transfer-Encoding: chunked")
            body = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


cuts = st.lists(st.integers(0, 5000), max_size=12)


@given(st.lists(requests(), min_size=1, max_size=4), cuts)
def test_any_split_gives_the_same_messages(sent: list[bytes], cuts: list[int]) -> None:
    data = b"".join(sent)
    whole = read(data)
    assert whole.fault == 0 and len(whole.messages) == len(sent) and not whole.in_head
    assert all(complete for *_, complete, _ in whole.messages)
    assert read(data, cuts) == whole
    assert read(data, list(range(len(data)))) == whole, "byte at a time"


@given(
    st.lists(requests(), max_size=2), st.binary(max_size=60), st.lists(requests(), max_size=1), cuts
)
@example([], b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         [], [])  # fmt: skip
@example([], b"GET / HTTP/9.9\r\n\r\n", [], [])
@example([], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [], [])
@example([], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [], [])
@example([], b"POST / HTTP/1.1\r\nContent-Length: " + b"0" * 5000 + b"1\r\n\r\nx", [], [])
def test_no_bytes_raise_anything(
    before: list[bytes], noise: bytes, after: list[bytes], cuts: list[int]
) -> None:
    data = b"".join([*before, noise, *after])
    told = read(data, cuts)
    assert len(told.messages) >= len(before)
    assert told.fault == 0 or 400 <= told.fault < 600


@given(requests(), st.integers(0, 400), st.integers(0, 255), cuts)
def test_a_byte_that_is_wrong_raises_nothing(
    sent: bytes, place: int, byte: int, cuts: list[int]
) -> None:
    data = bytearray(sent)
    data[place % len(data)] = byte
    told = read(bytes(data) * 2, cuts)
    assert told.fault == 0 or 400 <= told.fault < 600


def fault_of(*pieces: bytes) -> int:
    """The fault after feeding pieces in turn, as far as the first one."""
    reader = MessageReader(judge, lambda message: None)
    for piece in pieces:
        reader.feed(piece)
        if reader.fault is not None:
            assert reader.fault.close
            return reader.fault.status
    return 0


def test_a_request_line_has_a_limit() -> None:
    fits = b"GET /" + b"a" * (MAX_LINE - 100) + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    assert fault_of(fits) == 0
    assert fault_of(b"GET /" + b"a" * MAX_LINE + b" HTTP/1.1\r\nHost: a\r\n\r\n") == 414
    assert fault_of(*[b"GET /"] + [b"a" * 100] * 400) == 414


def test_header_fields_have_a_limit_together() -> None:
    def head(*lines: bytes) -> bytes:
        return b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(lines) + b"\r\n"

    line = b"x: " + b"y" * 95 + b"\r\n"
    assert fault_of(head(*[line] * (MAX_HEADERS // 100 - 5))) == 0
    assert fault_of(head(*[line] * (MAX_HEADERS // 100 + 5))) == 431
    assert fault_of(b"GET / HTTP/1.1\r\n", *[line] * 400) == 431


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\nx: ", b"GET / HTTP/1.1\r\n",
                                   b"GET / HTTP/1.1\r\nx: y\r\n"])  # fmt: skip
@pytest.mark.parametrize("size", [1, 100, 30_000])
def test_a_line_that_does_not_end_is_not_gathered_without_end(begun: bytes, size: int) -> None:
    assert fault_of(begun, *[b"a" * size] * (60_000 // size)) in (414, 431)


def test_a_long_header_field_is_not_called_a_long_request_line() -> None:
    assert fault_of(b"GET / HTTP/1.1\r\nx: ", *[b"a" * 1000] * 60) == 431
    assert fault_of(b"GET /", *[b"a" * 1000] * 60) == 414


def test_trailers_have_the_limit_of_headers() -> None:
    begun = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    assert fault_of(begun, b"x: y\r\n\r\n") == 0
    assert fault_of(begun, *[b"x: " + b"y" * 100 + b"\r\n"] * 400) in (400, 431)
    assert fault_of(begun, *[b"x" * 1000] * 100) in (400, 431)


def test_a_chunk_extension_without_end() -> None:
    begun = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;"
    assert fault_of(begun, *[b"x" * 1000] * 100) in (400, 431)


def test_a_body_has_the_limit_of_its_plan() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    assert fault_of(head % 1000 + b"x" * 1000) == 0
    assert fault_of(head % 1001) == 413
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert fault_of(chunked, *[b"64\r\n" + b"x" * 100 + b"\r\n"] * 10) == 0
    assert fault_of(chunked, *[b"64\r\n" + b"x" * 100 + b"\r\n"] * 11) == 413


def test_a_body_that_nobody_wants_is_read_up_to_a_limit_and_kept_nowhere() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n"
    piece = b"x" * 65_536
    kept: list[Incoming] = []
    reader = MessageReader(judge, kept.append)
    reader.feed(head)
    fed = 0
    while reader.fault is None:
        reader.feed(piece)
        fed += len(piece)
        assert fed <= MAX_UNWANTED + 2 * len(piece)
    assert reader.fault.status == 413 and kept[0].parts == []


def test_a_streamed_body_is_handed_on_without_limit() -> None:
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n"
    kept: list[Incoming] = []
    reader = MessageReader(judge, kept.append)
    reader.feed(head)
    for _ in range(200):
        reader.feed(b"x" * 65_536)
        assert reader.fault is None
        kept[0].parts = []


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nx: \0\r\n\r\n",
    b"GET /\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    b"XYZZY / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\0\0\0\0",
])  # fmt: skip
def test_what_is_malformed_is_a_fault_in_any_split(data: bytes) -> None:
    assert 400 <= read(data).fault < 600
    assert 400 <= read(data, list(range(len(data)))).fault < 600


def test_a_request_to_switch_protocols_ends_the_reading() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    for extra in (b"", b"\x81\x80abcd", b"GET / HTTP/1.1\r\n\r\n"):
        for cut in range(len(head) + len(extra)):
            told = read(head + extra, [cut])
            assert told.messages[0][-1] and told.rest == extra and told.fault == 0


def test_an_old_client_cannot_switch_protocols() -> None:
    told = read(b"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert not told.messages[0][-1]


def test_a_refusal_of_the_plan_that_leaves_the_connection_whole() -> None:
    def refuse(request: Request) -> tuple[Caller, Plan]:
        raise Problem(404, "no")

    found: list[Incoming] = []
    reader = MessageReader(refuse, found.append)
    reader.feed(
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n"
    )
    assert reader.fault is None and len(found) == 2 and found[0].parts == []


def test_an_expectation_that_cannot_be_met() -> None:
    found: list[Incoming] = []
    reader = MessageReader(judge, found.append)
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nContent-Length: 0\r\n\r\n")
    assert reader.fault is None and found[0].plan.body is Body.NONE


def test_a_large_body_is_not_taken_for_the_next_requests_line() -> None:
    """What was read at once may have the end of one and a few bytes of the other."""
    head = b"PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n"
    sent = head + b"x" * 60_000 + b"GET /b HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for cut in range(len(head) + 60_000, len(sent)):
        told = read(sent, [len(head), len(head) + 30_000, cut])
        assert not told.fault and [path for _, path, *_ in told.messages] == ["/a", "/b"]


UPGRADES = [
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    "Connection: upgrade\r\nUpgrade: something/1.0, other",
    "Upgrade: websocket\r\nConnection: Upgrade",
    "Upgrade: TLS/1.0\r\nConnection: keep-alive, Upgrade",
]
BODIES_SENT = [
    ("Content-Length: 5", b"hello"),
    ("Transfer-Encoding: chunked", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
]


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize(("framing", "body"), BODIES_SENT)
@pytest.mark.parametrize("method", ["POST", "PUT"])
@given(cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_an_upgrade_that_is_not_offered_costs_no_body(
    upgrade: str, framing: str, body: bytes, method: str, cuts: list[int]
) -> None:
    head = f"{method} /t HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n{framing}\r\n\r\n".encode()
    told = read((head + body) * 2 + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n", cuts)
    assert told.fault == 0 and told.rest is None
    assert [(m[0], m[3]) for m in told.messages] == [(method, b"hello")] * 2 + [("GET", b"")]


def test_an_upgrade_in_http_1_0_is_ignored() -> None:
    told = read(
        b"POST /t HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )
    assert told.fault == 0 and told.rest is None
    assert [(m[0], m[3]) for m in told.messages] == [("POST", b"hello")]
