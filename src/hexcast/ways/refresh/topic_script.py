"""The script of a topic's page, under an address for good; and what a page is sent ahead of itself.

It has an address of its own so that browsers keep it, and so that it can be on its way before the
page is.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ...http import Exchange, Preload, Response
from ...model import Record
from ..client_module import hashed_module_name, module_response
from ..poll import record_path, record_response

__all__ = ["TOPIC_SCRIPT_PATH", "send_ahead", "topic_script"]

_SOURCE = Path(__file__).parent / "topic.js"
SCRIPT = _SOURCE.read_text(encoding="utf-8").replace("HEXCAST", hashed_module_name())

TOPIC_SCRIPT_PATH = f"/assets/topic-{hashlib.sha256(SCRIPT.encode()).hexdigest()[:16]}.js"
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


def topic_script() -> Response:
    """The script's own answer."""
    return _ANSWER


def send_ahead(exchange: Exchange, base: str, value: Record | None) -> None:
    """Before a topic's page: its script, the client that this imports, and to who takes push the
    value that the page shows."""
    ahead = [
        Preload(base + TOPIC_SCRIPT_PATH, "script", topic_script),
        Preload(f"{base}/{hashed_module_name()}", "script", module_response),
    ]
    if value is not None:
        ahead.append(Preload(record_path(base, value), "", lambda: record_response(value)))
    exchange.hint(tuple(ahead))
