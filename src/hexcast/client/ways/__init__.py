"""The ways of receiving, one module each."""

from __future__ import annotations

from collections.abc import Mapping

from ...model import WayName
from . import poll, push, refresh, sse, websocket
from .base import WayFunction

__all__ = ["WAYS"]

WAYS: Mapping[WayName, WayFunction] = {
    "sse": sse.receive,
    "websocket": websocket.receive,
    "long-poll": poll.receive_long_poll,
    "poll": poll.receive_poll,
    "refresh": refresh.receive,
    "push": push.receive,
}
