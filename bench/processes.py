"""The processes a measure is made of: the server, the C loop, and the sinks, which are the clients.

Each is a child with a deadline on every answer. A child that fails, or says nothing in time, ends
the measure: a figure from a run in which something was missing is not a figure.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from bench.build import BIN
from bench.system import cpu_ns, free_port, wait_quiet

__all__ = ["BenchError", "Child", "Cores", "SendLoop", "Server", "Sink"]

SAY_AT_MOST = 65536


class BenchError(Exception):
    """Something that was to be measured did not happen, or not completely."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the sender (server or C loop) and the clients are kept on; None: as it comes."""

    sender: set[int] | None = None
    clients: set[int] | None = None


class Child:
    """A process that takes commands on standard input and answers in JSON lines."""

    def __init__(self, command: Sequence[str], cores: set[int] | None) -> None:
        self._name = Path(command[0]).name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._heard = b""
        if cores is not None:
            os.sched_setaffinity(self._process.pid, cores)

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")

    def hear(self, event: str, deadline: float) -> dict[str, Any]:
        """The next line, which must be of this event. Raises BenchError otherwise, or when late."""
        assert self._process.stdout is not None
        ends = time.monotonic() + deadline
        while b"\n" not in self._heard:
            left = ends - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise BenchError(f"{self._name}: no '{event}' within {deadline:g} s")
            piece = os.read(self._process.stdout.fileno(), SAY_AT_MOST)
            if not piece:
                raise BenchError(f"{self._name} ended where '{event}' was due")
            self._heard += piece
        line, self._heard = self._heard.split(b"\n", 1)
        said: dict[str, Any] = json.loads(line)
        if said["event"] != event:
            raise BenchError(f"{self._name}: {said.get('why', said)} (where '{event}' was due)")
        return said

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class SendLoop(Child):
    """The bare C `send()` loop: the floor."""

    def __init__(self, subscribers: int, cores: Cores) -> None:
        super().__init__([str(BIN / "send_loop"), str(subscribers)], cores.sender)
        self.port: int = self.hear("listening", 10)["port"]
        self.subscribers = subscribers

    def cpu_of(self, work: Callable[[], object]) -> int:
        """CPU in ns that it spends until this work is done."""
        before = cpu_ns(self.pid)
        work()
        return cpu_ns(self.pid) - before

    def send(self, first: int, records: int, per_second: float, size: int) -> float:
        """Send these records at this pace; return the CPU time in ns as getrusage tells it."""
        self.say(f"send {first} {records} {per_second} {size}")
        deadline = 60 + (records / per_second if per_second else 0)
        return float(self.hear("sent", deadline)["cpu_ns"])


class Sink(Child):
    """Many clients of one server in one process. Counts and checks every record of each of them."""

    def __init__(
        self, mode: str, port: int, clients: int, head: str, cores: Cores, first: int = 0
    ) -> None:
        where = ["127.0.0.1", str(port)]
        super().__init__(
            [str(BIN / "sink"), mode, *where, str(clients), str(first), head], cores.clients
        )
        self.clients = clients

    def wait_ready(self) -> None:
        """Wait until every client has its response head (or first answer). Raises BenchError."""
        self.hear("ready", 30 + self.clients / 200)

    def expect(self, records: int) -> None:
        """Ask to be told when every client has this many records since the start."""
        self.say(f"expect {records}")

    def reached(self, deadline: float) -> dict[str, Any]:
        """When and with how many bytes it came true. Raises BenchError if anything is missing."""
        return self.hear("reached", deadline)


class Server:
    """The real server, in a process of its own; stopped with SIGTERM, and must then exit with 0."""

    def __init__(
        self,
        command: str | None,
        cores: Cores,
        options: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        # Closed in __exit__: it lives as long as the server.
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            _server_command(command, self.port, options),
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
        )
        if cores.sender is not None:
            os.sched_setaffinity(self._process.pid, cores.sender)
        try:
            self._wait_listening(30)
        except BaseException:
            self._process.kill()
            self._process.wait(10)
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_of(self, work: Callable[[], object]) -> int:
        """CPU in ns that it spends until this work is done and it has nothing in hand any more."""
        wait_quiet(self.pid)
        before = cpu_ns(self.pid)
        work()
        wait_quiet(self.pid)
        used = cpu_ns(self.pid) - before
        return used

    def errors(self) -> str:
        """The end of what it wrote to its standard error."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-2000:]

    def _wait_listening(self, deadline: float) -> None:
        ends = time.monotonic() + deadline
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            if self._process.poll() is not None or time.monotonic() > ends:
                raise BenchError(f"the server does not listen:\n{self.errors()}")
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it. An exit code other than 0 is an error, unless there is one already."""
        with self._errors:
            try:
                self._process.send_signal(signal.SIGTERM)
                code = self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
                code = -signal.SIGKILL
            if code and error is None:
                raise BenchError(f"the server ended with {code}:\n{self.errors()}")
            if error is not None and (said := self.errors().strip()):
                error.add_note(f"the server said:\n{said}")


def _server_command(command: str | None, port: int, options: Sequence[str]) -> list[str]:
    if command is not None:
        return [*shlex.split(command.format(port=port)), *options]
    program = shutil.which("hexcast", path=str(Path(sys.executable).parent))
    if program is None:
        raise BenchError("hexcast is not installed in this environment")
    return [program, "serve", "--port", str(port), *options]
