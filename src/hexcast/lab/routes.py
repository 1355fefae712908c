"""The lab's part of the server: its addresses, its runs, and who is metered for them."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from functools import partial
from time import time_ns
from typing import TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from ..access import Access
from ..http import Body, Exchange, Plan, Request, Response
from ..model import Caller, Problem, check_topic, is_pattern
from ..ways import Context
from .assets import PAGE, file_response
from .cost import call_cost
from .push_client import Address, PushClient
from .run import Break, Run, Wish

__all__ = ["Lab"]

MAX_RUNS = 8
MAX_BODY = 4096
MAX_NAME = 16
_ALPHABET = string.ascii_lowercase + string.digits

_Asked = TypeVar("_Asked", Wish, Break)


class Lab:
    """All runs of one server: its addresses are mounted there, its meter stands around the routing.

    `later` runs a callable after some seconds.
    """

    def __init__(
        self,
        context: Context,
        access: Access,
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._context = context
        self._access = access
        self._later = later
        self._runs: dict[str, Run] = {}
        self._push: dict[str, PushClient] = {}
        self.address: Address | None = None  # where the server listens, once it does
        self.restart: Callable[[], None] | None = None  # starts the server anew, where one can

    def listening(self, url: str) -> None:
        """The server listens at `url`: runs can begin."""
        parts = urlsplit(url)
        self.address = Address(
            parts.hostname or "", parts.port or 0, parts.scheme == "https", parts.path
        )

    # Addresses

    def plan(self, request: Request, path: str) -> Plan:
        """How a request below `/lab` is answered; `path` is what follows it.

        Raises Problem 404 and 405.
        """
        if path.startswith("/runs"):
            return self._control(request, path[len("/runs") :])
        if request.method not in ("GET", "HEAD"):
            raise Problem(405, "the lab's files are for reading", allow="GET, HEAD")
        response = file_response(request, path[1:] or PAGE)
        if response is None:
            raise Problem(404, "the lab has no such file")
        return Plan(lambda exchange, body: exchange.respond(response))

    def _control(self, request: Request, path: str) -> Plan:
        method = request.method
        name, _, act = path[1:].partition("/")
        if method == "GET" and name and not act:
            return _answered(lambda body: self._state(self._run(name)))
        allowed = {"": "POST", "breaks": "POST", "restart": "POST"}
        if not name:
            if method != "POST":
                raise Problem(405, "POST begins a run", allow="POST")
        elif act:
            if act not in allowed or method != "POST":
                raise Problem(404 if act not in allowed else 405, "no such thing", allow="POST")
        elif method not in ("PATCH", "DELETE"):
            raise Problem(405, "a run is changed or ended", allow="GET, PATCH, DELETE")
        self._access.check_origin(request)
        if method == "DELETE":
            return _answered(lambda body: self._end(self._run(name)))
        kind = request.header("content-type").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Problem(415, "the lab takes application/json")
        do: Callable[[bytes], dict[str, object]]
        if not name:
            do = self._begin
        elif act == "breaks":
            do = partial(self._break, name)
        elif act == "restart":
            do = partial(self._restart, name)
        else:
            do = partial(self._change, name)
        return _answered(do, Body.WHOLE, 200 if name else 201)

    # Runs

    def _run(self, name: str) -> Run:
        run = self._runs.get(name)
        if run is None:
            raise Problem(404, "there is no such run; it ends when its page is closed")
        return run

    def _begin(self, body: bytes) -> dict[str, object]:
        wish = _read(body, Wish)
        address = self.address
        if address is None or self._context.draining:
            raise Problem(503, "the server is not ready", retry_after=1)
        name = wish.run or "".join(secrets.choice(_ALPHABET) for _ in range(6))
        if not name.isascii() or not name.isalnum() or len(name) > MAX_NAME:
            raise Problem(400, f"a run's name is 1 to {MAX_NAME} letters and digits")
        if wish.topic:
            try:
                check_topic(wish.topic)
            except ValueError as error:
                raise Problem(400, str(error)) from None
            if is_pattern(wish.topic):
                raise Problem(400, "the lab watches one topic")
        if name in self._runs:
            return self._state(self._runs[name])
        if len(self._runs) >= MAX_RUNS:
            raise Problem(429, f"there are {MAX_RUNS} runs; close a lab's page", retry_after=30)
        feeds = self._context.feeds
        run = Run(name, self._context.hub, feeds.context.clock, _wall, self._later, wish)
        self._runs[name] = run
        run.ended = partial(self._forget, run)
        self._follow(run, address, wish.cursor)
        return self._state(run)

    def _follow(self, run: Run, address: Address, cursor: str) -> None:
        """Begin the run's client of push."""
        client = run.clients["push"]

        def path(cursor: str) -> str:
            query = f"way=push&client={run.name}.push"
            if run.send == "change":
                query += "&delta=1"
            if cursor:
                query += f"&since={cursor}"
            return f"{address.base}/topics/{quote(run.stream_topic)}?{query}"

        def tell(what: str, id: str) -> None:
            # What it counts itself is exact; the server's count knows no compressed headers.
            client.received, client.sent = push.sent, push.received
            run.pushed.append([what, round(_wall(), 3), id])

        self._push[run.name] = push = PushClient(address, path, tell, quote(cursor))

    def _change(self, name: str, body: bytes) -> dict[str, object]:
        run = self._run(name)
        before = (run.stream_topic, run.send)
        run.change(_read(body, Wish))
        if (run.stream_topic, run.send) != before:
            self._push[name].again()
        return self._state(run)

    def _break(self, name: str, body: bytes) -> dict[str, object]:
        run = self._run(name)
        run.harm(_read(body, Break))
        return self._state(run)

    def _restart(self, name: str, body: bytes) -> dict[str, object]:
        run = self._run(name)
        if self.restart is None:
            raise Problem(501, "only `hexcast demo` starts itself anew when asked to")
        self._later(0.05, self.restart)  # once this is answered
        return self._state(run)

    def _end(self, run: Run) -> dict[str, object]:
        state = self._state(run)
        run.end()
        self._forget(run)
        return state

    def _forget(self, run: Run) -> None:
        self._runs.pop(run.name, None)
        for client in run.clients.values():
            client.cut()
        push = self._push.pop(run.name, None)
        if push is not None:
            push.cancel()

    def _state(self, run: Run) -> dict[str, object]:
        cost = call_cost()
        push = self._push.get(run.name)
        return {
            **run.settings(),
            "prefix": f"lab/{run.name}",
            "epoch": self._context.hub.epoch,
            "promise": self._context.hub.durability,
            "restarts": self.restart is not None,
            "push": push.way if push is not None else "",
            "send_us": round(cost.send * 1e6, 1),
            "receive_us": round(cost.receive * 1e6, 1),
        }

    async def stop(self) -> None:
        """End all runs; their clients are gone when this returns."""
        pushes = list(self._push.values())
        for run in list(self._runs.values()):
            run.end()
            self._forget(run)
        for push in pushes:
            await push.stop()

    # Metering

    def metered(
        self, inner: Callable[[Request, Caller], Plan], request: Request, caller: Caller
    ) -> Plan:
        """The plan that `inner` has, through the meter of a run's client where it is one's.

        Such a client receives with `?client=RUN.WAY`.
        """
        fresh = request.memo is None  # else an equal head was parsed before
        plan = inner(request, caller)
        name = request.first("client")
        if not name or request.method not in ("GET", "HEAD"):
            return plan
        run_name, _, way = name.partition(".")
        found = self._runs.get(run_name)
        client = None if found is None else found.clients.get(way)
        if client is None:
            return plan
        return msgspec.structs.replace(plan, run=partial(client.serve, plan.run, fresh=fresh))


def _wall() -> float:
    """Milliseconds since 1970 UTC, in parts."""
    return time_ns() / 1e6


def _read(body: bytes, kind: type[_Asked]) -> _Asked:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"the body is not what the lab takes: {error}") from None


def _answered(
    do: Callable[[bytes], dict[str, object]], body: Body = Body.NONE, status: int = 200
) -> Plan:
    """The plan that does something and answers with what stands then."""

    def run(exchange: Exchange, data: bytes) -> None:
        state = msgspec.json.encode(do(data)) + b"\n"
        headers = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
        exchange.respond(Response(status, headers, state))

    return Plan(run, body, MAX_BODY)
