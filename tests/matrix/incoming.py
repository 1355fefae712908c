"""What arrives on one connection of a client with a cursor, over HTTP/1.1."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.support.harness import request_bytes, upgrade_fields
from tests.support.wire import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Body,
    Decoder,
    Frame,
    Head,
    SseParser,
    WsParser,
    parse_head,
    ws_frame,
)

if TYPE_CHECKING:
    from .switcher import Switcher


NUMBER = re.compile(r"n=(\d+);")
"""How a payload begins that was published here."""


class Incoming:
    """What arrives on one connection, parsed as far as it has come."""

    upgraded = 101
    """The status that begins a WebSocket."""

    def __init__(self, client: Switcher, way: str, write: Callable[[bytes], None]) -> None:
        self.client = client
        self.way = way
        self.write = write
        self.got = b""
        self.head: Head | None = None
        self.body: Body | None = None
        self.whole = b""
        self.decoder = Decoder("")
        self.sse = SseParser()
        self.ws = WsParser()
        self.one: str | None = None
        self.subscribe = False
        self.state = ""

    def request(self) -> bytes:
        """A request of the way, as it is sent."""
        target, fields = self.asked()
        if self.way in ("websocket", "hexcast.v1"):
            key = base64.b64encode(self.client.chance.randbytes(16)).decode()
            fields += upgrade_fields(key, "hexcast.v1" if self.way == "hexcast.v1" else "")
        return request_bytes(self.client.server, "GET", target, fields)

    def asked(self) -> tuple[str, list[tuple[str, str]]]:
        """Target and fields, for plain or compressed bytes."""
        target, fields = self._asked()
        offer = self.client.chance.choice(("", "", "gzip", "zstd", "gzip, deflate, br, zstd"))
        if offer and self.way in ("websocket", "hexcast.v1"):
            offer = "permessage-deflate; client_max_window_bits"
            fields.append(("Sec-WebSocket-Extensions", offer))
        elif offer:
            fields.append(("Accept-Encoding", offer))
        return target, fields

    def _asked(self) -> tuple[str, list[tuple[str, str]]]:
        """Target and fields, with the client's cursor in one of the places for it."""
        client = self.client
        chance = client.chance
        target = chance.choice(client.selector.targets)
        fields: list[tuple[str, str]] = []
        topics = (*client.selector.streams, *client.selector.states)
        if self.way == "refresh":
            self.state = chance.choice(client.selector.states)
            target = "/topics/" + quote(self.state) + chance.choice(["?way=refresh", ""])
            return target, [("Accept", "text/html")]
        if self.way == "hexcast.v1" and chance.random() < 0.5:
            self.subscribe = True
            target = "/topics"
        elif self.way in ("sse", "poll", "long-poll", "push") and chance.random() < 0.5:
            if client.cursor != "earliest":
                fields.append(("Last-Event-ID", client.cursor))
                # The place where the page once began, as EventSource repeats it.
                target = _with(target, "since=earliest")
            else:
                target = _with(target, f"since={client.cursor}")
        else:
            target = _with(target, f"since={client.cursor}")
        if self.way == "sse":
            fields.append(("Accept", "text/event-stream"))
            if len(topics) == 1 and "*" not in target and "topic=" not in target:
                if chance.random() < 0.5:
                    self.one = topics[0]
                else:
                    target = _with(target, "format=json")
        elif self.way == "websocket":
            target = _with(target, "format=json")
        elif self.way == "poll":
            target = _with(target, f"way=poll&limit={chance.choice([1, 7, 100, 1000])}")
        elif self.way == "long-poll":
            target = _with(
                target, f"wait={chance.choice([1, 20])}&limit={chance.choice([3, 1000])}"
            )
        elif self.way == "push":
            target = _with(target, chance.choice(["way=push", "way=push&format=json"]))
        return target, fields

    def feed(self, data: bytes) -> bool:
        """Take what has come. True when an answer is complete and nothing more is expected."""
        self.got += data if len(self.got) < 4096 else b""
        if self.head is None:
            self.whole += data
            block, found, rest = self.whole.partition(b"\r\n\r\n")
            if not found:
                return False
            self.head, self.whole = parse_head(block), b""
            self._begin(self.head)
            data = rest
        if self.body is None:
            return self.content(data, done=False)
        return self.content(self.body.feed(data), done=self.body.done)

    def content(self, data: bytes, *, done: bool) -> bool:
        """Take a piece of the body; `done` with the last."""
        data = self.decoder.feed(data)
        if self.way in ("websocket", "hexcast.v1"):
            for frame in self.ws.feed(data):
                self._frame(frame)
        elif self.way == "sse":
            for event in self.sse.feed(data):
                self.client.take_event(event, self.one)
        else:
            self.whole += data
            if done:
                assert self.head is not None
                self._answer(self.head)
            return done
        if done:
            raise self.client.fault(f"the {self.way} stream ended")
        return False

    def _begin(self, head: Head) -> None:
        client = self.client
        upgraded = self.way in ("websocket", "hexcast.v1")
        if head.status != (self.upgraded if upgraded else 200):
            raise client.fault(f"{self.way}: {head.status}")
        expected = "websocket" if upgraded else self.way
        if head.get("hexcast-way") != expected:
            raise client.fault(f"asked for {expected}, got {head.get('hexcast-way')}")
        coding = head.get("content-encoding")
        self.ws.packed = "sec-websocket-extensions" in head
        client.codings["deflate" if self.ws.packed else coding] += 1
        self.decoder = Decoder(coding)
        if not upgraded and head.version == "HTTP/1.1":
            self.body = Body(head, "GET")
        elif self.subscribe:
            message: dict[str, Any] = {
                "subscribe": list(client.selector.names), "since": client.cursor, "ref": "s",
            }  # fmt: skip
            self.say(ws_frame(TEXT, json.dumps(message).encode()))
        # Where a stream begins is as good a cursor as the one it was asked with.
        adopt = self.way in ("sse", "websocket", "push") and client.chance.random() < 0.5
        if adopt and client.cursor != "earliest":
            client.take_cursor(head.get("hexcast-cursor"))

    def say(self, data: bytes) -> None:
        """Send on the WebSocket."""
        self.write(data)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode == PING:
            self.say(ws_frame(PONG, frame.payload))
        elif frame.opcode == CLOSE:
            raise self.client.fault(f"{self.way}: closed with {frame.payload!r}")
        elif frame.opcode == TEXT and frame.fin:
            self.client.take_message(json.loads(frame.payload))
        else:
            raise self.client.fault(f"{self.way}: {frame}")

    def _answer(self, head: Head) -> None:
        client = self.client
        if self.way == "refresh":
            numbers = NUMBER.findall(html.unescape(self.whole.decode()))
            if not numbers:
                raise client.fault(f"a page without the value: {self.whole[:300]!r}")
            shown, had = int(numbers[0]), client.seen.get(self.state, [(-1, "")])
            before = max(had[-1][0], client.glimpsed.get(self.state, -1))
            if shown < before:
                raise client.fault(f"{self.state}: the page shows {shown}, but {before} was there")
            client.glimpsed[self.state] = shown
            return
        batch = json.loads(self.whole)
        if batch["gap"]:
            client.take_gap(batch["gap"])
        for record in batch["records"]:
            client.take_json(record)
        client.take_cursor(batch["cursor"])


def _with(target: str, parameter: str) -> str:
    return f"{target}{'&' if '?' in target else '?'}{parameter}"
