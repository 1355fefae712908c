"""What arrives on one connection of a client with a cursor, over HTTP/2 with prior knowledge."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.events
import h2.settings

from tests.support.wire import Head

from .incoming import Incoming

if TYPE_CHECKING:
    from .switcher import Switcher


class H2Incoming(Incoming):
    """The same over HTTP/2 with prior knowledge, and what is pushed."""

    upgraded = 200  # RFC 8441, 5

    def __init__(self, client: Switcher, way: str, write: Callable[[bytes], None]) -> None:
        super().__init__(client, way, write)
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        )
        self.stream = 0
        self.lines: list[dict[str, Any]] = []
        """What was told and not taken yet: each waits for its record."""
        self.brought: dict[str, int] = {}
        """By path, the stream that brings it: pushed, or asked for."""
        self.parts: dict[int, bytes] = {}
        self.types: dict[int, str] = {}
        self.over: set[int] = set()

    def request(self) -> bytes:
        chance = self.client.chance
        few = chance.random() < 0.3
        codes = h2.settings.SettingCodes
        self.h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                codes.MAX_CONCURRENT_STREAMS: 2 if few else 100,
                codes.INITIAL_WINDOW_SIZE: chance.choice([300, 5000, 65_535]) if few else 65_535,
            },
        )
        self.h2.initiate_connection()
        target, fields = self.asked()
        self.stream = self.h2.get_next_available_stream_id()
        method = [(":method", "GET")]
        if self.way in ("websocket", "hexcast.v1"):
            method = [(":method", "CONNECT"), (":protocol", "websocket")]
            fields.append(("sec-websocket-version", "13"))
            if self.way == "hexcast.v1":
                fields.append(("sec-websocket-protocol", "hexcast.v1"))
        self._ask(self.stream, method, target, fields, end=len(method) == 1)
        return self.h2.data_to_send()

    def _ask(
        self, stream: int, method: list[tuple[str, str]], target: str,
        fields: list[tuple[str, str]], *, end: bool = True,
    ) -> None:  # fmt: skip
        head = [
            *method, (":scheme", "http"), (":authority", self.client.server.authority),
            (":path", target), *((name.lower(), value) for name, value in fields),
        ]  # fmt: skip
        self.h2.send_headers(stream, head, end_stream=end)

    def say(self, data: bytes) -> None:
        self.h2.send_data(self.stream, data)

    def feed(self, data: bytes) -> bool:
        done = False
        for event in self.h2.receive_data(data):
            done = self._event(event) or done
        if self.way == "push" and not done:
            self._take_lines()
        out = self.h2.data_to_send()
        if out:
            self.write(out)
        return done

    def _event(self, event: h2.events.Event) -> bool:
        match event:
            case h2.events.ResponseReceived(stream_id=stream) if stream == self.stream:
                fields = dict(event.headers)
                self.head = Head("HTTP/2", int(fields[":status"]), "", list(fields.items()))
                self._begin(self.head)
            case h2.events.ResponseReceived() | h2.events.PushedStreamReceived():
                return self._beside(event)
            case h2.events.DataReceived():
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.stream_id == self.stream:
                    return self.content(event.data, done=event.stream_ended is not None)
                self.parts[event.stream_id] += event.data
            case h2.events.StreamEnded(stream_id=stream) if stream != self.stream:
                self.over.add(stream)
            case h2.events.StreamEnded() if self.way not in ("poll", "long-poll", "refresh"):
                raise self.client.fault(f"the {self.way} stream ended")
            case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                raise self.client.fault(f"{self.way}: {event}")
        return False

    def _beside(self, event: h2.events.ResponseReceived | h2.events.PushedStreamReceived) -> bool:
        """What comes on another stream. True when a record that was told is not held any more:
        who returns with the cursor is told what that means."""
        fields = dict(event.headers)
        if isinstance(event, h2.events.PushedStreamReceived):
            if event.parent_stream_id != self.stream or fields[":path"] in self.brought:
                raise self.client.fault(f"a promise that was not due: {event}")
            self.brought[fields[":path"]] = event.pushed_stream_id
            self.parts[event.pushed_stream_id] = b""
        elif fields[":status"] == "200":
            self.types[event.stream_id] = fields["content-type"]
        elif fields[":status"] == "404" and self.client.gaps_allowed:
            return True
        else:
            raise self.client.fault(f"{fields} on stream {event.stream_id}")
        return False

    def content(self, data: bytes, *, done: bool) -> bool:
        if self.way != "push":
            return super().content(data, done=done)
        *lines, self.whole = (self.whole + data).split(b"\n")
        self.lines += map(json.loads, lines)
        return False

    def _take_lines(self) -> None:
        """Take what is told, in its order, as far as its records have come."""
        while self.lines:
            line = self.lines[0]
            if "gap" in line:
                self.client.take_gap(line["gap"])
            elif "cursor" in line:
                self.client.take_cursor(line["cursor"])
            elif "data" in line:  # a delta
                self.client.take_json(line)
            else:
                path = line["path"]
                if path not in self.brought:
                    if line["pushed"]:
                        raise self.client.fault(f"told to be pushed, and was not promised: {line}")
                    self.client.visits["asked for"] += 1
                    stream = self.brought[path] = self.h2.get_next_available_stream_id()
                    self.parts[stream] = b""
                    self._ask(stream, [(":method", "GET")], path, [])
                stream = self.brought[path]
                if stream not in self.over:
                    return
                self._take_brought(line, stream)
                del self.brought[path]
            self.lines.pop(0)

    def _take_brought(self, line: dict[str, Any], stream: int) -> None:
        body = self.parts.pop(stream)
        if line["path"].endswith("&format=json"):
            record = json.loads(body)
            if (record["id"], record["op"]) != (line["id"], line["op"]):
                raise self.client.fault(f"{record} was told as {line}")
            self.client.take_json(record)
            return
        text = body.decode()
        data = json.loads(text) if "json" in self.types[stream] else text
        self.client.take_json({**line, "data": data})
