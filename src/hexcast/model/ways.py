"""The six ways to receive, by name."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["WAYS", "WayName"]

WayName = Literal["refresh", "poll", "long-poll", "sse", "websocket", "push"]
"""What `Hexcast-Way` and `way=` may say."""

WAYS: tuple[WayName, ...] = get_args(WayName)
