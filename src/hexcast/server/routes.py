"""Routing: which plan answers a request. The one place that knows every URL of the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from .. import __version__
from ..access import Access
from ..http import (
    Body,
    Exchange,
    Plan,
    Request,
    Response,
    body_coding,
    prefers_html,
    problem_response,
    refusal,
)
from ..model import Caller, Problem, Selector, is_pattern
from ..publish import OPS, batch, publish, publishable
from ..ways import (
    MODULE_NAME,
    PLAIN_POLICY,
    TOPIC_SCRIPT_PATH,
    Context,
    LongPoll,
    ReceiveQuery,
    hashed_module_name,
    poll,
    push,
    read_query,
    refresh,
    serve_module,
    single_record,
    sse,
    topic_script,
    topics_page,
    websocket,
)
from .listing import Listing, list_topics
from .prometheus import MetricsPage

if TYPE_CHECKING:
    from ..site import Site

__all__ = ["App"]

TOPIC_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
TOPICS_METHODS = "GET, HEAD, POST, OPTIONS"
PAGE_METHODS = "GET, HEAD, OPTIONS"

_WAYS: dict[str, Callable[[Context, ReceiveQuery, Exchange], None]] = {
    "refresh": refresh,
    "poll": poll,
    "sse": sse,
    "websocket": websocket,
    "push": push,
}
"""What serves a request over each way; for a long poll see `_serving`."""


class App:
    """Plans requests for one server.

    `site` has what is beside its own addresses.
    """

    def __init__(
        self,
        context: Context,
        access: Access,
        site: Site | None = None,
    ) -> None:
        self._context = context
        self._site = site
        self._access = access
        self._base = context.settings.base_path
        self._metrics = MetricsPage(context.feeds, context.counters)
        module = partial(serve_module, base=self._base, compress=context.settings.compress)
        self._pages: dict[str, Callable[[Request], Response]] = {
            "/": self._front,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics_page,
            TOPIC_SCRIPT_PATH: _topic_script,
            f"/{MODULE_NAME}": partial(module, hashed=False),
            f"/{hashed_module_name()}": partial(module, hashed=True),
        }
        self._mounted: dict[str, Callable[[Request, str], Plan]] = {}
        if site is not None:
            self._pages.update(site.addresses)

    def mount(self, path: str, plan: Callable[[Request, str], Plan]) -> None:
        """Let `plan` answer what is at `path` or below: it gets what follows the path."""
        self._mounted[path] = plan

    def plan(self, request: Request, caller: Caller) -> Plan:
        """How a caller's request is answered. Raises Problem where it is not for this server."""
        plan = request.memo
        if not isinstance(plan, Plan):
            plan = request.memo = self._planned(request)
        return plan

    def _planned(self, request: Request) -> Plan:
        """What a request means, by its head alone: the same for every caller, at any time."""
        self._access.check_host(request)
        try:
            plan = self._route(request)
        except Problem as problem:
            plan = refusal(problem)
        headers = self._access.cors(request)
        return msgspec.structs.replace(plan, headers=headers) if headers else plan

    def _route(self, request: Request) -> Plan:
        path = request.path
        if path == "*":
            if request.method == "OPTIONS":  # RFC 9110, 9.3.7: of the server as a whole
                return _answer(Response(204, (("Allow", TOPIC_METHODS),)))
            raise Problem(400, "'*' is for OPTIONS only")
        if self._base:
            if path != self._base and not path.startswith(self._base + "/"):
                raise Problem(404, f"everything is under {self._base}/")
            path = path[len(self._base) :] or "/"
        if path.startswith("/topics/"):
            plan = self._topic(request, path[len("/topics/") :])
        elif path == "/topics":
            plan = self._topics(request)
        else:
            first = "/" + path[1:].partition("/")[0]
            mounted = self._mounted.get(first)
            if mounted is not None:
                return mounted(request, path[len(first) :])
            plan = self._beside(request, path)
        return plan

    # /topics/TOPIC and /topics/PATTERN

    def _topic(self, request: Request, name: str) -> Plan:
        method = request.method
        if method in ("GET", "HEAD"):
            selector = _selector([name])
            return self._receive(request, selector, one=not is_pattern(name))
        if method in OPS:
            self._access.check_origin(request)
            publishable(name)
            body_coding(request)
            limit = self._context.settings.body_limit
            return Plan(partial(publish, self._context.publishes, name, limit), Body.WHOLE, limit)
        return self._options_or_refuse(request, TOPIC_METHODS)

    # /topics

    def _topics(self, request: Request) -> Plan:
        method = request.method
        if method in ("GET", "HEAD"):
            names = request.query.get("topic")
            if names:
                return self._receive(request, _selector(names), one=False)
            if "topic[]" in request.query:
                raise Problem(400, "topics are given as topic=A&topic=B, without brackets")
            query = self._query(request, Selector(()), one=False)
            if query.way in ("sse", "push", "long-poll"):
                raise Problem(400, f"{query.way} needs topics: /topics?topic=A&topic=B")
            if query.way == "websocket":
                return self._receive(request, Selector(()), one=False)
            return _dynamic(self._overview if query.way == "refresh" else self._listing)
        if method == "POST":
            self._access.check_origin(request)
            if request.header("content-type").partition(";")[0].strip().lower() not in (
                "application/x-ndjson",
                "application/ndjson",
                "application/jsonl",
            ):
                raise Problem(415, "a batch is application/x-ndjson, one object a line")
            body_coding(request)
            context, limit = self._context, self._context.settings.body_limit
            run = partial(batch, context.publishes, limit, context.feeds.context.schedule)
            return Plan(run, Body.STREAM)
        return self._options_or_refuse(request, TOPICS_METHODS)

    def _query(self, request: Request, selector: Selector, *, one: bool) -> ReceiveQuery:
        return read_query(request, selector, one=one, compress=self._context.settings.compress)

    def _receive(self, request: Request, selector: Selector, *, one: bool) -> Plan:
        query = self._query(request, selector, one=one)
        context = self._context
        id = request.first("id")
        if one and id:
            query = replace(query, way="poll")  # however it was asked for: it will never change
            return _plan_way(query, partial(single_record, context, query, id))
        if query.way == "websocket":
            self._access.check_origin(request)
        return _plan_way(query, _serving(context, query))

    def _listing(self, request: Request) -> Response:
        listing = self._list(request)
        listed = [
            {
                "topic": topic.name,
                "kind": topic.kind,
                "id": topic.id,
                "rate": round(topic.rate, 3),
                "subscribers": sum(topic.clients.values()),
            }
            for topic in listing.topics
        ]
        return Response(
            200,
            (
                ("Content-Type", "application/json"),
                ("Cache-Control", "no-store"),
                ("Vary", "Accept"),
            ),
            msgspec.json.encode({"topics": listed, "more": listing.left > 0}) + b"\n",
        )

    def _list(self, request: Request) -> Listing:
        return list_topics(self._context.hub, self._context.feeds.interested, request)

    # Beside the topics

    def _beside(self, request: Request, path: str) -> Plan:
        page, site = self._pages.get(path), self._site
        if site is None or (page is not None and path != "/"):
            if page is None:
                raise Problem(404, "there is nothing at this address; topics are under /topics/")
            return self._page(request, page)
        if request.method not in ("GET", "HEAD"):
            return self._options_or_refuse(request, PAGE_METHODS)

        def serve(exchange: Exchange, body: bytes) -> None:
            if page is not None and not site.has(path):
                exchange.respond(page(exchange.request))
            else:
                site.serve(path, exchange)

        return Plan(serve)

    def _page(self, request: Request, page: Callable[[Request], Response]) -> Plan:
        if request.method in ("GET", "HEAD"):
            return _dynamic(page)
        return self._options_or_refuse(request, PAGE_METHODS)

    def _options_or_refuse(self, request: Request, methods: str) -> Plan:
        if request.method != "OPTIONS":
            raise Problem(405, f"{request.method} is not for this address", allow=methods)
        preflight = self._access.preflight(request, methods)
        return _answer(Response(204, (("Allow", methods), *preflight)))

    def _front(self, request: Request) -> Response:
        if not prefers_html(request.header("accept")):
            return self._text(
                f"Hexcast {__version__}. Topics: {self._base}/topics/TOPIC, "
                f"all of them: {self._base}/topics\n"
            )
        return self._overview(request)

    def _overview(self, request: Request) -> Response:
        """What is live, as a page."""
        listing = self._list(request)
        return Response(
            200,
            (
                ("Content-Type", "text/html; charset=utf-8"),
                ("Cache-Control", "no-store"),
                ("Vary", "Accept"),
                ("Content-Security-Policy", PLAIN_POLICY),
                ("X-Content-Type-Options", "nosniff"),
            ),
            topics_page(
                listing.topics,
                {way: meter.clients for way, meter in self._context.counters.ways.items()},
                self._base,
                f"{self._base}/lab" if self._context.settings.lab else "",
                left=listing.left,
                match=listing.match,
            ),
        )

    def _healthz(self, request: Request) -> Response:
        hub = self._context.hub
        return self._json(
            {"status": "ok", "version": __version__, "epoch": hub.epoch,
             "acknowledged_survives": hub.durability}
        )  # fmt: skip

    def _readyz(self, request: Request) -> Response:
        if self._context.draining:
            raise Problem(503, "the server is stopping", retry_after=1)
        return self._json({"status": "ready"})

    def _metrics_page(self, request: Request) -> Response:
        return Response(
            200,
            (("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),
             ("Cache-Control", "no-store")),
            self._metrics.render(),
        )  # fmt: skip

    @staticmethod
    def _json(members: dict[str, object]) -> Response:
        return Response(
            200,
            (("Content-Type", "application/json"), ("Cache-Control", "no-store")),
            msgspec.json.encode(members) + b"\n",
        )

    @staticmethod
    def _text(text: str) -> Response:
        return Response(
            200,
            (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")),
            text.encode(),
        )


def _selector(names: list[str]) -> Selector:
    try:
        return Selector(names)
    except ValueError as error:
        raise Problem(400, str(error)) from None


def _serving(context: Context, query: ReceiveQuery) -> Callable[[Exchange], None]:
    """What serves a request. Equal long polls share a `LongPoll`, which remembers their feed."""
    if query.way == "long-poll":
        return LongPoll(context, query)
    return partial(_WAYS[query.way], context, query)


def _plan_way(query: ReceiveQuery, serve: Callable[[Exchange], None]) -> Plan:
    """The plan of a way; its refusals name it too."""

    def run(exchange: Exchange, body: bytes) -> None:
        try:
            serve(exchange)
        except Problem as problem:
            exchange.respond(problem_response(problem, (("Hexcast-Way", query.way),)))

    return Plan(run)


def _answer(response: Response) -> Plan:
    def run(exchange: Exchange, body: bytes) -> None:
        exchange.respond(response)

    return Plan(run)


def _dynamic(page: Callable[[Request], Response]) -> Plan:
    def run(exchange: Exchange, body: bytes) -> None:
        exchange.respond(page(exchange.request))

    return Plan(run)


def _topic_script(request: Request) -> Response:
    return topic_script()
