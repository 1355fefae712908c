"""Requests as HTTP/2 has them: pseudo-header fields and fields (RFC 9113, 8.3; RFC 8441). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..problem import Problem
from .h1_messages import MAX_HEADERS, MAX_LINE
from .request import Request

__all__ = ["read_request"]


def read_request(headers: Iterable[tuple[bytes, bytes]], *, secure: bool) -> tuple[Request, bool]:
    """A request from its decoded fields, and whether it asks for a tunnel (extended CONNECT).

    An extended CONNECT for a WebSocket reads as the GET with `Upgrade` that it stands for. Raises
    Problem 400, 414, 431 or 501.
    """
    pseudo: dict[bytes, bytes] = {}
    fields: list[tuple[str, str]] = []
    size = 0
    for name, value in headers:
        if name.startswith(b":"):
            pseudo[name] = value
            continue
        size += len(name) + len(value) + len(": \r\n")
        fields.append((name.decode("latin-1"), value.decode("latin-1")))
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
