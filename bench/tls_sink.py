"""Many subscribers over TLS in one process: what `sink.c` is for plain connections.

    python -m bench.tls_sink MODE PORT CLIENTS FIRST TARGET

MODE is `h1` or `h2` (Server-Sent Events), or `push` (each record must come as a pushed stream).
Each client must see the records FIRST, FIRST + 1, … without hole, repeat or exchange. It is told
and tells the same as `sink.c`: `expect K` on standard input; ready, reached and failed on standard
output. What it costs itself is in no figure.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import ssl
import sys
import time

from hpack import Encoder

__all__: list[str] = []

_MARK = re.compile(rb"\^(\d{8})")
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PROMISE = 0, 1, 4, 5
_WINDOW = 2**31 - 1


def _say(event: str, **more: object) -> None:
    print(json.dumps({"event": event, "at_ns": time.monotonic_ns(), **more}), flush=True)


def _fail(why: str) -> None:
    _say("failed", why=f"tls_sink: {why}")
    raise SystemExit(1)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


class Client:
    """One subscriber."""

    def __init__(self, mode: str, port: int, index: int, first: int, target: str) -> None:
        self.mode = mode
        self.index = index
        self.next = first
        self.ready = False
        self.size = 0
        self.promised: set[int] = set()
        self._rest = b""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1" if mode == "h1" else "h2"])
        plain = socket.create_connection(("127.0.0.1", port), 20)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        fields = [
            ("accept", "*/*" if mode == "push" else "text/event-stream"),
            ("cache-control", "no-cache"), ("user-agent", f"sink-{index}"),
        ]  # fmt: skip
        if mode == "h1":
            lines = [f"GET {target} HTTP/1.1", f"Host: localhost:{port}"]
            lines += [f"{name}: {value}" for name, value in fields]
            self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        else:
            settings = (3).to_bytes(2) + (1000).to_bytes(4) + (4).to_bytes(2) + _WINDOW.to_bytes(4)
            head = [
                (":method", "GET"), (":scheme", "https"), (":authority", f"localhost:{port}"),
                (":path", target), *fields,
            ]  # fmt: skip
            self.socket.sendall(
                _PREFACE
                + _frame(_SETTINGS, 0, 0, settings)
                + _frame(8, 0, 0, (_WINDOW - 65_535).to_bytes(4))
                + _frame(_HEADERS, 5, 1, Encoder().encode(head))
            )
        self.socket.setblocking(False)

    def read(self) -> None:
        """Take in what has come."""
        while True:
            try:
                data = self.socket.recv(65536)
            except ssl.SSLWantReadError:
                return
            if not data:
                _fail(f"client {self.index}: the server closed")
            self.size += len(data)
            data = self._rest + data
            if self.mode == "h1":
                self.ready = self.ready or b"\r\n\r\n" in data
                cut = max(0, data.rfind(b"^")) if self.ready else 0
                whole = len(data) if len(data) - cut >= 9 and self.ready else cut
                self._payload(data[:whole])
                self._rest = data[whole:]
            else:
                self._rest = self._frames(data)

    def _frames(self, data: bytes) -> bytes:
        at = 0
        while len(data) - at >= 9:
            end = at + 9 + int.from_bytes(data[at : at + 3])
            if end > len(data):
                break
            kind, flags = data[at + 3], data[at + 4]
            stream = int.from_bytes(data[at + 5 : at + 9])
            if kind == _DATA:
                if self.mode == "push" and stream != 1 and stream not in self.promised:
                    _fail(f"client {self.index}: stream {stream} was not promised")
                self._payload(data[at + 9 : end])
            elif kind == _HEADERS:
                self.ready = True
            elif kind == _PROMISE:
                self.promised.add(int.from_bytes(data[at + 9 : at + 13]))
            elif kind == _SETTINGS and not flags:
                self.socket.send(_frame(_SETTINGS, 1, 0, b""))
            elif kind in (3, 7):
                _fail(f"client {self.index}: frame {kind} on stream {stream}")
            at = end
        return data[at:]

    def _payload(self, data: bytes) -> None:
        for mark in _MARK.findall(data):
            if int(mark) != self.next:
                _fail(f"client {self.index}: record {int(mark)} where {self.next} was due")
            self.next += 1


def main() -> None:
    mode, port, count, first, target = sys.argv[1:]
    waiting = selectors.DefaultSelector()
    clients = []
    for index in range(int(count)):
        client = Client(mode, int(port), index, int(first), target)
        clients.append(client)
        waiting.register(client.socket, selectors.EVENT_READ, client)
    waiting.register(sys.stdin.fileno(), selectors.EVENT_READ)
    expected: int | None = None
    told_ready = False
    behind = len(clients)
    while True:
        for key, _ in waiting.select():
            if key.data is None:
                line = sys.stdin.readline()
                if not line:
                    return
                expected = int(first) + int(line.removeprefix("expect "))
                behind = sum(client.next < expected for client in clients)
                continue
            client = key.data
            before = client.next
            client.read()
            if expected is not None and before < expected <= client.next:
                behind -= 1
        if not told_ready and all(client.ready for client in clients):
            told_ready = True
            _say("ready")
        if expected is not None and not behind:
            expected = None
            _say("reached", bytes=sum(client.size for client in clients))


if __name__ == "__main__":
    main()
