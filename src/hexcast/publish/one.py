"""Publishing over HTTP: POST, PUT, PATCH and DELETE of one change, and the line that says one."""

from __future__ import annotations

import base64
import binascii
from typing import get_args
from urllib.parse import quote

import msgspec

from ..http import (
    Exchange,
    Headers,
    Request,
    Response,
    body_coding,
    decode_body,
    entity_tags,
    problem_response,
)
from ..hub import MAX_KEY_BYTES, MERGE_PATCH, check_patch_type
from ..log import Outcome
from ..model import (
    BINARY,
    FORMS,
    JSON,
    TEXT,
    Draft,
    Op,
    Problem,
    Published,
    base_type,
    check_event,
    check_topic,
    check_type,
    settle_type,
)
from .pending import PendingPublishes

__all__ = ["Line", "decode_line", "draft_of_line", "draft_of_request", "publish"]

OPS: dict[str, Op] = {"POST": "post", "PUT": "put", "PATCH": "patch", "DELETE": "delete"}
_ENCODER = msgspec.json.Encoder()


def publishable(name: str) -> str:
    """Return a topic's name that may be published to. Raises Problem 400."""
    try:
        check_topic(name)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    if name.startswith("$"):
        raise Problem(400, "topics whose first segment begins with '$' are reserved")
    return name


def check_key(key: str) -> str:
    """Return an idempotency key of a size that can be kept. Raises Problem 400."""
    if len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise Problem(400, f"an idempotency key has at most {MAX_KEY_BYTES} bytes")
    return key


# One change


def draft_of_request(request: Request, topic: str, body: bytes) -> Draft:
    """The change that a request asks for. Raises Problem where it cannot be meant."""
    op, type = OPS[request.method], request.header("content-type")
    try:
        if op == "patch":
            op, type = _read_change(request.first("op"), type)
        elif op == "delete":
            body, type = b"", ""
        else:
            type = settle_type(type, body)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    return Draft(
        topic=publishable(topic),
        op=op,
        data=body,
        type=type,
        event=check_event(request.first("event"), given="event" in request.query),
        end=request.flag("end"),
        key=check_key(request.header("idempotency-key")),
        if_match=_expected(request, "if-match"),
        if_none=_expected(request, "if-none-match"),
    )


def _expected(request: Request, name: str) -> tuple[str, ...]:
    """The ids that a change is made to depend on.

    Raises Problem where they cannot be read: what was meant to be guarded must not go through.
    """
    given = request.headers.get(name)
    if given is None:
        return ()
    tags = entity_tags(given)
    if not tags:
        raise Problem(400, f"{name} is '*' or ids in quotes: \"ID\"")
    return tags


def _read_change(op: str, type: str) -> tuple[Op, str]:
    """The kind of change that a PATCH is, and the type of its body.

    Raises Problem, or ValueError where the type is malformed.
    """
    if op == "append":
        return "append", check_type(type) if type and base_type(type) not in FORMS else ""
    if op in ("", "patch"):
        return "patch", check_patch_type(type)
    raise Problem(400, "the op of a PATCH is patch or append")


def publish(
    publishes: PendingPublishes, topic: str, limit: int, exchange: Exchange, body: bytes
) -> None:
    """Publish what a request brings, and answer when the log has it.

    Raises Problem where it cannot be published, or a coded body decodes to more than `limit` bytes.
    """
    coding = body_coding(exchange.request)
    if coding and body:
        body = decode_body(coding, body, limit)
    draft = draft_of_request(exchange.request, topic, body)
    publishes.publish([draft], lambda outcomes: exchange.respond(_answer(outcomes[0], exchange)))


def _answer(outcome: Outcome, exchange: Exchange) -> Response:
    if isinstance(outcome, Problem):
        return problem_response(outcome)
    headers: Headers = (("Content-Type", "application/json"), ("ETag", f'"{outcome.id}"'))
    if outcome.begun:
        headers = (*headers, ("Location", f"{quote(exchange.request.path)}?id={outcome.id}"))
    return Response(
        201 if outcome.begun else 200, headers, _ENCODER.encode(_members(outcome)) + b"\n"
    )


def _members(outcome: Published) -> dict[str, object]:
    return {"id": outcome.id, "topic": outcome.topic, "changed": outcome.changed}


# A line of a batch; a publish over WebSocket has the same members


class Line(msgspec.Struct):
    """One change as a JSON object."""

    topic: str
    data: msgspec.Raw = msgspec.Raw()
    op: str = "post"
    event: str | None = None
    type: str = ""
    key: str = ""
    end: bool = False


class _Binary(msgspec.Struct, forbid_unknown_fields=True):
    base64: str


decode_line = msgspec.json.Decoder(Line).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_binary = msgspec.json.Decoder(_Binary).decode
_LINE_OPS: dict[str, Op] = {op: op for op in get_args(Op)}


def draft_of_line(line: Line) -> Draft:
    """The change that a line asks for. Raises Problem where it cannot be meant."""
    op = _LINE_OPS.get(line.op)
    if op is None:
        raise Problem(400, "op is post, put, patch, append or delete")
    topic = publishable(line.topic)
    event = check_event(line.event) if line.event is not None else ""
    key = check_key(line.key) if line.key else ""
    data, type = b"", ""
    if op == "patch" or op == "append":
        return _change_of_line(line, topic, event, key)
    if op != "delete":
        data, type = _payload(bytes(line.data), line.type)
    return Draft(topic, op, data, type, event, line.end, key)


def _change_of_line(line: Line, topic: str, event: str, key: str) -> Draft:
    """A change in part: `data` is a patch as JSON, or the text to be added as a string."""
    raw, type = bytes(line.data), line.type
    if line.op == "patch":
        if not raw:
            raise Problem(400, "data is missing")
        type = check_patch_type(type or MERGE_PATCH)
        return Draft(topic, "patch", raw, type, event, line.end, key)
    if raw[:1] != b'"':
        raise Problem(400, "the data of an append is a string")
    text, type = _payload(raw, type)
    return Draft(topic, "append", text, type, event, line.end, key)


def _payload(raw: bytes, type: str) -> tuple[bytes, str]:
    """The payload and content type of a `data` member: text, octets, or else JSON."""
    try:
        if not raw:
            raise Problem(400, "data is missing")
        if raw[0] == 0x22:  # a string is text
            data = _decode_text(raw).encode()
            return (data, settle_type(type, data)) if type else (data, TEXT)
        if raw[0] == 0x7B and b'"base64"' in raw:
            try:
                octets = _decode_binary(raw)
            except msgspec.ValidationError:
                pass  # an object like any other
            else:
                data = base64.b64decode(octets.base64, validate=True)
                return data, settle_type(type, data) if type else BINARY
        raw.decode()
        if type:
            check_type(type)
        return raw, type or JSON
    except (binascii.Error, UnicodeError, msgspec.DecodeError) as error:
        raise Problem(400, f"data: {error}") from None
    except ValueError as error:
        raise Problem(400, str(error)) from None
