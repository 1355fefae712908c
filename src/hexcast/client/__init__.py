"""The Python client, on asyncio: publish to topics, and follow them over any of the ways.

Begin with `client`: `Client.publish`, `Client.publish_many` and `Client.subscribe` are most of
what there is to know. `ways` has one file a way; `subscription` reconnects and switches for all
of them.
"""

from .batch import BatchPublisher
from .client import Client
from .encoding import Message, Verb
from .errors import ConnectionFailed, HexcastError, ProtocolError, Refused
from .eventstream import EventStreamParser, ServerEvent
from .fallback import WayChoice
from .html_page import read_page
from .lines import LineSplitter, TooLong
from .messages import Gap, Record
from .pending import Acknowledged, Published, Unknown
from .retry import Connected, Lost, Notice
from .subscription import Subscription
from .tls import Trust

__all__ = [
    "Acknowledged",
    "BatchPublisher",
    "Client",
    "Connected",
    "ConnectionFailed",
    "EventStreamParser",
    "Gap",
    "HexcastError",
    "LineSplitter",
    "Lost",
    "Message",
    "Notice",
    "ProtocolError",
    "Published",
    "Record",
    "Refused",
    "ServerEvent",
    "Subscription",
    "TooLong",
    "Trust",
    "Unknown",
    "Verb",
    "WayChoice",
    "read_page",
]
