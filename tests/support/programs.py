"""The command line as a user meets it: a process with pipes, or with a terminal."""

from __future__ import annotations

import json
import os
import pty
import queue
import re
import signal
import socket
import socketserver
import subprocess
import sys
import termios
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, Literal, Self

from typer.testing import CliRunner

from hexcast.cli.commands import app

SECONDS = 20.0

# Warnings end these programs, and asyncio's debugging is on: what they do must be clean.
STRICT = ("-X", "dev", "-W", "error")

Output = Literal["out", "err"]


class Hexcast:
    """A running `hexcast …`; its lines are read as they come, each wait with a deadline."""

    def __init__(
        self,
        *arguments: str,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        terminal: Output | None = None,
        strict: bool = True,
        env: dict[str, str] | None = None,
    ) -> None:
        """`terminal` names the output that goes to a terminal instead of a pipe."""
        command = [sys.executable, *(STRICT if strict else ()), "-m", "hexcast.cli", *arguments]
        ends: dict[str, int] = {"out": stdout, "err": subprocess.PIPE}
        master = -1
        if terminal is not None:
            master, ends[terminal] = pty.openpty()
            attributes = termios.tcgetattr(ends[terminal])
            attributes[1] &= ~termios.OPOST  # line ends as they are written
            termios.tcsetattr(ends[terminal], termios.TCSANOW, attributes)
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("HEXCAST_")}
        self.process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=ends["out"],
            stderr=ends["err"],
            env=inherited | {"TERM": "xterm-256color", "COLUMNS": "120"} | (env or {}),
        )
        self._lines: dict[Output, queue.Queue[str | None]] = {
            "out": queue.Queue(),
            "err": queue.Queue(),
        }
        self.seen: dict[Output, list[str]] = {"out": [], "err": []}
        self._threads = []
        for name in ("out", "err"):
            if name == terminal:
                os.close(ends[name])
                stream: Any = os.fdopen(master, "rb", buffering=0)
            else:
                stream = self.process.stdout if name == "out" else self.process.stderr
            if stream is None:  # it goes elsewhere
                self._lines[name].put(None)
                continue
            thread = threading.Thread(target=self._read, args=(name, stream), daemon=True)
            thread.start()
            self._threads.append((thread, stream))
        self.url = ""

    def _read(self, name: Output, stream: IO[bytes]) -> None:
        rest = b""
        while True:
            try:
                data = os.read(stream.fileno(), 65536)
            except OSError:  # how a terminal says that the other end is closed
                data = b""
            if not data:
                break
            *lines, rest = re.split(rb"[\r\n]", rest + data)
            for line in lines:
                self._lines[name].put(line.decode())
        if rest:
            self._lines[name].put(rest.decode())
        self._lines[name].put(None)

    def line(self, name: Output = "out") -> str | None:
        """The next line; None at the end."""
        line = self._lines[name].get(timeout=SECONDS)
        if line is not None and not _told(line):
            return self.line(name)
        if line is not None:
            self.seen[name].append(line)
        return line

    def until(self, text: str, name: Output = "err") -> str:
        """Read on to the line that has `text`, and give that."""
        while (line := self.line(name)) is not None:
            if text in line:
                return line
        raise AssertionError(f"no line with {text!r} in {self.seen}")

    def write(self, data: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data.encode())
        self.process.stdin.flush()

    def end_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end, and read what is left; the exit code."""
        code = self.process.wait(SECONDS)
        for name in ("out", "err"):
            while self.line(name) is not None:
                pass
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(SECONDS)
        for thread, stream in self._threads:
            thread.join(SECONDS)
            stream.close()
        if self.process.stdin is not None:
            self.process.stdin.close()

    # A server's topics, by the plainest client there is

    def get(self, topic: str) -> Any:
        """A topic's newest record."""
        with urllib.request.urlopen(f"{self.url}/topics/{topic}?format=json", timeout=5) as got:
            return json.load(got)

    def held(self, topic: str) -> list[dict[str, Any]]:
        """All records of a topic that are held."""
        url = f"{self.url}/topics/{topic}?format=json&since=earliest&limit=1000"
        with urllib.request.urlopen(url, timeout=5) as got:
            records = json.load(got)["records"]
        assert isinstance(records, list)
        return records

    def post(self, topic: str, data: str, query: str = "", type: str = "text/plain") -> str:
        """Publish to a stream; the id."""
        request = urllib.request.Request(
            f"{self.url}/topics/{topic}{query}", data.encode(), {"Content-Type": type}
        )
        with urllib.request.urlopen(request, timeout=5) as got:
            return str(json.load(got)["id"])


@dataclass(frozen=True)
class Done:
    """What a command has left behind."""

    code: int
    out: str
    err: str


def run(*arguments: str, env: dict[str, str] | None = None) -> Done:
    """Run a command to its end within this process: it must not need real files or signals."""
    cleared = {name: None for name in os.environ if name.startswith("HEXCAST_")}
    result = CliRunner().invoke(
        app, list(arguments), env={"COLUMNS": "200"} | cleared | (env or {})
    )
    return Done(result.exit_code, result.stdout, result.stderr)


def hexcast(*arguments: str, input: bytes = b"") -> Done:
    """Run a command to its end in a process of its own."""
    done = subprocess.run(
        [sys.executable, *STRICT, "-m", "hexcast.cli", *arguments],
        input=input,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    lines = done.stderr.decode().splitlines(keepends=True)
    return Done(done.returncode, done.stdout.decode(), "".join(filter(_told, lines)))


def _told(line: str) -> bool:
    """Whether a line of standard error is the program's own.

    On a busy machine asyncio's debugging tells of slow steps.
    """
    return not line.startswith("Executing <")


@contextmanager
def serving(
    command: str, *options: str, port: int = 0, env: dict[str, str] | None = None
) -> Iterator[Hexcast]:
    """A command that serves, from its start line on."""
    with Hexcast(command, "--port", str(port), *options, strict=False, env=env) as program:
        found = re.search(r"serves (https?://\S+)", program.until("serves"))
        assert found is not None
        program.url = found[1]
        yield program


@contextmanager
def http1_only(url: str) -> Iterator[str]:
    """What stands before a server and speaks HTTP/1.1 alone; its URL."""
    host, _, port = url.removeprefix("http://").partition(":")

    class Passing(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            first = self.request.recv(65536)
            if first.startswith(b"PRI "):
                self.request.sendall(b"HTTP/1.1 505 X\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection((host, int(port)), 10) as server:
                server.sendall(first)
                with suppress(OSError):  # the client goes when it has enough
                    while data := server.recv(65536):
                        self.request.sendall(data)

    class Passer(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Passer(("127.0.0.1", 0), Passing) as passer:
        thread = threading.Thread(target=passer.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{passer.server_address[1]}"
        passer.shutdown()
        thread.join(SECONDS)


def wait_until(condition: Any, seconds: float = SECONDS) -> Any:
    """Wait until `condition()` is true; what it gave."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)
    return value
