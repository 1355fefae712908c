"""WebSocket, subprotocol `hexcast.v1`: opened on the topics' own URL, so subscribed at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
)
from websockets.typing import Subprotocol

from ..encoding import topics_path
from ..errors import ConnectionFailed, ProtocolError, Refused
from ..messages import read_notice
from ..transport import ANSWER_BYTES, CONNECT_SECONDS, Transport, connection_errors
from .base import Ended, Item, Moved, Opened, Position

__all__ = ["receive"]

SUBPROTOCOL = Subprotocol("hexcast.v1")

# The library sends a ping so long after the last, and takes the connection for dead when the pong
# is as long in coming.
PING_SECONDS = 15.0

CLOSE_SECONDS = 2.0

# Close codes (RFC 6455, section 7.4.1) after which coming back with the same request is of use:
# going away, no code, broken, server fault, restart, try again later, bad gateway.
_COME_BACK = frozenset({1001, 1005, 1006, 1011, 1012, 1013, 1014})


async def receive(transport: Transport, position: Position) -> AsyncGenerator[Item, None]:
    """Follow one connection to its end."""
    async with _connected(transport, position) as connection:
        yield Opened()
        begins = connection.response.headers.get("Hexcast-Cursor") if connection.response else None
        if begins is not None:
            yield Moved(begins)
        while True:
            try:
                message = await connection.recv(decode=False)
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 1006
                reason = closed.rcvd.reason if closed.rcvd else ""
                break
            item = _item(message)
            if item is not None:
                yield item
    if code == 1000:
        yield Ended()
    elif 4400 <= code < 4600:  # an HTTP status, as far as a close code can say it
        raise Refused(code - 4000, "the WebSocket was closed", reason)
    elif code not in _COME_BACK:
        raise ProtocolError(f"the WebSocket was closed with {code} {reason}".rstrip())


@asynccontextmanager
async def _connected(transport: Transport, position: Position) -> AsyncIterator[ClientConnection]:
    url = transport.url + topics_path(
        position.topics, way="websocket", format="json", **position.query()
    )
    headers = dict(transport.headers)
    agent = headers.pop("User-Agent", None)
    try:
        with connection_errors(transport.url):
            connection = await connect(
                "ws" + url.removeprefix("http"),
                ssl=transport.trust.context("http/1.1") if url.startswith("https:") else None,
                subprotocols=[SUBPROTOCOL],
                additional_headers=headers,
                user_agent_header=agent,
                compression=None,
                max_size=ANSWER_BYTES,
                open_timeout=CONNECT_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
            )
    except InvalidStatus as error:
        response = error.response
        fields = {name.lower(): value for name, value in response.headers.raw_items()}
        raise Refused.from_response(
            response.status_code, fields, bytes(response.body or b"")
        ) from error
    except InvalidMessage as error:
        raise ConnectionFailed(f"the connection to {transport.url} broke: {error}") from error
    except InvalidHandshake as error:
        raise ProtocolError(f"no WebSocket at {transport.url}: {error}") from error
    try:
        if connection.subprotocol != SUBPROTOCOL:
            raise ProtocolError(f"{transport.url} does not speak {SUBPROTOCOL}")
        yield connection
    finally:
        await _close(connection)


async def _close(connection: ClientConnection) -> None:
    """Close, within `CLOSE_SECONDS`."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(connection.close())
        # The server's own close comes behind all that was not read yet.
        with suppress(ConnectionClosed):
            while True:
                await connection.recv(decode=False)


def _item(message: bytes) -> Item | None:
    notice = read_notice(message)
    if isinstance(notice, str):
        return Moved(notice)
    if isinstance(notice, dict):
        raise Refused.from_object(notice)
    return notice
