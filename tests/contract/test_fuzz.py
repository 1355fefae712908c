"""Random and mutated bytes: the server lives, others notice nothing, nothing is half-published."""

from __future__ import annotations

import json
import random
import re
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.support.harness import DEADLINE, SEED, Server, request_bytes, unique
from tests.support.wire import SseParser, parse_head, ws_frame

print(f"HEXCAST_SEED={SEED} (fuzz)")

QUIET = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Sentinel:
    """A client beside the noise: an event stream, and a publisher on a connection of its own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.topic = unique("sentinel")
        self.count = 0
        self.parser = SseParser()
        self.stream = connect(server)
        self.publisher = connect(server)
        self.stream.sendall(request_bytes(server, "GET", f"/topics/{self.topic}?way=sse"))
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.stream.recv(65536)
        assert parse_head(data.partition(b"\r\n\r\n")[0]).status == 200

    def check(self) -> None:
        """Publish one record, have it acknowledged, and see it arrive, next in the stream."""
        self.count += 1
        body = b"beat %d" % self.count
        self.publisher.sendall(
            request_bytes(
                self.server, "POST", f"/topics/{self.topic}", {"Content-Type": "text/plain"}, body
            )
        )
        assert self.publisher.recv(65536).startswith(b"HTTP/1.1 201 ")
        data = b""
        while b"data: %b\n" % body not in data and b"data:%b\n" % body not in data:
            more = self.stream.recv(65536)
            assert more, "the other client's stream was cut"
            data += more
        told = [int(n) for n in re.findall(rb"data: ?beat (\d+)", data)]
        assert told == [self.count]

    def close(self) -> None:
        self.stream.close()
        self.publisher.close()


def connect(server: Server) -> socket.socket:
    sock = socket.create_connection((server.host, server.port), DEADLINE)
    sock.settimeout(DEADLINE)
    return sock


@pytest.fixture(scope="module")
def sentinel(server: Server) -> Iterator[Sentinel]:
    watcher = Sentinel(server)
    yield watcher
    watcher.close()


def throw(server: Server, data: bytes, cuts: list[int]) -> bytes:
    """Send bytes in pieces, end the sending side, and read until the server has had enough."""
    with connect(server) as sock:
        answer = b""
        try:
            for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
                sock.sendall(data[start:end])
            sock.shutdown(socket.SHUT_WR)
            while more := sock.recv(65536):
                answer += more
                if len(answer) > 2**20:
                    break
        except TimeoutError:
            raise AssertionError(f"no end: {data!r} was answered {answer[:500]!r}") from None
        except OSError:
            return answer
        return answer


def mutate(data: bytes, source: random.Random) -> bytes:
    """Break a good request in a few places."""
    broken = bytearray(data)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(broken) + 1)
        match source.randrange(7):
            case 0 if at < len(broken):
                broken[at] ^= 1 << source.randrange(8)
            case 1:
                broken[at:at] = source.randbytes(source.randint(1, 5))
            case 2:
                del broken[at : at + source.randint(1, 20)]
            case 3:
                broken[at:at] = broken[at : at + 30]
            case 4:
                broken[at:at] = source.choice(
                    [b"\r\n", b"\n", b"\r", b"\x00", b" ", b":", b"%", b"\r\n\r\n"]
                )
            case 5:
                del broken[at:]
            case _:
                broken[at:at] = b"9" * source.randint(1, 25)
        if not broken:
            broken += b"\n"
    return bytes(broken)


def good_requests(server: Server, topic: str) -> list[bytes]:
    """One of each sort, none of which holds the line open for long."""
    line = json.dumps({"topic": topic, "data": "x"}).encode() + b"\n"
    text = {"Content-Type": "text/plain"}
    chunked = {"Transfer-Encoding": "chunked"}
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    protocol = {**upgrade, "Sec-WebSocket-Protocol": "hexcast.v1"}
    at = f"/topics/{topic}"
    message = json.dumps({"subscribe": [topic, "a/*"], "since": "earliest", "ref": 1}).encode()
    return [
        request_bytes(server, "GET", f"{at}?since=earliest&limit=5"),
        request_bytes(server, "GET", f"{at}?way=poll", {"If-None-Match": '"k-1"'}),
        request_bytes(
            server, "GET", at, {"Accept": "text/html;q=0.9,*/*;q=0.1", "Accept-Encoding": "gzip"}
        ),
        request_bytes(
            server, "POST", f"{at}?event=tick", {**text, "Idempotency-Key": "k"}, b"body"
        ),
        request_bytes(server, "PUT", at, {**text, **chunked}) + b"4\r\nbody\r\n0\r\n\r\n",
        request_bytes(
            server, "POST", "/topics", {"Content-Type": "application/x-ndjson"}, line * 3
        ),
        request_bytes(
            server, "POST", "/topics", {"Content-Type": "application/x-ndjson", **chunked}
        )
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(line), line),
        request_bytes(server, "GET", at, upgrade) + ws_frame(9, b"x") + ws_frame(8, b"\x03\xe8"),
        request_bytes(server, "GET", "/topics", protocol)
        + ws_frame(1, message)
        + ws_frame(8, b"\x03\xe8"),
        request_bytes(server, "GET", "/healthz") + request_bytes(server, "HEAD", "/metrics"),
        request_bytes(server, "OPTIONS", at)
        + request_bytes(server, "DELETE", f"/topics/{topic}-x"),
    ]


@seed(SEED)
@QUIET
@given(data=st.binary(min_size=1, max_size=600), cut=st.integers(0, 600))
def test_random_bytes(server: Server, sentinel: Sentinel, data: bytes, cut: int) -> None:
    throw(server, data, [min(cut, len(data))])
    sentinel.check()


@seed(SEED)
@QUIET
@given(source=st.integers(0, 2**32 - 1))
def test_mutated_requests(server: Server, sentinel: Sentinel, source: int) -> None:
    chance = random.Random(source)
    topic = unique("fuzz")
    data = mutate(chance.choice(good_requests(server, topic)), chance)
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(3)))
    throw(server, data, cuts)
    sentinel.check()


@seed(SEED)
@QUIET
@given(source=st.integers(0, 2**32 - 1))
def test_mutated_frames(server: Server, sentinel: Sentinel, source: int) -> None:
    chance = random.Random(source)
    topic = unique("fuzz")
    upgrade = good_requests(server, topic)[8].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    messages = [
        json.dumps({"publish": topic, "data": {"a": [1, "x"]}, "ref": 1}).encode(),
        json.dumps({"subscribe": [topic], "last": 3, "ref": "r"}).encode(),
        json.dumps({"unsubscribe": [topic]}).encode(),
        b'{"ping": 1}',
    ]
    frames = b"".join(
        mutate(
            ws_frame(
                chance.choice([0, 1, 1, 1, 2, 9, 10]),
                chance.choice(messages),
                fin=chance.random() < 0.8,
            ),
            chance,
        )
        if chance.random() < 0.5
        else ws_frame(1, mutate(chance.choice(messages), chance))
        for _ in range(chance.randint(1, 5))
    )
    throw(server, upgrade + frames + ws_frame(8, b"\x03\xe8"), [])
    sentinel.check()


@seed(SEED)
@settings(QUIET, max_examples=120)
@given(
    cut=st.integers(0, 10_000),
    size=st.integers(1, 4000),
    chunked=st.booleans(),
    reset=st.booleans(),
)
def test_a_publish_cut_anywhere_is_whole_or_not_at_all(
    server: Server, sentinel: Sentinel, cut: int, size: int, chunked: bool, reset: bool
) -> None:
    topic = unique("cut")
    body = bytes(97 + n % 26 for n in range(size))
    fields = {"Content-Type": "text/plain"}
    if chunked:
        half = size // 2
        data = request_bytes(
            server, "PUT", f"/topics/{topic}", {**fields, "Transfer-Encoding": "chunked"}
        )
        for part in (body[:half], body[half:]):
            data += b"%x\r\n%b\r\n" % (len(part), part) if part else b""
        data += b"0\r\n\r\n"
    else:
        data = request_bytes(server, "PUT", f"/topics/{topic}", fields, body)
    whole = cut >= len(data)
    with connect(server) as sock:
        sock.sendall(data[:cut])
        if whole:
            assert sock.recv(65536).startswith(b"HTTP/1.1 201 ")
        elif reset:
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
            )
        else:
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                continue
    sentinel.check()
    with connect(server) as sock:
        sock.sendall(request_bytes(server, "GET", f"/topics/{topic}", {"Connection": "close"}))
        answer = b""
        while more := sock.recv(65536):
            answer += more
    if whole:
        assert answer.endswith(b"\r\n\r\n" + body)
    else:
        assert answer.startswith(b"HTTP/1.1 404 ")


def test_the_server_lives(server: Server, sentinel: Sentinel) -> None:
    assert server.alive()
    sentinel.check()
