"""Deltas: found from full values, shared, bounded; and what a client holds that applies them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule

from hexcast.feed.deltas import Change, Deltas
from hexcast.feed.encoding import StreamEncoder
from hexcast.feed.feed import DeliveryOptions
from hexcast.feed.registry import Feeds
from hexcast.feed.subscriber import Subscriber
from hexcast.hub.resume import resume_point
from hexcast.model.counters import Counters
from hexcast.model.patterns import Selector
from hexcast.model.record import Draft, Gap, Record
from hexcast.value.json_text import LIMITS, dump, parse
from hexcast.value.merge_patch import apply_merge_patch
from tests.support.fakes import EPOCH, Clock, Soon, accepted, delete, make_history, make_hub, tell

JSON, TEXT = "application/json", "text/plain; charset=utf-8"
MERGE = "application/merge-patch+json"


def state(seq: int, data: bytes, type: str = JSON) -> Record:
    return Record(EPOCH, seq, "s", "put", "", type, data, 0, False)


def test_a_change_of_json_is_a_merge_patch() -> None:
    base, record = state(1, b'{"a":1, "b":[1]}'), state(2, b'{"a":1.0,"b":[1]}')
    deltas = Deltas(LIMITS)
    change = deltas.change(base, record)
    assert change is not None
    assert (change.op, change.data, change.base, change.record) == (
        "patch", b'{"a":1.0}', base, record,
    )  # fmt: skip
    assert deltas.change(base, record) is change, "found once"


def test_a_change_of_text_is_what_was_added() -> None:
    change = Deltas(LIMITS).change(state(1, "ä".encode(), TEXT), state(2, "äö".encode(), TEXT))
    assert change is not None
    assert (change.op, change.data) == ("append", "ö".encode())


@pytest.mark.parametrize(
    ("before", "after", "types"),
    [
        (b"[1]", b"[1,2]", (JSON, JSON)),
        (b'{"a":1}', b'{"a":null,"b":12345}', (JSON, JSON)),
        (b'{"a":1}', b'{"a":2}', (JSON, JSON)),  # not smaller
        (b'{"a":1,"b":2}', b'{"b":2,"a":1,"c":3}', (JSON, JSON)),  # another order
        (b'{"a":1,"b":2}', b'{"a":1,"b":3}', (JSON, "application/ld+json")),
        (b"", b"all", (TEXT, TEXT)),
        (b"ab", b"a", (TEXT, TEXT)),
        (b"\xff", b"\xff\xfe", (TEXT, TEXT)),
        (b"\xc3", b"\xc3\xa4", (TEXT, TEXT)),
        (b"[" * 100 + b"]" * 100, b'{"deep":1}', (JSON, JSON)),
        (b'{"a":1,"b":"\\ud800"}', b'{"a":2,"b":"\\ud800"}', (JSON, JSON)),
    ],
)
def test_what_no_delta_can_say(before: bytes, after: bytes, types: tuple[str, str]) -> None:
    assert Deltas(LIMITS).change(state(1, before, types[0]), state(2, after, types[1])) is None


def test_what_is_remembered_is_bounded() -> None:
    deltas = Deltas(LIMITS)
    values = [state(n, json.dumps({"n": n, "pad": "x" * 100_000}).encode()) for n in range(200)]
    for base, record in itertools.pairwise(values):
        assert deltas.change(base, record) is not None
    assert deltas._documents_bytes <= 8 * 2**20 + 200_000
    assert deltas._documents_bytes == sum(len(d.text) for d in deltas._documents.values())
    for value in values[:-1]:
        value.until = value.seq + 1
    deltas.release()
    assert list(deltas._documents) == [values[-1]] and not deltas._changes


class DeltaForm(StreamEncoder):
    """A wire form that a test reads back, a JSON object a line, with changes."""

    way = "sse"

    def __init__(self) -> None:
        super().__init__(())

    def encode(self, record: Record) -> bytes:
        return self._line(record, record.op, record.data)

    def encode_change(self, change: Change) -> bytes:
        return self._line(change.record, change.op, change.data, base=change.base.seq)

    def gap(self, gap: Gap) -> bytes:
        raise AssertionError("nothing was evicted")

    @staticmethod
    def _line(record: Record, op: str, data: bytes, **more: Any) -> bytes:
        op = "put" if record.op in ("patch", "append") and not more else op
        said = {"seq": record.seq, "topic": record.topic, "op": op, "data": data.decode(), **more}
        return json.dumps(said).encode() + b"\n"


class Holder:
    """A client that applies what it is told, and is cut anywhere in what it is written."""

    def __init__(self, machine: Machine, names: tuple[str, ...], tight: bool, rate: float) -> None:
        self.machine, self.names, self.tight, self.rate = machine, names, tight, rate
        self.retained: dict[str, tuple[int, bytes]] = {}
        self.posts: list[int] = []
        self.last = 0  # the newest id it has
        self.room: int | None = None  # lines it still takes before it is cut
        self.began = ""
        self.subscriber: Subscriber | None = None

    def connect(self, since: str) -> None:
        """Connect, or return: an EventSource that began with `now` repeats it in its URL."""
        machine = self.machine
        selector = Selector(self.names)
        header = since if self.began == "now" else ""
        since_url = self.began if header else since
        start = resume_point(machine.hub, selector, header=header, since=since_url)
        if since == "now":
            self.began = since
            self.last = machine.hub.head
        options = DeliveryOptions(selector, self.rate, lacks_base=start.lacks_base)
        feed = machine.feeds.feed(selector, DeltaForm(), options)
        self.room = None
        self.subscriber = Subscriber(feed, self, start)
        chunk = self.subscriber.first().chunk
        if chunk:
            self.write(chunk)
        self.subscriber.go(self.write)

    def cut(self) -> None:
        if self.subscriber is not None:
            self.subscriber.leave()
            self.subscriber = None

    def write(self, chunk: bytes) -> None:
        for line in map(json.loads, chunk.splitlines()):
            if self.room is not None:
                if self.room == 0:
                    return
                self.room -= 1
            self.take(line)
        if self.tight and self.subscriber is not None:
            self.subscriber.pause()

    def take(self, line: Mapping[str, Any]) -> None:
        seq, topic, op, data = line["seq"], line["topic"], line["op"], line["data"].encode()
        assert seq > self.last, f"{seq} after {self.last}"
        self.last = seq
        if op == "post":
            self.posts.append(seq)
            return
        if op == "delete":
            self.retained.pop(topic, None)
            return
        if op != "put":
            assert topic in self.retained, f"{op} of {topic}, of which nothing is held"
            base, value = self.retained[topic]
            assert line["base"] == base, f"{op} of {topic} to {line['base']}, held is {base}"
            if op == "append":
                data = value + data
            else:
                data = dump(apply_merge_patch(parse(value), parse(data)))
        if topic.startswith("j"):
            data = dump(parse(data))
        assert data == self.machine.values[seq], f"{topic} at {seq}"
        self.retained[topic] = (seq, data)

    def ended(self) -> None:
        raise AssertionError("nothing ends")

    def replayed(self) -> None:
        raise AssertionError("nothing is replayed")


SELECTIONS = [("j1",), ("t1",), ("j1", "t1", "s"), ("**",), ("j1", "j2")]
KEYS = st.sampled_from(["a", "b", "c", "d"])
SCALARS = st.one_of(st.integers(0, 3), st.text(max_size=3), st.booleans(), st.none())
OBJECTS = st.dictionaries(KEYS, st.one_of(SCALARS, st.dictionaries(KEYS, SCALARS)), max_size=4)
PAD = {"pad": "x" * 40}


class Machine(RuleBasedStateMachine):
    """Publishing, flushing, pausing, cutting and coming back in any order."""

    clients = Bundle("clients")

    @initialize(held=st.sampled_from([10_000, 3]))
    def resume_point(self, held: int) -> None:
        self.clock, self.soon = Clock(), Soon()
        self.hub = make_hub(make_history(), self.clock)
        self.feeds = Feeds(self.hub, Counters(), self.soon, self.clock, self.soon.later)
        self.values: dict[int, bytes] = {}
        self.all: list[Holder] = []
        self.few = held == 3

    def publish(self, draft: Draft) -> None:
        done = accepted(tell(self.hub, draft))
        value = self.hub._topics[draft.topic].value
        if done.changed and value is not None:
            data = value.data
            self.values[value.seq] = dump(parse(data)) if draft.topic.startswith("j") else data
        if self.few:
            self.hub._history._release_superseded(3, 10**6)  # bases are lost early

    @rule(topic=st.sampled_from(["j1", "j2"]), value=OBJECTS)
    def put_json(self, topic: str, value: dict[str, Any]) -> None:
        self.publish(Draft(topic, "put", json.dumps({**PAD, **value}).encode(), JSON))

    @rule(topic=st.sampled_from(["j1", "j2"]), patch=OBJECTS, key=KEYS)
    def patch_json(self, topic: str, patch: dict[str, Any], key: str) -> None:
        change = json.dumps({**PAD, **patch, key: len(self.values)}).encode()
        self.publish(Draft(topic, "patch", data=change, type=MERGE))

    @rule(ops=st.lists(st.sampled_from("jst"), min_size=2, max_size=6))
    def burst(self, ops: list[str]) -> None:
        """Several topics in turn, before anything is flushed."""
        for op in ops:
            if op == "j":
                self.patch_json("j1", {}, "a")
            elif op == "t":
                self.append("more")
            else:
                self.post()

    @rule(text=st.text(st.characters(codec="utf-8"), max_size=5))
    def append(self, text: str) -> None:
        self.publish(Draft("t1", "append", data=text.encode()))

    @rule()
    def put_text(self) -> None:
        self.publish(Draft("t1", "put", b"x" * (len(self.values) % 5), TEXT))

    @rule()
    def post(self) -> None:
        self.publish(Draft("s", "post", b"x", TEXT))

    @rule(topic=st.sampled_from(["j1", "t1"]))
    def delete(self, topic: str) -> None:
        found = self.hub._topics.get(topic)
        if found is not None and found.value is not None:
            delete(self.hub, topic)

    @rule(
        target=clients,
        names=st.sampled_from(SELECTIONS),
        since=st.sampled_from(["", "now", "earliest"]),
        tight=st.booleans(),
        rate=st.sampled_from([0.0, 2.0]),
    )
    def join(self, names: tuple[str, ...], since: str, tight: bool, rate: float) -> Holder:
        client = Holder(self, names, tight, rate)
        self.all.append(client)
        client.connect(since)
        return client

    @rule(client=clients, lines=st.integers(0, 3), steps=st.integers(0, 3))
    def cut_and_return(self, client: Holder, lines: int, steps: int) -> None:
        """Cut it some lines further on; it comes back with the last id that it has."""
        client.room = lines
        self.turn(steps)
        client.cut()
        # Without an id it has nothing to come back with.
        client.connect(f"{EPOCH}-{client.last}" if client.last else "earliest")

    @rule(client=clients)
    def drain(self, client: Holder) -> None:
        if client.subscriber is not None:
            client.subscriber.resume()

    @rule(steps=st.integers(1, 5))
    def turn(self, steps: int) -> None:
        for _ in range(steps):
            if not self.soon.one():
                break

    @rule(seconds=st.sampled_from([0.1, 0.6]))
    def time_goes_on(self, seconds: float) -> None:
        self.clock.now += seconds
        self.soon.elapse()

    @rule(client=consumes(clients))
    def leave(self, client: Holder) -> None:
        client.cut()
        self.all.remove(client)

    def teardown(self) -> None:
        """Everyone ends with the newest of all."""
        for client in getattr(self, "all", []):
            client.tight = False
            if client.subscriber is not None:
                client.subscriber.resume()
        for _ in range(4):
            if hasattr(self, "soon"):
                self.soon.all()
                self.clock.now += 1
                self.soon.elapse()
        for client in getattr(self, "all", []):
            for name, (seq, _) in client.retained.items():
                value = self.hub._topics[name].value
                assert value is not None and seq == value.seq, f"{name} ends at {seq}"


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=150, stateful_step_count=40)


@pytest.mark.parametrize("lines", [0, 1, 2])
def test_a_place_in_the_middle_of_a_flush_is_no_base(lines: int) -> None:
    """J1 J2 S J3 in one flush are told as S J3: who is cut after S never had J2."""
    machine = Machine()
    machine.resume_point(held=10_000)
    machine.put_json("j1", {"a": 0})
    client = machine.join(names=("j1", "t1", "s"), since="", tight=False, rate=0.0)
    machine.turn(5)
    machine.burst(["j", "s", "j"])
    machine.cut_and_return(client, lines=lines, steps=5)
    machine.teardown()
    assert client.retained["j1"][0] == machine.hub.head
