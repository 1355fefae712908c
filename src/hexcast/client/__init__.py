"""The Python client, on asyncio: publish to topics, and follow them over any of the ways.

`Client` is where it begins; `Client.publish`, `Client.publish_many` and `Client.subscribe` are most
of what there is to know.
"""

from __future__ import annotations

from .batch import BatchPublisher
from .client import Client
from .errors import ConnectionFailed, HexcastError, ProtocolError, Refused
from .plan import WayChoice
from .records import Gap, Record
from .retry import Connected, Lost, Notice
from .subscription import Subscription
from .trust import Trust
from .window import Acknowledged, Published, Unknown
from .wire import Message, Verb

__all__ = [
    "Acknowledged",
    "BatchPublisher",
    "Client",
    "Connected",
    "ConnectionFailed",
    "Gap",
    "HexcastError",
    "Lost",
    "Message",
    "Notice",
    "ProtocolError",
    "Published",
    "Record",
    "Refused",
    "Subscription",
    "Trust",
    "Unknown",
    "Verb",
    "WayChoice",
]
