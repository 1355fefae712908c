"""What a client writes: URLs, payloads, and the lines of a batch. Pure functions."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from ..model import BINARY, JSON, TEXT, as_json, check_pattern, check_topic, is_json, parses, utf8

__all__ = ["Message", "Verb", "base_url", "encode_line", "payload", "topic_path", "topics_path"]

Verb = Literal["post", "put", "patch", "append", "delete"]

MERGE_PATCH = "application/merge-patch+json"

# Characters that RFC 3986 lets stand in a path segment, besides the unreserved ones; `/` parts
# segments and `*` is a pattern's.
_IN_PATH = "/*!$&'()+,;=:@"

# JSON that a line may not carry as it is: an object that begins with a member `base64` would be
# taken for octets, a string for the text itself.
_NOT_ITSELF = re.compile(rb'\s*(?:"|\{\s*"base64")')


@dataclass(frozen=True, slots=True)
class Message:
    """One change to publish."""

    topic: str

    data: Any = None
    """bytes are octets, a str is text, anything else is encoded as JSON. Of a patch it is the
    patch, of an append the text to add."""

    op: Verb = "post"

    event: str | None = None

    type: str | None = None
    """Content type; without it, octets, text or JSON by `data`'s own type."""

    key: str | None = None
    """Idempotency key; a retry with the same key publishes nothing twice."""

    end: bool = False
    """Marks the topic's last record for now."""


class _Line(msgspec.Struct, omit_defaults=True):
    topic: str
    data: Any
    op: str = "post"
    event: str | None = None
    type: str | None = None
    key: str | None = None
    end: bool = False


def base_url(url: str) -> str:
    """The server's URL without a trailing slash.

    Raises ValueError unless it is an http or https URL without query and fragment.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"not the URL of a server, such as http://127.0.0.1:8066: {url!r}")
    return url.rstrip("/")


def topic_path(topic: str) -> str:
    """The path of one topic's URL, below the server's own. Raises ValueError."""
    return "/topics/" + quote(check_topic(topic), safe=_IN_PATH)


def topics_path(topics: Sequence[str], **query: str) -> str:
    """The path and query that select `topics`, of which each is a topic or a pattern.

    Raises ValueError when one of them is neither, or there is none.
    """
    if not topics:
        raise ValueError("at least one topic is needed")
    for topic in topics:
        check_pattern(topic)
    if len(topics) == 1:
        pairs = []
        path = "/topics/" + quote(topics[0], safe=_IN_PATH)
    else:
        pairs = [("topic", topic) for topic in topics]
        path = "/topics"
    pairs += query.items()
    return f"{path}?{urlencode(pairs, safe='/*')}" if pairs else path


def payload(data: Any, type: str | None) -> tuple[bytes, str]:
    """The bytes of a payload and the content type to send them with.

    Raises TypeError or ValueError where `data` cannot be JSON.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data), type or BINARY
    if isinstance(data, str) and not (type and is_json(type)):
        return data.encode(), type or TEXT
    return msgspec.json.encode(data), type or JSON


def encode_line(message: Message, key: str) -> bytes:
    """One line of an NDJSON batch, with its line end. Raises TypeError or ValueError.

    A payload that JSON cannot carry as it is, such as octets, goes as `{"base64": …}`.
    """
    check_topic(message.topic)
    data = message.data
    type = message.type
    if message.op == "delete":
        data = type = None
    elif message.op == "patch":
        body, type = payload(data, type or MERGE_PATCH)
        data = msgspec.Raw(as_json(body, type))
    elif message.op == "append":
        data = payload(data, type or TEXT)[0].decode()
    elif isinstance(data, (bytes, bytearray, memoryview)):
        data = _in_line(bytes(data), type or BINARY)
    elif not isinstance(data, str) or (type is not None and is_json(type)):
        data = _in_line(msgspec.json.encode(data), type or JSON)
        if isinstance(data, dict):
            type = type or JSON  # octets, unless it is said what they are
    line = _Line(message.topic, data, message.op, message.event, type, key, message.end)
    return msgspec.json.encode(line) + b"\n"


def _in_line(data: bytes, type: str) -> Any:
    """Payload bytes as the member `data`: JSON and text as they are, all else as base64."""
    if is_json(type):
        if not _NOT_ITSELF.match(data) and parses(data):
            return msgspec.Raw(as_json(data, type))
    elif type != BINARY:
        text = utf8(data)
        if text is not None:
            return text
    return {"base64": base64.b64encode(data).decode()}
