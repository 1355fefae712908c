"""The real server as a process, and connections to it with a deadline on every wait.

A server started here runs with asyncio's debug mode and with warnings as errors; when it is stopped
it must exit with 0 in time and must have written no traceback and no warning.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

import psutil

from tests.support.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Answer,
    Body,
    Decoder,
    Event,
    Frame,
    Head,
    SseParser,
    WireError,
    WsParser,
    parse_head,
    ws_accept,
    ws_frame,
)

DEADLINE = 10.0
"""Seconds any single wait may take."""

SEED = int(os.environ.get("HEXCAST_SEED") or random.SystemRandom().randrange(2**32))

_numbers = itertools.count(1)


def seeded(name: str) -> random.Random:
    """A random source for one test; what is printed repeats the run."""
    print(f"HEXCAST_SEED={SEED} ({name})")
    return random.Random(f"{SEED} {name}")


def unique(stem: str = "t") -> str:
    """A topic name that no other test uses."""
    return f"{stem}-{os.getpid()}-{next(_numbers)}"


def program(name: str) -> str:
    """Where a program is; that it is missing is a failure, not a reason to skip."""
    found = shutil.which(name)
    assert found, (
        f"the tests need the program {name!r}; install it (Debian: apt-get install {name})"
    )
    return found


def free_port() -> int:
    """A port below the range the kernel gives to clients, so that no connection can take it."""
    for _ in range(200):
        port = random.SystemRandom().randrange(18_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


# --- the server -----------------------------------------------------------------------------------

_FAULTS = re.compile(
    r"Traceback \(most recent|Exception ignored|never retrieved|never awaited|"
    r"Task was destroyed|\w+Warning\b|[Uu]nclosed|Fatal Python error"
)


class Endpoint:
    """Where a server, or a proxy in front of one, is reached."""

    def __init__(self, port: int, base: str = "") -> None:
        self.host = "127.0.0.1"
        self.port = port
        self.base = base

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}{self.base}"


class Server(Endpoint):
    """One `hexcast serve` process. As a context manager it is stopped and judged at the end."""

    def __init__(
        self, *options: str, port: int | None = None, base: str = "", debug: bool = True
    ) -> None:
        super().__init__(port or free_port(), base)
        self.options = [*options, *(["--base-path", base] if base else [])]
        self.debug = debug
        self.process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def command(self) -> list[str]:
        script = Path(sys.executable).with_name("hexcast")
        assert script.exists(), "the `hexcast` command is not installed beside this Python"
        return [
            sys.executable, "-W", "error", str(script),
            "serve", "--port", str(self.port), *self.options,
        ]  # fmt: skip

    def start(self) -> Self:
        # Settings of the person who runs the tests must not reach the server under test.
        env = {k: v for k, v in os.environ.items() if not k.startswith("HEXCAST_")}
        if self.debug:
            env["PYTHONASYNCIODEBUG"] = "1"
        if self._stderr is not None:  # started again
            self._stderr.close()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __exit__)
        self.process = subprocess.Popen(
            self.command(), env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=self._stderr,
        )  # fmt: skip
        atexit.register(self.process.kill)
        until = time.monotonic() + 20
        while True:
            assert self.process.poll() is None, f"the server did not start:\n{self.stderr()}"
            try:
                socket.create_connection((self.host, self.port), 1).close()
                return self
            except OSError:
                assert time.monotonic() < until, f"nothing listens:\n{self.stderr()}"
                time.sleep(0.02)

    def run_to_its_end(self) -> subprocess.CompletedProcess[bytes]:
        """For a start that must fail: what it said, and its exit code."""
        return subprocess.run(self.command(), capture_output=True, timeout=20, check=False)

    def stderr(self) -> str:
        assert self._stderr is not None
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    def rss(self) -> int:
        """Bytes of memory the server holds."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, sig: signal.Signals = signal.SIGTERM, within: float = 12.0) -> float:
        """Stop it, demand a clean end, and give back the seconds it took."""
        process = self.process
        assert process is not None
        self.process = None
        began = time.monotonic()
        try:
            if process.poll() is None:
                process.send_signal(sig)
            code = process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"still running {within} s after {sig.name}:\n{self.stderr()}"
            ) from None
        finally:
            process.kill()
            process.wait()
            atexit.unregister(process.kill)
        took = time.monotonic() - began
        errors = self.stderr()
        assert code == 0, f"exit code {code} after {sig.name}:\n{errors}"
        fault = _FAULTS.search(errors)
        assert not fault, f"the server complained ({fault[0] if fault else ''}):\n{errors}"
        return took

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        try:
            if self.process is not None:
                self.stop()
        finally:
            if self._stderr is not None:
                self._stderr.close()


class SecureServer(Server):
    """A server over TLS, for a certificate whose name is `localhost`.

    The helpers below that speak plain HTTP/1.1 are not for it.
    """

    def __init__(self, cert: Path, key: Path, *options: str) -> None:
        super().__init__("--tls-cert", str(cert), "--tls-key", str(key), *options)
        self.cert = cert

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}{self.base}"


@asynccontextmanager
async def deadline(what: str, seconds: float = DEADLINE) -> AsyncIterator[None]:
    """Whatever is awaited inside must be over in time."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise AssertionError(f"nothing within {seconds} s: {what}") from None


# --- HTTP -----------------------------------------------------------------------------------------

Fields = Mapping[str, str] | Iterable[tuple[str, str]]


def request_bytes(
    server: Endpoint, method: str, target: str, fields: Fields = (), body: bytes | None = None
) -> bytes:
    """A request, with a Host unless `fields` has one, and a Content-Length for a body."""
    pairs = list(fields.items() if isinstance(fields, Mapping) else fields)
    names = {name.lower() for name, _ in pairs}
    if "host" not in names:
        pairs.insert(0, ("Host", server.authority))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


class Conn:
    """One TCP connection, driven byte by byte if need be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.buffer = b""
        self.body: Body | None = None

    @classmethod
    async def open(cls, server: Endpoint, *, rcvbuf: int = 0) -> Self:
        sock = socket.socket()
        sock.setblocking(False)
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        try:
            async with deadline("connect"):
                await asyncio.get_running_loop().sock_connect(sock, (server.host, server.port))
                # A small limit: a client that stops reading must make the kernel's buffer fill.
                return cls(*await asyncio.open_connection(sock=sock, limit=2**16))
        except BaseException:
            sock.close()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        self.writer.transport.abort()
        try:
            async with deadline("close"):
                await self.writer.wait_closed()
        except OSError:
            return  # reset by the server first: as closed as can be

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        async with deadline("send"):
            await self.writer.drain()

    async def read(self, seconds: float = DEADLINE) -> bytes:
        """Whatever has arrived; nothing when the server has closed."""
        if self.buffer:
            data, self.buffer = self.buffer, b""
            return data
        async with deadline("bytes from the server", seconds):
            return await self.reader.read(65536)

    async def head(self, seconds: float = DEADLINE, *, method: str = "GET") -> Head:
        """The next answer's head; its body is then read by `content`."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = await self.read(seconds)
            if not more:
                raise EOFError(f"closed before a head, after {data[:300]!r}")
            data += more
            assert len(data) < 2**20, "endless head"
        block, _, self.buffer = data.partition(b"\r\n\r\n")
        head = parse_head(block)
        self.body = Body(head, method)
        if head.status == 101:
            self.body = None
        return head

    async def content(self, seconds: float = DEADLINE) -> bytes:
        """The next piece of the body; nothing at its end."""
        assert self.body is not None
        while not self.body.done:
            data = await self.read(seconds)
            if not data:
                if not self.body.until_close:
                    raise EOFError("closed in the middle of a body")
                self.body.done = True
                return b""
            content = self.body.feed(data)
            if self.body.done:
                self.buffer, self.body.rest = self.body.rest, b""
            if content:
                return content
        return b""

    async def answer(self, method: str = "GET", seconds: float = DEADLINE) -> Answer:
        """The next whole answer; 100 (Continue) is passed over."""
        head = await self.head(seconds, method=method)
        while head.status == 100:
            head = await self.head(seconds, method=method)
        parts = []
        while part := await self.content(seconds):
            parts.append(part)
        return Answer(head, b"".join(parts))

    async def eof(self, seconds: float = DEADLINE) -> bytes:
        """Everything until the server closes. A reset counts as closed."""
        parts = []
        with suppress(ConnectionError):
            while part := await self.read(seconds):
                parts.append(part)
        return b"".join(parts)

    async def ask(
        self, server: Endpoint, method: str, target: str, fields: Fields = (),
        body: bytes | None = None, seconds: float = DEADLINE,
    ) -> Answer:  # fmt: skip
        await self.send(request_bytes(server, method, target, fields, body))
        return await self.answer(method, seconds)


async def ask(
    server: Endpoint, method: str, target: str, fields: Fields = (),
    body: bytes | str | None = None, *, seconds: float = DEADLINE,
) -> Answer:  # fmt: skip
    """One request on a connection of its own. `target` is given below the base path."""
    data = body.encode() if isinstance(body, str) else body
    async with await Conn.open(server) as conn:
        return await conn.ask(server, method, server.base + target, fields, data, seconds)


async def get(server: Endpoint, target: str, fields: Fields = (), **more: Any) -> Answer:
    return await ask(server, "GET", target, fields, **more)


def path(topic: str) -> str:
    return "/topics/" + quote(topic)


async def publish(
    server: Endpoint, topic: str, data: bytes | str, *, method: str = "POST",
    fields: Fields = (("Content-Type", "text/plain; charset=utf-8"),), query: str = "",
) -> str:  # fmt: skip
    """Publish and give back the id."""
    answer = await ask(server, method, path(topic) + query, fields, data)
    assert answer.status in (200, 201), (answer.status, answer.body)
    return str(answer.json()["id"])


async def put(server: Endpoint, topic: str, data: bytes | str, **more: Any) -> str:
    return await publish(server, topic, data, method="PUT", **more)


def problem(answer: Answer, status: int) -> dict[str, Any]:
    """Demand a problem answer (RFC 9457) of that status."""
    assert answer.status == status, (answer.status, answer.body[:500])
    assert answer["content-type"].split(";")[0] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["title"] and isinstance(told["title"], str)
    assert told["detail"] and isinstance(told["detail"], str)
    return dict(told)


# --- Server-Sent Events ---------------------------------------------------------------------------


class Sse:
    """An event stream. What carries no data (comments, `retry:`) is noted and passed over."""

    def __init__(self, conn: Conn, head: Head) -> None:
        self.conn = conn
        self.head = head
        self.retry: int | None = None
        self.blocks: list[Event] = []
        self.ended = False
        self._decoder: Decoder | None = None
        self._parser = SseParser()
        self._ready: list[Event] = []

    @classmethod
    async def open(
        cls, server: Endpoint, target: str, fields: Fields = (), *, rcvbuf: int = 0
    ) -> Self:
        conn = await Conn.open(server, rcvbuf=rcvbuf)
        pairs = list(fields.items() if isinstance(fields, Mapping) else fields)
        try:
            await conn.send(
                request_bytes(
                    server, "GET", server.base + target, [("Accept", "text/event-stream"), *pairs]
                )
            )
            head = await conn.head()
            assert head.status == 200, (head, await conn.content())
            assert head.get("content-type").split(";")[0] == "text/event-stream"
        except BaseException:
            await conn.close()
            raise
        return cls(conn, head)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.conn.close()

    async def block(self, seconds: float = DEADLINE) -> Event | None:
        """The next block of any sort; None when the stream has ended."""
        while not self._ready:
            data = await self.conn.content(seconds)
            if not data:
                assert not self._parser.pending, "the stream ended inside a block"
                self.ended = True
                return None
            if self._decoder is None:
                self._decoder = Decoder(self.head.get("content-encoding"))
            self._ready = self._parser.feed(self._decoder.feed(data))
        event = self._ready.pop(0)
        self.blocks.append(event)
        if event.retry is not None:
            self.retry = event.retry
        return event

    async def event(self, seconds: float = DEADLINE) -> Event:
        """The next event that a browser would dispatch."""
        async with deadline("an event", seconds):
            while (event := await self.block(seconds)) is not None:
                if event.data is not None:
                    return event
        raise EOFError("the event stream ended")

    async def record(self, seconds: float = DEADLINE) -> Event:
        """The next event that is not just a moved cursor."""
        async with deadline("a record", seconds):
            while (event := await self.event(seconds)).event == "hexcast:cursor":
                continue
        return event

    async def end(self, seconds: float = DEADLINE) -> None:
        """Demand that the stream ends, with no further record."""
        async with deadline("the end of the event stream", seconds):
            while (event := await self.block(seconds)) is not None:
                assert event.data is None or event.event == "hexcast:cursor", event


# --- WebSocket ------------------------------------------------------------------------------------


class WsClosed(Exception):
    """The server closed: code (1006: without a close frame) and reason."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Ws:
    """A WebSocket connection whose frames a test can see and forge."""

    def __init__(self, conn: Conn, head: Head) -> None:
        self.conn = conn
        self.head = head
        self._parser = WsParser(packed="sec-websocket-extensions" in head)
        self._ready: list[Frame] = []
        self._parts: list[Frame] = []

    @classmethod
    async def open(
        cls, server: Endpoint, target: str, *, protocol: str = "", fields: Fields = (),
        rcvbuf: int = 0,
    ) -> Self:  # fmt: skip
        key = base64.b64encode(os.urandom(16)).decode()
        conn = await Conn.open(server, rcvbuf=rcvbuf)
        try:
            await conn.send(
                request_bytes(
                    server, "GET", server.base + target, upgrade_fields(key, protocol, fields)
                )
            )
            head = await conn.head()
            if head.status != 101:
                raise WireError(f"no upgrade: {head.status} {await conn.content()!r}")
            assert head.tokens("upgrade") == {"websocket"}
            assert "upgrade" in head.tokens("connection")
            assert head.get("sec-websocket-accept") == ws_accept(key)
            assert head.get("sec-websocket-protocol") == protocol
            offered = dict(fields).get("Sec-WebSocket-Extensions", "")
            assert offered or "sec-websocket-extensions" not in head
        except BaseException:
            await conn.close()
            raise
        return cls(conn, head)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.conn.close()

    @property
    def unpacked(self) -> int:
        """Messages that came compressed."""
        return self._parser.unpacked

    async def send(self, opcode: int, payload: bytes = b"", **more: Any) -> None:
        await self.conn.send(ws_frame(opcode, payload, **more))

    async def say(self, message: Any) -> None:
        """Send one JSON text message."""
        await self.send(TEXT, json.dumps(message).encode())

    async def frame(self, seconds: float = DEADLINE) -> Frame:
        """The next frame of any sort."""
        while not self._ready:
            try:
                data = await self.conn.read(seconds)
            except ConnectionError:
                data = b""
            if not data:
                raise WsClosed(1006)
            self._ready = self._parser.feed(data)
        return self._ready.pop(0)

    async def message(self, seconds: float = DEADLINE) -> str | bytes:
        """The next message; pings are answered, a close is answered and raised."""
        async with deadline("a message", seconds):
            while True:
                frame = await self.frame(seconds)
                if frame.opcode == PING:
                    await self.send(PING + 1, frame.payload)
                elif frame.opcode == CLOSE:
                    await self.send(CLOSE, frame.payload)
                    code = int.from_bytes(frame.payload[:2], "big") if frame.payload else 1005
                    raise WsClosed(code, frame.payload[2:].decode())
                elif frame.opcode in (TEXT, BINARY, CONTINUATION):
                    if (frame.opcode == CONTINUATION) != bool(self._parts):
                        raise WireError("fragments out of order")
                    self._parts.append(frame)
                    if frame.fin:
                        whole = b"".join(part.payload for part in self._parts)
                        kind, self._parts = self._parts[0].opcode, []
                        return whole.decode() if kind == TEXT else whole

    async def hear(self, seconds: float = DEADLINE) -> Any:
        """The next JSON message that is not just a moved cursor."""
        async with deadline("a message", seconds):
            while True:
                message = json.loads(await self.message(seconds))
                if list(message) != ["cursor"]:
                    return message

    async def closed(self, seconds: float = DEADLINE) -> int:
        """The close code, whatever else comes before it; the socket must then be closed too."""
        try:
            async with deadline("a close", seconds):
                while True:
                    await self.message(seconds)
        except WsClosed as closed:
            # A server that has failed the connection cannot read our close frame any more, and may
            # linger so that its own is not lost; the end of our side is what it waits for.
            with suppress(OSError):
                self.conn.writer.write_eof()
            await self.conn.eof(seconds)
            return closed.code


def upgrade_fields(key: str, protocol: str = "", fields: Fields = ()) -> list[tuple[str, str]]:
    """The request fields of an opening handshake."""
    return [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
        *([("Sec-WebSocket-Protocol", protocol)] if protocol else []),
        *(fields.items() if isinstance(fields, Mapping) else fields),
    ]
