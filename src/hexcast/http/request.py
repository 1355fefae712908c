"""A request's head: method, target, headers. Immutable, so that equal heads share one object."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qs, unquote_to_bytes

from ..model import Problem

__all__ = ["Request"]

_MAX_FIELDS = 1000
_LOOSE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")

# Headers that may be given once only: a second, different one makes the request ambiguous.
_ONCE = frozenset(("content-type", "content-length", "last-event-id", "idempotency-key",
                   "origin", "authorization"))  # fmt: skip

# Headers on which no answer depends. They are not kept, so that clients of different makes have
# equal heads.
_UNUSED = frozenset(("user-agent", "accept-language", "referer", "dnt", "priority", "sec-gpc",
                     "sec-ch-ua-mobile", "sec-ch-ua-platform"))  # fmt: skip


class Request:
    """One request's head.

    `path` is percent-decoded, `query` maps each name to its values in order, `headers` maps
    lower-case names to values (several of one name joined with a comma, RFC 9110, 5.3), without
    those that describe the client's make.

    `memo` is free for the server's routing: a value that depends on this head alone. It is kept as
    long as the request, which equal requests share: nothing that depends on the caller, the
    connection or the time may be put there.
    """

    __slots__ = (
        "headers", "keep_alive", "memo", "method", "path", "query", "secure", "target", "version",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        target: bytes,
        headers: Iterable[tuple[str, str]],
        *,
        version: str = "1.1",
        keep_alive: bool = True,
        secure: bool = False,
    ) -> None:
        """Raises Problem 400 if the target or the headers are malformed."""
        self.method = method
        self.target = target
        self.version = version
        self.keep_alive = keep_alive
        self.secure = secure
        self.headers: dict[str, str] = {}
        self.memo: object = None
        for name, value in headers:
            if "\0" in value:
                raise Problem(400, "a header has a NUL", close=True)
            if name in _UNUSED:
                continue
            before = self.headers.get(name)
            if before is None:
                self.headers[name] = value
            elif name == "host":
                raise Problem(400, "Host was given twice", close=True)  # RFC 9112, 3.2
            elif name not in _ONCE:
                joint = "; " if name == "cookie" else ", "
                self.headers[name] = before + joint + value
            elif before != value:
                raise Problem(400, f"the header {name} was given twice", close=True)
        if b"#" in target:
            raise Problem(400, "a request target has no fragment", close=True)  # RFC 9112, 3.2
        path, _, query = self._origin_form(target).partition(b"?")
        if b"%" in path and _LOOSE_PERCENT.search(path):
            raise Problem(400, "a '%' in the path is not followed by two hex digits")
        try:
            self.path = unquote_to_bytes(path).decode()
            self.query: dict[str, list[str]] = (
                parse_qs(
                    query.decode("ascii"),
                    keep_blank_values=True,
                    errors="strict",
                    max_num_fields=_MAX_FIELDS,
                )
                if query
                else {}
            )
        except UnicodeDecodeError:
            raise Problem(400, "the URL is not percent-encoded UTF-8") from None
        except ValueError:
            raise Problem(400, f"the query has more than {_MAX_FIELDS} fields") from None

    def _origin_form(self, target: bytes) -> bytes:
        """The target as a path: an absolute URL's authority stands for Host (RFC 9112, 3.2.2)."""
        if target.startswith(b"/") or target == b"*":
            return target
        scheme, found, rest = target.partition(b"://")
        if not found or scheme.lower() not in (b"http", b"https"):
            raise Problem(400, "the request target is neither a path nor an http URL", close=True)
        authority, slash, path = rest.partition(b"/")
        if b"?" in authority:
            authority, _, query = authority.partition(b"?")
            path, slash = b"?" + query, b"/"
        self.headers["host"] = authority.decode("latin-1")
        return (slash or b"/") + path

    @classmethod
    def spent(cls) -> Request:
        """The request of an exchange whose answer has begun: a subscriber keeps no headers."""
        return _SPENT

    @property
    def origin(self) -> str:
        """Scheme and authority of the server, as the client knows it."""
        return f"{'https' if self.secure else 'http'}://{self.header('host')}"

    def first(self, name: str) -> str:
        """The first value of a query field, or empty."""
        values = self.query.get(name)
        return values[0] if values else ""

    def flag(self, name: str) -> bool:
        """Whether a query field is given and means yes."""
        return self.first(name).lower() in ("1", "true", "yes")

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """A query field as a number, clamped; `default` where it is none."""
        text = self.first(name)
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            return default
        if value != value:  # NaN
            return default
        return min(max(value, low), high)

    def header(self, name: str) -> str:
        """A header's value, or empty."""
        return self.headers.get(name, "")


_SPENT = Request("GET", b"/", ())
