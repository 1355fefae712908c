"""A run: what it publishes and how fast, its clients, and what it tells its page.

All of it is topics under `lab/RUN/`: the value (`value`; as a page also `page`; as a stream
`records`), `figures`, a stream of what was published and what each client has cost, four times a
second, and `clock`, which the page publishes to. A record that comes back from there tells the page
what time it is here, and the run that somebody still watches. It is driven by timers, which end
with it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Literal

import msgspec

from ..hub import Hub
from ..log import Outcome
from ..model import JSON, WAYS, Draft, Op, Problem, Published
from .metering import Client, Later
from .payloads import MAX_SIZE, MIN_SIZE, Value

__all__ = ["Break", "Run", "Wish"]

MIN_RATE, MAX_RATE = 0.2, 200.0
MAX_BYTES_A_SECOND = 8 * 2**20
"""Payload that a run publishes at most: what is over that is taken off its rate."""

FIGURES_SECONDS = 0.25
WATCHED_SECONDS = 30.0
MAX_HARM_SECONDS = 60.0
SLOWER = 4
"""A slow reader reads this part of what it got until then."""

_BURST = 8
"""Publications made up for at once after a busy moment; what is late beyond that is left out."""

HTML = "text/html; charset=utf-8"

Send = Literal["page", "whole", "change"]
Kind = Literal["state", "stream"]


class Wish(msgspec.Struct):
    """What a page asks of a run; numbers out of range are clamped."""

    run: str = ""
    """The name it had before the server was started anew."""
    topic: str = ""
    """A topic to watch; then nothing is published."""
    n: int = 0
    """The number after which to go on."""
    cursor: str = ""
    """Where its client of push goes on."""
    rate: float | None = None
    size: int | None = None
    send: Send | None = None
    kind: Kind | None = None


class Break(msgspec.Struct):
    """A harm that a page asks for, for some seconds; `heal` ends those that last."""

    what: Literal["cut", "slow", "proxy", "heal"]
    way: str = ""
    """One way, or empty for all."""
    seconds: float = 0.0


class Run:
    """One run. `clock` gives seconds, monotonic; `wall` milliseconds since 1970 UTC, in parts."""

    def __init__(
        self,
        name: str,
        hub: Hub,
        clock: Callable[[], float],
        wall: Callable[[], float],
        later: Later,
        wish: Wish,
    ) -> None:
        self.name = name
        self.hub = hub
        self.own_topic = wish.topic
        self.rate, self.size = 5.0, 12 * 1024
        self.send: Send = "whole"
        self.kind: Kind = "state"
        self.clients: dict[str, Client] = {way: Client(way, clock, later) for way in WAYS}
        self.pushed: list[list[object]] = []  # what the client of push has got since it was told
        self.over = False
        self.ended: Callable[[], None] | None = None  # called when it ends by itself
        self._clock = clock
        self._wall = wall
        self._later = later
        self._chance = random.Random()
        self._value = Value(self.size, self._chance, max(0, wish.n))
        self._published: list[list[object]] = []
        self._next = clock()
        self._pacing = 0  # of which round the timer is that is under way
        self.watched = clock()
        self._clock_id = ""
        self.change(wish)
        self._tick()

    @property
    def topic(self) -> str:
        """What its clients receive, but for the pages of `page`."""
        if self.own_topic:
            return self.own_topic
        return f"lab/{self.name}/{'records' if self.kind == 'stream' else 'value'}"

    @property
    def stream_topic(self) -> str:
        """What the ways but refresh receive."""
        if not self.own_topic and self.kind == "state" and self.send == "page":
            return f"lab/{self.name}/page"
        return self.topic

    def settings(self) -> dict[str, object]:
        """How it stands, for its page."""
        return {
            "run": self.name, "topic": self.stream_topic, "page": self.topic,
            "own": bool(self.own_topic), "rate": self.rate, "size": self.size, "send": self.send,
            "kind": self.kind, "n": self._value.n,
        }  # fmt: skip

    def change(self, wish: Wish) -> None:
        """Do as the page wishes."""
        if wish.size is not None:
            size = min(max(wish.size, MIN_SIZE), MAX_SIZE)
            if size != self.size:
                self.size = size
                self._value = Value(size, self._chance, self._value.n, self._value.value)
        if wish.rate is not None:
            self.rate = min(max(wish.rate, MIN_RATE), MAX_RATE) if wish.rate == wish.rate else 1.0
        self.rate = min(self.rate, max(MIN_RATE, MAX_BYTES_A_SECOND / self.size))
        self.send = wish.send or self.send
        if wish.kind is not None:
            self.kind = wish.kind
        if not self.own_topic:
            self._pacing += 1
            self._next = self._clock()
            self._publish(self._pacing)

    def harm(self, harm: Break) -> None:
        """Do to its clients what networks do. Raises Problem 400 where there is no such way."""
        if harm.way and harm.way not in self.clients:
            raise Problem(400, f"way is one of {', '.join(self.clients)}")
        seconds = min(max(harm.seconds, 0.0), MAX_HARM_SECONDS)
        for client in [self.clients[harm.way]] if harm.way else list(self.clients.values()):
            if harm.what == "cut":
                client.cut(seconds)
            elif harm.what == "slow":
                client.slow = client.pace() // SLOWER + 1
                self._later(seconds or MAX_HARM_SECONDS, partial(_heal, client))
            elif harm.what == "proxy":
                client.buffering = True
                client.cut()  # what is open goes past it
            else:
                if client.buffering:
                    client.buffering = False
                    client.cut()
                _heal(client)

    # Publishing

    def _publish(self, pacing: int) -> None:
        """Publish what is due, and come back when the next is."""
        if self.over or pacing != self._pacing:
            return
        now = self._clock()
        late = int((now - self._next) * self.rate)
        if late > _BURST:
            self._next += (late - _BURST) / self.rate
        while self._next <= now:
            self._next += 1 / self.rate
            self._publish_one()
        self._later(max(0.001, self._next - now), lambda: self._publish(pacing))

    def _publish_one(self) -> None:
        value = self._value
        at = self._wall()
        value.step(at)
        if self.kind == "stream":
            data = {"page": value.page, "whole": value.whole, "change": value.change}[self.send]()
            drafts = [self._draft("records", "post", data, HTML if self.send == "page" else JSON)]
        else:
            drafts = [self._draft("value", "put", value.whole(), JSON)]
            if self.send == "page":
                drafts.append(self._draft("page", "put", value.page(), HTML))
        told = [value.n, round(at, 3), value.value]

        def done(outcomes: list[Outcome]) -> None:
            ids = [o.id for o in outcomes if isinstance(o, Published)]
            if ids:
                self._published.append([*told, ids])

        self.hub.publish(drafts, done)

    def _draft(self, topic: str, op: Op, data: bytes, type: str) -> Draft:
        return Draft(f"lab/{self.name}/{topic}", op, data, type)

    # Telling

    def _tick(self) -> None:
        """Tell the figures, and notice when nobody watches any more."""
        if self.over:
            return
        if self._is_unwatched():
            self.end()
            if self.ended is not None:
                self.ended()
            return
        self._tell()
        self._later(FIGURES_SECONDS, self._tick)

    def _tell(self) -> None:
        """Publish the figures as they stand."""
        figures = {
            "t": round(self._wall(), 3),
            "settings": self.settings(),
            "published": self._published,
            "pushed": self.pushed,
            "clients": {way: client.figures() for way, client in self.clients.items()},
        }
        self._published, self.pushed = [], []
        self.hub.publish(
            [self._draft("figures", "post", msgspec.json.encode(figures), JSON)], _ignore
        )

    def _is_unwatched(self) -> bool:
        value = self.hub.value(f"lab/{self.name}/clock")
        id = "" if value is None else value.id
        if id != self._clock_id:
            self._clock_id, self.watched = id, self._clock()
        return self._clock() - self.watched > WATCHED_SECONDS

    def end(self) -> None:
        """Publish no more, and let go of what it has published."""
        if self.over:
            return
        self.over = True
        self._tell()  # what has happened since it last told
        names = ("value", "page", "records", "figures", "clock")
        drafts = [self._draft(name, "delete", b"", "") for name in names]
        known = [draft for draft in drafts if self.hub.value(draft.topic) is not None]
        self.hub.publish(known, _ignore)


def _heal(client: Client) -> None:
    client.slow = 0


def _ignore(outcomes: list[Outcome]) -> None:
    """Nobody waits for it: a figure that is refused is followed by the next."""
