"""Requests as HTTP/2 has them: pseudo-header fields and fields (RFC 9113, 8.3; RFC 8441). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ...model import Problem
from ..h1.parser import MAX_HEADERS, MAX_LINE
from ..request import Request

__all__ = ["Malformed", "check_trailers", "read_request"]

_NAME = re.compile(rb"[!-9;-@\[-~]+").fullmatch  # 8.2.1: neither upper case nor a colon
_BAD_VALUE = re.compile(rb"[\0\r\n]|\A[ \t]|[ \t]\Z").search
_PSEUDO = frozenset((b":method", b":scheme", b":authority", b":path", b":protocol"))
_OF_A_CONNECTION = frozenset((b"connection", b"proxy-connection", b"keep-alive", b"upgrade",
                              b"transfer-encoding"))  # fmt: skip


class Malformed(Exception):
    """The request is none (8.1.1): its stream ends with PROTOCOL_ERROR, and no other."""


def _check_field(name: bytes, value: bytes) -> None:
    if not _NAME(name):
        raise Malformed("a field's name")
    if _BAD_VALUE(value):
        raise Malformed("a field's value")
    if name in _OF_A_CONNECTION or (name == b"te" and value.lower() != b"trailers"):
        raise Malformed("a field that is of a connection")


def check_trailers(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises Malformed where the fields behind a body may not be there."""
    for name, value in headers:
        _check_field(name, value)


def _check_pseudo(pseudo: dict[bytes, bytes], hosts: list[bytes]) -> None:
    """Whether what must be said of a request is said, and once (8.3.1)."""
    if not pseudo.keys() <= _PSEUDO or b":method" not in pseudo:
        raise Malformed("pseudo-header fields")
    tunnel = pseudo[b":method"] == b"CONNECT" and b":protocol" not in pseudo
    if any((name in pseudo) is tunnel for name in (b":scheme", b":path")):
        raise Malformed("pseudo-header fields")
    if not pseudo.get(b":path", b"/"):
        raise Malformed("an empty path")
    hosts = [*hosts, pseudo[b":authority"]] if b":authority" in pseudo else hosts
    if not hosts or any(host != hosts[0] for host in hosts):
        raise Malformed("no host, or several")


def read_request(headers: Iterable[tuple[bytes, bytes]], *, secure: bool) -> tuple[Request, bool]:
    """A request from its decoded fields, and whether it asks for a tunnel (extended CONNECT).

    An extended CONNECT for a WebSocket reads as the GET with `Upgrade` that it stands for. Raises
    Malformed, and Problem 400, 414, 431 or 501.
    """
    pseudo: dict[bytes, bytes] = {}
    fields: list[tuple[str, str]] = []
    hosts: list[bytes] = []
    size = 0
    for name, value in headers:
        if name.startswith(b":"):
            if fields or name in pseudo or _BAD_VALUE(value):
                raise Malformed("pseudo-header fields")
            pseudo[name] = value
            continue
        _check_field(name, value)
        if name == b"host":
            hosts.append(value)
        size += len(name) + len(value) + len(": \r\n")
        fields.append((name.decode("latin-1"), value.decode("latin-1")))
    _check_pseudo(pseudo, hosts)
    path = pseudo.get(b":path", b"")
    if size > MAX_HEADERS:
        raise Problem(431, f"the headers are longer than {MAX_HEADERS} bytes")
    if len(path) > MAX_LINE:
        raise Problem(414, f"the path is longer than {MAX_LINE} bytes")
    method = pseudo.get(b":method", b"").decode("latin-1")
    upgrade = False
    if method == "CONNECT":
        if pseudo.get(b":protocol") != b"websocket":
            raise Problem(501, "the only tunnel here is a WebSocket")
        method, upgrade = "GET", True
        fields.append(("upgrade", "websocket"))
    elif b":protocol" in pseudo:
        raise Problem(400, ":protocol is for CONNECT only")
    if not path.startswith(b"/") and path != b"*":
        raise Problem(400, ":path is neither a path nor '*'")
    authority = pseudo.get(b":authority")
    if authority is not None:
        fields = [field for field in fields if field[0] != "host"]
        fields.append(("host", authority.decode("latin-1")))
    return Request(method, path, fields, version="2", secure=secure), upgrade
