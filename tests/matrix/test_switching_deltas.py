"""The switching test over states with deltas: at every moment a client holds a value that the
server held under that id, and it ends with the newest."""

from __future__ import annotations

import asyncio
import copy
import json
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.support.harness import Conn, Server, get, path, request_bytes, seeded, unique
from tests.support.wire import Event, seq

from .switcher import WAYS, Cut, Selector, Switcher

Values = dict[str, dict[str, Any]]
"""Of each topic, the value under each id."""


def merged(value: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), change)
    return result


@dataclass
class Holder(Switcher):
    """A client that holds a value of each state, and changes it as it is told."""

    held: dict[str, tuple[str, Any]] = field(default_factory=dict)
    told: list[tuple[str, str, Any]] = field(default_factory=list)
    """Each value it has held: topic, id, value."""
    ops: Counter[str] = field(default_factory=Counter)

    def take_json(self, record: dict[str, Any]) -> None:
        topic = record["topic"]
        if topic not in self.selector.states:
            super().take_json(record)
            return
        self.take_change(topic, record["id"], record["op"], record["data"], record.get("base"))

    def take_event(self, event: Event, one: str | None) -> None:
        plain = one is None or one not in self.selector.states or event.data is None
        if plain or event.event in ("hexcast:gap", "hexcast:cursor"):
            super().take_event(event, one)
        elif event.event == "hexcast:record":
            self.take_json(event.json())
        else:
            op = {"hexcast:patch": "patch", "hexcast:append": "append", None: "put"}[event.event]
            json_data = op == "patch" or (op == "put" and "/json" in one)
            data = event.json() if json_data else event.data
            base = None if op == "put" else self.held.get(one, ("nothing", None))[0]
            self.take_change(one, event.id or "", op, data, base)

    def take_change(self, topic: str, id: str, op: str, data: Any, base: str | None) -> None:
        self.ops[op] += 1
        if seq(id) <= self.top:
            raise self.fault(f"{id} of {topic} after {self.top}: twice, or out of order")
        if op in ("patch", "append"):
            if topic not in self.held or self.held[topic][0] != base:
                raise self.fault(f"{op} {id} of {topic} to {base}; held: {self.held.get(topic)}")
            value = self.held[topic][1]
            data = merged(value, data) if op == "patch" else value + data
        elif op != "put" or base is not None:
            raise self.fault(f"{op} of {topic} with base {base}")
        self.held[topic] = (id, data)
        self.told.append((topic, id, copy.deepcopy(data)))
        self.top = seq(id)
        self.cursor = id


def query(target: str, extra: str) -> str:
    return f"{target}{'&' if '?' in target else '?'}{extra}"


def selectors(stem: str) -> list[Selector]:
    json_states = tuple(f"{stem}/json/{n}" for n in range(3))
    texts = tuple(f"{stem}/text/{n}" for n in range(2))
    stream = f"{stem}/stream"
    some = (json_states[0], texts[0], stream)
    several = "/topics?" + "&".join(f"topic={name}" for name in some)

    def with_terms(*targets: str) -> tuple[str, ...]:
        terms = ("delta=1", "delta=1", "delta=1&rate=15", "")
        return tuple(
            query(target, more) if more else target for target in targets for more in terms
        )

    return [
        Selector(with_terms(f"/topics/{json_states[0]}"), json_states[:1], (), json_states[:1]),
        Selector(with_terms(f"/topics/{texts[1]}"), texts[1:], (), texts[1:]),
        Selector(with_terms(several), some, (stream,), (json_states[0], texts[0])),
        Selector(
            with_terms(f"/topics?topic={stem}/**"), (f"{stem}/**",), (stream,), json_states + texts
        ),
        Selector(with_terms(f"/topics/{stem}/json/*"), (f"{stem}/json/*",), (), json_states),
    ]


class Publisher:
    """The only one who publishes to a topic, so that every value under every id is known."""

    def __init__(self, server: Server, topic: str, chance: random.Random) -> None:
        self.server, self.topic, self.chance = server, topic, chance
        self.values: dict[str, Any] = {}
        self.value: Any = None

    def next(self) -> tuple[str, str, dict[str, str], bytes]:
        """A change: method, query, headers and body; `value` is then what it leads to."""
        chance, n = self.chance, len(self.values)
        if "/stream" in self.topic:
            self.value = f"n={n};"
            return "POST", "", {"Content-Type": "text/plain"}, self.value.encode()
        if "/text/" in self.topic:
            return self._text(n)
        value: dict[str, Any] = copy.deepcopy(self.value or {})
        patch: dict[str, Any] = {"n": f"n={n};"}
        for _ in range(chance.randint(1, 4)):
            key = f"k{chance.randrange(12)}"
            if chance.random() < 0.3:
                patch[key] = None
            else:
                patch[key] = chance.choice([n, str(n), True, [n, None], {"x": n}, 1.5])
        if chance.random() < 0.3:
            patch["deep"] = {"x": {f"y{chance.randrange(3)}": n}}
        self.value = merged(value, patch)
        sort = chance.random()
        if sort < 0.3:
            body = json.dumps(patch).encode()
            return "PATCH", "", {"Content-Type": "application/merge-patch+json"}, body
        if sort < 0.4:
            body = json.dumps([{"op": "add", "path": "", "value": self.value}]).encode()
            return "PATCH", "", {"Content-Type": "application/json-patch+json"}, body
        if sort < 0.5:
            self.value["null"] = None
        elif sort < 0.6:
            self.value = dict(chance.sample(list(self.value.items()), len(self.value)))
        body = json.dumps(self.value, indent=chance.choice([None, 1])).encode()
        return "PUT", "", {"Content-Type": "application/json"}, body

    def _text(self, n: int) -> tuple[str, str, dict[str, str], bytes]:
        fields = {"Content-Type": "text/plain; charset=utf-8"}
        if self.value is None or len(self.value) > 2000 or self.chance.random() < 0.1:
            self.value = f"n={n};"
            return "PUT", "", fields, self.value.encode()
        piece = "".join(self.chance.choices("ab é\n世\U0001f40d\r", k=self.chance.randint(1, 30)))
        self.value += piece
        if self.chance.random() < 0.2:
            return "PUT", "", fields, self.value.encode()
        return "PATCH", "?op=append", fields, piece.encode()

    async def run(self, stop: asyncio.Event, pause: float) -> None:
        async with await Conn.open(self.server) as conn:
            while not stop.is_set():
                burst = []
                for _ in range(self.chance.randint(1, 5)):
                    method, more, fields, body = self.next()
                    target = path(self.topic) + more
                    conn.write(request_bytes(self.server, method, target, fields, body))
                    burst.append(copy.deepcopy(self.value))
                    self.values[f"awaited {len(self.values)}"] = None
                for value in burst:
                    answer = await conn.answer("PUT")
                    assert answer.status in (200, 201), (answer.status, answer.body)
                    del self.values[next(k for k in self.values if k.startswith("awaited"))]
                    self.values[answer.json()["id"]] = value
                await asyncio.sleep(self.chance.uniform(0, 2 * pause))


def sight(client: Holder, way: str) -> Cut:
    """Where the next visit ends; mostly not before something has come, however slow the machine."""
    answers = way != "long-poll"  # which may have nothing to say
    return Cut.at_random(client.chance, client.slow, answers and client.chance.random() < 0.8)


async def follow(client: Holder, publishers: list[Publisher], over: asyncio.Event) -> None:
    """Visit after visit over any way, until all that was published has come."""
    ways = [way for way in WAYS if way != "refresh"]
    while not over.is_set():
        way = client.chance.choice(ways)
        await client.visit(way, sight(client, way))
    until = time.monotonic() + 20
    wanted = {p.topic: list(p.values)[-1] for p in publishers if p.topic in client.selector.states}
    while any(client.held.get(topic, ("",))[0] != id for topic, id in wanted.items()):
        if time.monotonic() > until:
            held = {topic: client.held.get(topic, ("nothing",))[0] for topic in wanted}
            raise client.fault(f"never complete: {held} of {wanted}")
        with suppress(TimeoutError):
            await client.visit(client.chance.choice(ways), Cut(10**7, 0.5, sighted=True))


async def enough(clients: list[Holder], stop: asyncio.Event) -> None:
    """Let them stop when they were cut often enough."""
    until = time.monotonic() + 25
    while time.monotonic() < until:
        ops: Counter[str] = sum((c.ops for c in clients), Counter())
        if sum(c.cuts for c in clients) > 1500 and min(ops["patch"], ops["append"]) > 100:
            break
        await asyncio.sleep(0.1)
    stop.set()


async def test_switching_over_states_with_deltas() -> None:
    chance = seeded("switching deltas")
    stem = unique("delta")
    with Server() as server:
        kinds = selectors(stem)
        topics = sorted({t for kind in kinds for t in (*kind.states, *kind.streams)})
        publishers = [Publisher(server, t, random.Random(chance.random())) for t in topics]
        start = (await get(server, "/topics/**?since=now")).json()["cursor"]
        clients = [
            Holder(
                f"client {n}", server, kinds[n % len(kinds)], random.Random(chance.random()),
                "earliest" if n % 3 == 0 else start, slow=n % 5 == 3,
            )
            for n in range(30)
        ]  # fmt: skip
        stop, over = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as everyone:
            publishing = [everyone.create_task(p.run(stop, 0.06)) for p in publishers]
            for client in clients:
                everyone.create_task(follow(client, publishers, over))
            everyone.create_task(enough(clients, stop))
            await asyncio.wait(publishing)
            over.set()
        values: Values = {p.topic: p.values for p in publishers}
        ops: Counter[str] = sum((c.ops for c in clients), Counter())
        print(f"{sum(c.cuts for c in clients)} cuts; {dict(ops)}")
        for client in clients:
            for topic, id, value in client.told:
                # As text, so that the order of members counts too.
                assert json.dumps(value) == json.dumps(values[topic][id]), client.fault(topic)
        assert min(ops["put"], ops["patch"], ops["append"]) > 30, ops
        codings: Counter[str] = sum((c.codings for c in clients), Counter())
        assert min(codings[coding] for coding in ("gzip", "zstd", "deflate", "")) > 10, codings
