"""What can go wrong for a client, as exceptions that say whether trying again may help."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

__all__ = ["ConnectionFailed", "HexcastError", "ProtocolError", "Refused", "retry_after_seconds"]

# Statuses that name a passing fault: the same request may succeed later (RFC 9110, section 15;
# 429: RFC 6585, section 4). Everything else in 4xx and 5xx is the request's own fault.
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})

_LONGEST_RETRY_AFTER = 600.0


class HexcastError(Exception):
    """Anything that this client raises of its own."""


class ConnectionFailed(HexcastError):
    """The server could not be reached, or the connection broke or fell silent.

    `reached` is False when there was no connection at all, so that nothing can have been done.
    """

    def __init__(self, message: str, *, reached: bool = True) -> None:
        self.reached = reached
        super().__init__(message)


class ProtocolError(HexcastError):
    """The other side answered, but not as a Hexcast server does."""


class Refused(HexcastError):
    """The server answered with an error, told as problem details (RFC 9457).

    `status` is the HTTP status, `retry_after` the seconds the server asks to be left alone (0 when
    it does not say), `current` the id of the topic's newest record where a 412 tells it.
    """

    def __init__(
        self,
        status: int,
        title: str = "",
        detail: str = "",
        *,
        retry_after: float = 0.0,
        current: str | None = None,
    ) -> None:
        self.status = status
        self.title = title or f"status {status}"
        self.detail = detail
        self.retry_after = retry_after
        self.current = current
        super().__init__(f"{self.title}: {detail}" if detail else self.title)

    @property
    def transient(self) -> bool:
        """True when the same request may succeed later."""
        return self.status in TRANSIENT

    @classmethod
    def from_response(cls, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
        """Read an error answer; one without problem details is told by its status alone.

        `headers` is looked up with lower-case names.
        """
        problem = _problem(body) if "json" in headers.get("content-type", "") else {}
        etag = headers.get("etag", "")
        return cls(
            status,
            _text(problem.get("title")),
            _text(problem.get("detail")),
            retry_after=retry_after_seconds(headers.get("retry-after")),
            current=etag.removeprefix("W/").strip('"') or None if status == 412 else None,
        )

    @classmethod
    def from_object(cls, problem: object) -> Refused:
        """Read the error object of a batch's answer line or of a WebSocket message.

        Raises ProtocolError when it is no such object.
        """
        if not isinstance(problem, dict) or not isinstance(problem.get("status"), int):
            raise ProtocolError(f"an error without a status: {problem!r:.200}")
        return cls(problem["status"], _text(problem.get("title")), _text(problem.get("detail")))


def retry_after_seconds(value: str | None) -> float:
    """Seconds that a Retry-After field asks for, at most ten minutes; 0 where it says nothing.

    Only the delay form is read (RFC 9110, section 10.2.3): a date would need this machine's clock
    and the server's to agree.
    """
    if value is None or not value.strip().isascii() or not value.strip().isdigit():
        return 0.0
    return min(float(value.strip()), _LONGEST_RETRY_AFTER)


def _problem(body: bytes) -> dict[str, object]:
    try:
        problem = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return problem if isinstance(problem, dict) else {}


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""
