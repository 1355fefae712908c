"""Servers to test clients against: the real one in a process of its own, a proxy that cuts
connections, and one that plays a script."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

START_SECONDS = 20.0
STOP_SECONDS = 20.0


class ServerProcess:
    """`hexcast serve` (or another command that serves) on a free port, until `stop`."""

    def __init__(self, *options: str, command: str = "serve") -> None:
        self._options = options
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.port = 0
        self.messages = ""  # what it has said on standard error when it was last looked at
        self._said = tempfile.NamedTemporaryFile(suffix=".stderr")  # noqa: SIM115  # closed in stop

    def start(self) -> Self:
        """Start, and return when it listens; again after `stop`, on the same port."""
        with open(self._said.name, "ab") as said:
            said.truncate(0)
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "hexcast.cli", self._command),
                    *("--port", str(self.port), *self._options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        deadline = time.monotonic() + START_SECONDS
        while (found := re.search(r"serves (https?://\S+)", self.read_messages())) is None:
            assert self._process.poll() is None, self.messages
            assert time.monotonic() < deadline, "no start line in time"
            time.sleep(0.01)
        self.url = found[1]
        self.port = urlsplit(self.url).port or 0
        return self

    def read_messages(self) -> str:
        self.messages = Path(self._said.name).read_text()
        return self.messages

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        assert self._process is not None
        code = self._process.wait(STOP_SECONDS)
        self._process = None
        return code

    def stop(self) -> int:
        """Stop it if it runs; the exit code."""
        if self._process is None:
            return 0
        self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            return self.wait()

    def close(self) -> None:
        self.stop()
        self._said.close()


@dataclass
class CuttingProxy:
    """Passes bytes between clients and a server, and can cut all connections at once."""

    host: str
    port: int
    buffering: bool = False
    """Whether a request's body is held back until it is complete, as some proxies do."""

    connections: int = 0
    """How many there have been."""

    url: str = ""
    swallow: bool = False
    """Whether bytes of the server are thrown away instead of passed on."""

    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        async with listening(self._connection) as self.url:
            yield self

    def cut(self) -> None:
        """Abort every connection, on both sides."""
        for writer in self._open:
            writer.transport.abort()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, back = await asyncio.open_connection(self.host, self.port)
        self._open |= {writer, back}
        both = [
            asyncio.create_task(self._pass(reader, back, upwards=True)),
            asyncio.create_task(self._pass(there, writer, upwards=False)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open -= {writer, back}
            back.close()  # before anything is waited for: the wait may be cancelled
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            await _close(back)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, upwards: bool
    ) -> None:
        held = b""
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if upwards and self.buffering:
                    held += data
                    if not held.endswith(b"\r\n0\r\n\r\n"):
                        continue
                    data, held = held, b""
                if upwards or not self.swallow:
                    writer.write(data)
                    await writer.drain()


Script = Callable[[str, dict[str, str], bytes], Awaitable[bytes | list[bytes | float]]]


@dataclass
class ScriptedServer:
    """Answers each request with what `script` gives for its target, headers and body.

    That is the bytes to send, or a list of them and of pauses in seconds; then it closes.
    """

    script: Script
    url: str = ""
    targets: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        async with listening(self._connection) as self.url:
            yield self

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        target = first.split(" ")[1]
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.targets.append(target)
        self.times.append(asyncio.get_running_loop().time())
        answer = await self.script(target, headers, body)
        for part in [answer] if isinstance(answer, bytes) else answer:
            if isinstance(part, float):
                await asyncio.sleep(part)
            else:
                writer.write(part)
                await writer.drain()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(handle: Handler) -> AsyncIterator[str]:
    """Serve connections with `handle` on a free port; the URL. All of them end with it."""
    tasks: set[asyncio.Task[None]] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A client that goes in the middle is what some tests are about.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await handle(reader, writer)
        finally:
            await _close(writer)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(guarded(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def answer(
    status: int = 200, body: bytes = b"", type: str = "application/json", **headers: str
) -> bytes:
    """A complete HTTP answer after which the connection is closed."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {type}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
