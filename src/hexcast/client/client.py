"""The client: publish, read and follow topics of one server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import msgspec

from ..model import TEXT
from .backoff import Backoff
from .batch import BatchPublisher
from .encoding import MERGE_PATCH, Message, Verb, payload, topic_path, topics_path
from .errors import ConnectionFailed, ProtocolError, Refused
from .fallback import WayChoice
from .messages import Record, read_message
from .pending import IN_HAND_TRIES, Published
from .retry import Listener
from .subscription import Subscription
from .tls import Trust
from .transport import Transport

__all__ = ["Client"]

# How long `publish` goes on when the server is not to be had for a moment.
PUBLISH_SECONDS = 15.0


class Client:
    """A client of the server at `url`. Use it in `async with`, or call `aclose()` at the end.

    `token` is sent as a bearer token; `trust` says which certificates to take over https. Raises
    ValueError where `url` is no http or https URL, or a file of certificates cannot be used.
    """

    def __init__(self, url: str, token: str | None = None, *, trust: Trust | None = None) -> None:
        self._transport = Transport(url, token, trust)

    @property
    def url(self) -> str:
        """The server's URL, without a slash at its end."""
        return self._transport.url

    async def publish(
        self,
        topic: str,
        data: Any = None,
        *,
        op: Verb = "post",
        event: str | None = None,
        type: str | None = None,
        key: str | None = None,
        end: bool = False,
        if_match: str | None = None,
    ) -> Published:
        """Publish one change, and return when it is acknowledged.

        `data`: bytes are octets, a str is text, anything else is encoded as JSON; `type` is its
        content type where that is not what is meant. `op` says whether it is a stream's next
        record (`post`), a state's new value (`put`), a change of it (`patch`, a merge patch unless
        `type` says otherwise, or `append`, text to add), or the topic's deletion. `key` is an
        idempotency key; one is made when none is given, so that a try whose outcome is unknown is
        made again without publishing twice. `if_match` is the id that must be the topic's newest.

        Raises Refused (412 when the topic has moved on), or ConnectionFailed: with `reached` False
        nothing was published, otherwise it is not known.
        """
        query = {}
        if event is not None:
            query["event"] = event
        if end:
            query["end"] = "1"
        if op == "append":
            query["op"] = "append"
        path = topic_path(topic) + (f"?{urlencode(query)}" if query else "")
        headers = {"Idempotency-Key": key or secrets.token_hex(16)}
        if if_match is not None:
            headers["If-Match"] = if_match if if_match == "*" else f'"{if_match}"'
        body = None
        if op != "delete":
            usual = {"patch": MERGE_PATCH, "append": TEXT}.get(op)
            body, headers["Content-Type"] = payload(data, type or usual)
        method = "PATCH" if op in ("patch", "append") else op.upper()
        return await self._publish(method, path, headers, body)

    async def _publish(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None
    ) -> Published:
        loop = asyncio.get_running_loop()
        until = loop.time() + PUBLISH_SECONDS
        backoff = Backoff(base=0.2)
        for tries in range(1, 1000):
            failure: ConnectionFailed | Refused
            try:
                answer = await self._transport.request(method, path, headers=headers, body=body)
            except ConnectionFailed as error:
                if not error.reached and tries == 1:
                    raise
                failure = error
            else:
                if answer.status in (200, 201):
                    return _published(answer.body)
                failure = Refused.from_response(answer.status, answer.headers, answer.body)
                in_hand = answer.status == 409 and 1 < tries <= IN_HAND_TRIES
                if not (failure.transient or in_hand):
                    raise failure
            floor = failure.retry_after if isinstance(failure, Refused) else 0.0
            seconds = backoff.next(floor)
            if loop.time() + seconds > until:
                raise failure
            await asyncio.sleep(seconds)
        raise AssertionError("more tries than fit into the time")

    def publish_many(
        self,
        messages: AsyncIterable[Message],
        *,
        unacknowledged: int = 1000,
        give_up: float | None = 60.0,
        listener: Listener | None = None,
        backoff: Backoff | None = None,
    ) -> BatchPublisher:
        """Publish messages as they come, and iterate over their acknowledgements, in order.

        At most `unacknowledged` are under way. `give_up` is the time in seconds without success
        after which it fails; see `BatchPublisher`. `listener` is told of connections made and lost.
        """
        return BatchPublisher(
            self._transport,
            messages,
            unacknowledged=unacknowledged,
            give_up=give_up,
            listener=listener,
            backoff=backoff,
        )

    async def get(self, topic: str) -> Record | None:
        """A state's value or a stream's newest record; None where there is nothing.

        Raises Refused, ConnectionFailed or ProtocolError.
        """
        topic_path(topic)  # raises ValueError where this is a pattern
        answer = await self._transport.request(
            "GET",
            topics_path([topic], way="poll", format="json"),
            headers={"Accept": "application/json"},
        )
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise Refused.from_response(answer.status, answer.headers, answer.body)
        return read_message(answer.body)

    def subscribe(
        self,
        *topics: str,
        way: WayChoice = "auto",
        since: str | None = None,
        last: int | None = None,
        every: float = 5.0,
        listener: Listener | None = None,
        backoff: Backoff | None = None,
    ) -> Subscription:
        """Follow topics and patterns: an async iterator of Record and Gap.

        Without `since` a state's value comes first, then changes; a stream begins from now, or
        with its `last` newest records. `since` is a cursor (an id: everything after it), or
        `earliest`. `auto` takes the best way that gets through. `every` is the pause in seconds
        between two requests of the ways `poll` and `refresh`. `listener` is told of connections
        made and lost. Raises ValueError where a topic is none.
        """
        return Subscription(
            self._transport,
            topics,
            way=way,
            since=since,
            last=last,
            every=every,
            listener=listener,
            backoff=backoff,
        )

    async def aclose(self) -> None:
        """Close the connections kept for reuse. Close subscriptions and publishers first."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def _published(body: bytes) -> Published:
    try:
        return msgspec.json.decode(body, type=Published)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not the answer to a publish: {error}") from error
