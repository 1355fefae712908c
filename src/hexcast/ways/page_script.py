"""The script of a topic's page, under an address for good; and what a page is sent ahead of itself.

It has an address of its own so that browsers keep it, and so that it can be on its way before the
page is.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..http.exchange import Ahead, Exchange, Response
from ..record import Record
from .browser import client, hashed_name
from .poll import record_path, record_response

__all__ = ["PATH", "SCRIPT", "script", "send_ahead"]

_SOURCE = Path(__file__).parent / "topic.js"
SCRIPT = _SOURCE.read_text(encoding="utf-8").replace("HEXCAST", hashed_name())

PATH = f"/assets/topic-{hashlib.sha256(SCRIPT.encode()).hexdigest()[:16]}.js"
"""Below the server's base path."""

_ANSWER = Response(
    200,
    (
        ("Content-Type", "text/javascript; charset=utf-8"),
        ("Cache-Control", "public, max-age=31536000, immutable"),
        ("X-Content-Type-Options", "nosniff"),
    ),
    SCRIPT.encode(),
)


def script() -> Response:
    """The script's own answer."""
    return _ANSWER


def send_ahead(exchange: Exchange, base: str, value: Record | None) -> None:
    """Before a topic's page: its script, the client that this imports, and to who takes push the
    value that the page shows."""
    ahead = [
        Ahead(base + PATH, "script", script),
        Ahead(f"{base}/{hashed_name()}", "script", client),
    ]
    if value is not None:
        ahead.append(Ahead(record_path(base, value), "", lambda: record_response(value)))
    exchange.hint(tuple(ahead))
