"""Publishes over one keep-alive HTTP/1.1 connection: one at a time, pipelined, or as a batch."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import httptools

from bench.processes import BenchError

__all__ = ["SMALLEST_RECORD", "TIMEOUT", "Publisher", "record"]

SMALLEST_RECORD = 9
"""Bytes of a record that is nothing but its mark and its number."""

PIECE = 65536
TIMEOUT = 60.0


def record(number: int, size: int) -> bytes:
    """A payload the sink can check: `^`, the number in eight digits, filling up to `size` bytes."""
    return b"^%08d" % number + b"x" * (size - SMALLEST_RECORD)


class _Answers:
    """Collects complete answers; httptools' callbacks."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []

    def on_message_begin(self) -> None:
        self.headers = {}
        self.body = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        self.body.append(piece)

    def on_message_complete(self) -> None:
        self.statuses.append(self.parser.get_status_code())


class Publisher:
    """One connection to a server. Every answer must be a success; anything else is a BenchError."""

    def __init__(self, port: int, *, secure: bool = False) -> None:
        self._host = f"127.0.0.1:{port}"
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._socket = context.wrap_socket(self._socket)
        self._answers = _Answers()

    def request(self, verb: str, path: str, body: bytes, type: str = "text/plain") -> bytes:
        """The bytes of one request."""
        head = (
            f"{verb} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: {type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def publish(self, topic: str, body: bytes) -> str:
        """POST one record and wait for its acknowledgement; return its id."""
        return self._published("POST", topic, body)

    def put(self, topic: str, body: bytes, type: str = "text/plain") -> str:
        """PUT a state and wait for its acknowledgement; return its id."""
        return self._published("PUT", topic, body, type)

    def patch(self, topic: str, patch: bytes) -> str:
        """Merge a patch into a state and wait for its acknowledgement; return its id."""
        return self._published("PATCH", topic, patch, "application/merge-patch+json")

    def _published(self, verb: str, topic: str, body: bytes, type: str = "text/plain") -> str:
        self._socket.sendall(self.request(verb, f"/topics/{topic}", body, type))
        self._take(1)
        return str(json.loads(b"".join(self._answers.body))["id"])

    def newest(self, topic: str) -> bytes:
        """GET the newest record's bytes."""
        self._socket.sendall(f"GET /topics/{topic} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        self._take(1)
        return b"".join(self._answers.body)

    def paced(self, topic: str, first: int, records: int, per_second: float, size: int) -> None:
        """Publish these records one at a time, each when it is due."""
        started = time.monotonic()
        for n in range(records):
            wait = started + n / per_second - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self.publish(topic, record(first + n, size))

    def pipelined(self, requests: bytes, count: int) -> int:
        """Send requests without waiting for answers; when all are answered, return when it began.

        The time is `time.monotonic_ns` before the first byte: the clock that the sink uses too.
        """
        began = time.monotonic_ns()
        with self._sending([requests]):
            self._take(count)
        return began

    def batch(self, lines: Iterable[bytes], query: str) -> tuple[float, list[dict[str, Any]]]:
        """Publish NDJSON lines with a chunked body; return (seconds until the answer's end, lines).

        The answer is parsed after the clock has stopped.
        """
        head = (
            f"POST /topics{query} HTTP/1.1\r\nHost: {self._host}\r\n"
            "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        whole = b"".join(lines)
        pieces = [head.encode()]
        for at in range(0, len(whole), PIECE):
            piece = whole[at : at + PIECE]
            pieces.append(b"%x\r\n%b\r\n" % (len(piece), piece))
        pieces.append(b"0\r\n\r\n")
        began = time.monotonic()
        with self._sending(pieces):
            self._take(1)
        took = time.monotonic() - began
        return took, [json.loads(line) for line in b"".join(self._answers.body).splitlines()]

    def _sending(self, pieces: list[bytes]) -> _Sending:
        return _Sending(self._socket, pieces)

    def _take(self, count: int) -> None:
        """Read until `count` more answers are complete; all must be 2xx."""
        answers = self._answers
        answers.statuses.clear()
        while len(answers.statuses) < count:
            piece = self._socket.recv(262144)
            if not piece:
                statuses = dict(Counter(answers.statuses))
                said = b"".join(answers.body)[:300]
                raise BenchError(f"closed with {count} answers due, after {statuses}: {said!r}")
            answers.parser.feed_data(piece)
        wrong = [status for status in answers.statuses if not 200 <= status < 300]
        if wrong or len(answers.statuses) != count:
            said = b"".join(answers.body)[:300]
            raise BenchError(f"{len(wrong)} of {count} refused, with {set(wrong)}: {said!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()


class _Sending:
    """Sends in a thread while the answers are read: neither side's buffers can lock the other."""

    def __init__(self, to: socket.socket, pieces: list[bytes]) -> None:
        self._to, self._pieces = to, pieces
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._send, name="sending", daemon=True)

    def _send(self) -> None:
        try:
            for piece in self._pieces:
                self._to.sendall(piece)
        except OSError as error:
            self._error = error

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.join(TIMEOUT)
        if error is None and self._error is not None:
            raise BenchError(f"not sent: {self._error}") from self._error
