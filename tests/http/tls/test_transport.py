"""The TLS transport, with a client's TLS on the other side and no socket between them."""

from __future__ import annotations

import asyncio
import random
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hexcast.http.context import ServerContext
from hexcast.http.exchange import Plan
from hexcast.http.response import Response
from hexcast.http.tls.context import Tls
from hexcast.http.tls.dev_certificate import make
from hexcast.http.tls.transport import CLOSE_SECONDS, HANDSHAKE_SECONDS, MAX_CHUNK, TlsTransport
from hexcast.model.caller import Caller
from hexcast.model.counters import Counters
from tests.support.harness import seeded


class Below(asyncio.Transport):
    """A TCP transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.events: list[str] = []
        self.queued = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def write_eof(self) -> None:
        self.events.append("eof")

    def pause_reading(self) -> None:
        self.events.append("pause")

    def resume_reading(self) -> None:
        self.events.append("resume")

    def get_write_buffer_size(self) -> int:
        return self.queued

    def is_closing(self) -> bool:
        return "close" in self.events or "abort" in self.events

    def close(self) -> None:
        self.events.append("close")

    def abort(self) -> None:
        self.events.append("abort")


class Above(asyncio.Protocol):
    """Takes what comes through."""

    def __init__(self, pause_after: int = -1) -> None:
        self.got = b""
        self.events: list[str] = []
        self.pause_after = pause_after
        self.transport: TlsTransport | None = None

    def data_received(self, data: bytes) -> None:
        self.got += data
        if len(self.got) > self.pause_after >= 0 and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self.events.append("eof")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.events.append("lost")


class Both:
    """A server's side and a client's, joined by hand."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.now = 100.0
        self.shared = ServerContext(
            lambda request, address: Caller(address=address),
            lambda request, caller: Plan(lambda exchange, body: exchange.respond(Response(204))),
            Counters(), lambda: self.now, lambda: 0.0, secure=True,
        )  # fmt: skip
        self.below = Below()
        self.server = TlsTransport(self.shared, context)
        self.server.connection_made(self.below)
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        trusting.set_alpn_protocols(["h2", "http/1.1"])
        self.to_client, self.from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = trusting.wrap_bio(self.to_client, self.from_client)

    def carry(self, chance: random.Random | None = None) -> None:
        """Take to each side what the other has sent, in pieces."""
        data = self.from_client.read()
        while data:
            size = chance.randint(1, 40_000) if chance else len(data)
            self.server.data_received(data[:size])
            data = data[size:]
        self.to_client.write(self.below.sent)
        self.below.sent = b""

    def shake(self, chance: random.Random | None = None) -> None:
        for _ in range(5):
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                self.carry(chance)
        self.carry(chance)

    def open(self, above: Above) -> None:
        """Shake hands, and put a protocol of the test's own in place of HTTP."""
        self.shake()
        above.transport = self.server
        self.server.set_protocol(above)
        self.heard()

    def heard(self) -> bytes:
        """What the client reads."""
        self.carry()
        got = b""
        while True:
            try:
                piece = self.client.read(MAX_CHUNK)
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                return got
            if not piece:
                return got
            got += piece

    def later(self, seconds: float) -> None:
        """Let the wheel turn that far."""
        self.now += seconds
        self.shared.tick()


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = make(["localhost"], datetime.now(UTC))
    for name, data in (("cert.pem", cert), ("key.pem", key)):
        Path(folder / name).write_bytes(data)
    return Tls(folder / "cert.pem", folder / "key.pem").context


@pytest.fixture
async def both(context: ssl.SSLContext) -> Both:
    return Both(context)


async def test_speaks_the_protocol_that_alpn_settles(both: Both) -> None:
    chance = seeded("alpn")
    both.shake(chance)
    assert both.client.selected_alpn_protocol() == "h2"
    assert type(both.server.get_protocol()).__name__ == "H2Connection"
    assert both.heard()[3] == 4  # SETTINGS
    assert both.shared.counters.connections == 1
    both.server.connection_lost(None)
    assert both.shared.counters.connections == 0
    assert not both.shared.connections


async def test_everything_comes_through_in_both_directions(both: Both) -> None:
    chance = seeded("through")
    above = Above()
    both.open(above)
    for size in (1, 100, MAX_CHUNK, MAX_CHUNK + 1, 300_000):
        data = chance.randbytes(size)
        both.server.write(memoryview(data))
        assert both.heard() == data
        both.client.write(data)
        both.carry(chance)
        assert above.got == data
        above.got = b""


async def test_nothing_is_handed_on_while_reading_is_paused(both: Both) -> None:
    above = Above(pause_after=50_000)
    both.open(above)
    data = bytes(200_000)
    both.client.write(data)
    both.carry()
    assert 50_000 < len(above.got) <= 50_000 + MAX_CHUNK
    assert "pause" in both.below.events
    above.pause_after = -1
    both.server.resume_reading()
    await asyncio.sleep(0)
    assert above.got == data
    assert both.below.events[-1] == "resume"


async def test_a_handshake_has_a_deadline(both: Both) -> None:
    both.server.data_received(b"\x16\x03\x01")
    both.later(HANDSHAKE_SECONDS - 2)
    assert both.below.events == []
    both.later(4)
    assert both.below.events == ["abort"]
    both.server.connection_lost(None)
    assert both.shared.counters.connections == 0


async def test_what_is_no_tls_is_closed(both: Both) -> None:
    both.server.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert both.below.events == ["close"]
    both.server.data_received(b"more")
    both.server.connection_lost(None)
    assert not both.shared.connections


async def test_a_stop_cuts_a_handshake_off(both: Both) -> None:
    both.server.data_received(b"\x16\x03\x01")
    for connection in list(both.shared.connections):
        connection.drain()
    assert both.below.events == ["abort"]


async def test_a_broken_record_ends_the_connection(both: Both) -> None:
    above = Above()
    both.open(above)
    both.server.data_received(b"\x17\x03\x03\x00\x20" + b"z" * 32)
    assert both.below.events[-1] == "abort"
    assert above.got == b""


async def test_the_clients_farewell_is_answered(both: Both) -> None:
    above = Above()
    both.open(above)
    with pytest.raises(ssl.SSLWantReadError):
        both.client.unwrap()
    both.carry()
    assert above.events == ["eof"]
    assert both.below.events == ["eof"]
    both.to_client.write(both.below.sent)
    both.client.unwrap()


async def test_a_close_waits_for_the_client_a_while(both: Both) -> None:
    above = Above()
    both.open(above)
    both.server.write(b"the last words")
    both.server.close()
    both.server.write(b"too late")
    assert both.below.events == ["eof"]
    assert both.heard() == b"the last words"
    both.later(CLOSE_SECONDS - 1)
    assert both.below.events == ["eof"]
    both.later(3)
    assert both.below.events == ["eof", "abort"]


async def test_a_slow_client_gets_all_that_was_sent_before_a_close(both: Both) -> None:
    both.open(Above())
    both.below.queued = 100_000
    both.server.close()
    for queued in (60_000, 30_000, 10):
        both.below.queued = queued
        both.later(CLOSE_SECONDS + 2)
        assert both.below.events == ["eof"]
    both.later(CLOSE_SECONDS + 2)  # it takes nothing any more
    assert both.below.events == ["eof", "abort"]
