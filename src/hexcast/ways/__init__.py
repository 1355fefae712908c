"""Requests that receive: the six ways, and the formats that they write.

`query` reads what a request wants; each way answers one such query: `poll`, `long_poll`, `sse`,
`push`, `refresh` and `websocket`. Read `sse` first: it is the shortest of those that stay open.
`json_format` encodes records; `context` has what all ways share.
"""

from .client_module import MODULE_NAME, hashed_module_name, serve_module
from .compressed import CACHED, KEPT, entity_tag
from .context import Context
from .long_poll import LongPoll
from .poll import poll, single_record
from .push import push
from .query import ReceiveQuery, read_page_query, read_query
from .refresh.layout import PLAIN_POLICY, Live, message_page, topics_page
from .refresh.topic_script import TOPIC_SCRIPT_PATH, topic_script
from .refresh.way import refresh
from .sse import sse
from .websocket.session import websocket

__all__ = [
    "CACHED",
    "KEPT",
    "MODULE_NAME",
    "PLAIN_POLICY",
    "TOPIC_SCRIPT_PATH",
    "Context",
    "Live",
    "LongPoll",
    "ReceiveQuery",
    "entity_tag",
    "hashed_module_name",
    "message_page",
    "poll",
    "push",
    "read_page_query",
    "read_query",
    "refresh",
    "serve_module",
    "single_record",
    "sse",
    "topic_script",
    "topics_page",
    "websocket",
]
