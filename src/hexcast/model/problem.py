"""What can be wrong with a request (protocol 7): a status, a title, a detail.

The same object is an HTTP problem (RFC 9457), a line of a batch's answer and a WebSocket `error`.
"""

from __future__ import annotations

from http import HTTPStatus

__all__ = ["Problem"]


class Problem(Exception):
    """A refusal that is told to the client.

    `status` is the HTTP status code, `title` its short name, `detail` what this client can do about
    it. `etag` is the id a topic has moved on to (412), `allow` the methods of a resource (405),
    `accept_patch` the types of patch and `accept_encoding` the content codings that are taken
    (415), `websocket_version` the one that is spoken (400), `retry_after` the seconds to wait (429,
    503). `close` says that the connection cannot go on.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str = "",
        etag: str = "",
        allow: str = "",
        accept_patch: str = "",
        accept_encoding: str = "",
        websocket_version: str = "",
        retry_after: int = 0,
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title or HTTPStatus(status).phrase
        self.detail = detail
        self.etag = etag
        self.allow = allow
        self.accept_patch = accept_patch
        self.accept_encoding = accept_encoding
        self.websocket_version = websocket_version
        self.retry_after = retry_after or (1 if status in (429, 503) else 0)
        self.close = close

    def members(self) -> dict[str, object]:
        """The members of the problem object, in the protocol's order."""
        return {"status": self.status, "title": self.title, "detail": self.detail}
