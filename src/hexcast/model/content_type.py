"""What a payload is: its content type, and its form as a member of a JSON object."""

from __future__ import annotations

import base64
import re

import msgspec

from ..value import LimitExceeded, Limits, Malformed, parse

__all__ = [
    "BINARY",
    "FORMS",
    "JSON",
    "TEXT",
    "as_json",
    "base_type",
    "check_type",
    "is_json",
    "parses",
    "quote",
    "settle_type",
    "utf8",
]

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

# RFC 9110, 8.3.1: type "/" subtype *( OWS ";" OWS parameter ), all of it visible ASCII.
_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+( *;[\x20-\x7e]*)?")

_check = msgspec.json.Decoder(msgspec.Raw).decode  # reads all of a value and builds none of it
_encode = msgspec.json.Encoder().encode
_NEWLINES = bytes.maketrans(b"\n\r", b"  ")


def quote(text: str) -> bytes:
    """`text` as a JSON string."""
    return _encode(text)


def base_type(type: str) -> str:
    """A content type without its parameters, in lower case."""
    return type.partition(";")[0].strip().lower()


def is_json(type: str) -> bool:
    """Whether payloads of this content type are JSON."""
    if type is JSON or type == JSON:
        return True
    base = base_type(type)
    return base == JSON or base.endswith("+json")


def check_type(type: str) -> str:
    """Return a content type that may be sent as a header. Raises ValueError otherwise."""
    if len(type) > 255 or not _TYPE.fullmatch(type):
        raise ValueError("a content type is TYPE/SUBTYPE, with parameters after ';'")
    return type


def parses(data: bytes) -> bool:
    """Whether all of `data` is JSON."""
    try:
        data.decode()
        _check(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _why(data: bytes) -> str:
    """Why `data` is not JSON, and where."""
    try:
        parse(data, Limits(bytes=len(data)))
    except (Malformed, LimitExceeded) as error:
        return str(error)
    return "not JSON"


def settle_type(type: str, data: bytes) -> str:
    """The content type a payload is kept under: the one given; for none, or a form's, what it is.

    Raises ValueError where the type is malformed, or says JSON of what is not.
    """
    if not type or base_type(type) in FORMS:
        if parses(data):
            return JSON
        return TEXT if utf8(data) is not None else BINARY
    check_type(type)
    if is_json(type) and not parses(data):
        raise ValueError(f"the body is {_why(data)}")
    return type


def utf8(data: bytes) -> str | None:
    """`data` as text, or None where it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def as_json(data: bytes, type: str) -> bytes:
    """A payload as a JSON value on one line: JSON as JSON, other UTF-8 as a string, else base64."""
    if is_json(type):
        # Line ends occur only between tokens (RFC 8259, 7), where a space is as good.
        return data.translate(_NEWLINES) if b"\n" in data or b"\r" in data else data
    text = utf8(data)
    if text is None:
        return b'{"base64":"' + base64.b64encode(data) + b'"}'
    return _encode(text)
