"""Who may speak to this server from a browser (protocol 6): the names it answers to, and the
origins whose scripts may publish.

A page of any website can make a browser send requests to a server on the same machine. The `Host`
check stops names that were pointed here (DNS rebinding), the `Origin` check stops its scripts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from ..model import Caller, Problem

__all__ = ["Access", "Head", "canonical_origin", "host_name", "is_loopback"]

Headers = tuple[tuple[str, str], ...]


class Head(Protocol):
    """What the checks read of a request: `http.Request` has it."""

    @property
    def version(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in lower case."""

    @property
    def origin(self) -> str:
        """Scheme, host and port that the request was sent to, as browsers write an origin."""

    def header(self, name: str) -> str:
        """A header's value; empty where it is missing."""


EXPOSED = (
    "ETag, Location, Retry-After, Hexcast-Way, Hexcast-Cursor, Hexcast-Fallback, Hexcast-Op, "
    "Hexcast-Base"
)
ALLOWED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer"
)


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own, reached by no other."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """The name in a `Host` header, without the port. Raises Problem 400 where it is none."""
    if host.startswith("["):
        name, closed, port = host[1:].partition("]")
        if not closed or (port and not (port[0] == ":" and port[1:].isdigit())):
            raise Problem(400, "the Host header is malformed", close=True)
        return name.lower()
    name, colon, port = host.partition(":")
    name = name.rstrip(".")
    if not name or (colon and port and not port.isdigit()) or any(c in name for c in "/@?# \t,"):
        raise Problem(400, "the Host header is malformed", close=True)
    return name.lower()


def canonical_origin(origin: str) -> str:
    """An origin in the one form in which equal origins are equal (RFC 6454, 4 and 6.2).

    Lower case, without the scheme's default port, and without the dot that may end a host's name.
    """
    scheme, found, authority = origin.lower().partition("://")
    if not found:
        return scheme
    port = {"http": ":80", "https": ":443"}.get(scheme)
    host = authority.removesuffix(port) if port else authority
    name, colon, number = host.rpartition(":")
    if colon and number.isdigit():
        return f"{scheme}://{name.removesuffix('.')}:{number}"
    return f"{scheme}://{host.removesuffix('.')}"


@lru_cache(maxsize=4096)
def _anyone(address: str) -> Caller:
    return Caller(address=address)


@dataclass(frozen=True, slots=True)
class Access:
    """What is allowed. `origins` are in the form that `canonical_origin` gives.

    With `any_host` the server answers to every name, as one that is open to others does.
    """

    hosts: frozenset[str]
    origins: frozenset[str]
    any_host: bool = False

    def identify(self, request: Head, address: str) -> Caller:
        """The caller of a request from `address`. While access is open, all have every right."""
        return _anyone(address)

    def check_host(self, request: Head) -> None:
        """Raises Problem 400 or 421 where the request is not for this server."""
        host = request.headers.get("host")
        if host is None:
            if request.version == "1.0":
                return
            raise Problem(400, "the Host header is missing", close=True)  # RFC 9112, 3.2
        name = host_name(host)
        if self.any_host or is_loopback(name) or name in self.hosts:
            return
        raise Problem(421, f"this server does not answer to {name}: see --allow-host")

    def foreign(self, request: Head) -> bool:
        """Whether a request comes from a page that is neither ours nor allowed."""
        origin = canonical_origin(request.header("origin"))
        if origin and origin in self.origins:
            return False
        site = request.header("sec-fetch-site").lower()
        if site == "cross-site":
            return True
        if not origin:
            return "origin" in request.headers
        if site == "same-origin" and origin.startswith("https://"):
            # Behind a proxy that ends TLS, our own pages have https and this connection has not.
            return origin != canonical_origin(f"https://{request.header('host')}")
        return origin != canonical_origin(request.origin)

    def check_origin(self, request: Head) -> None:
        """Raises Problem 403 where a foreign page's script would act here."""
        if self.foreign(request):
            raise Problem(403, "pages of this origin may not do that: see --allow-origin")

    def cors(self, request: Head) -> Headers:
        """The headers that let an allowed origin's script read the answer."""
        if not self.origins:
            return ()
        origin = request.header("origin")
        if canonical_origin(origin) not in self.origins:
            return (("Vary", "Origin"),)
        return (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", EXPOSED),
            ("Vary", "Origin"),
        )

    def preflight(self, request: Head, methods: str) -> Headers:
        """What a preflight of an allowed origin is told beside `cors`; nothing for any other."""
        if canonical_origin(request.header("origin")) not in self.origins:
            return ()
        return (
            ("Access-Control-Allow-Methods", methods),
            ("Access-Control-Allow-Headers", ALLOWED_HEADERS),
            ("Access-Control-Max-Age", "600"),
        )
