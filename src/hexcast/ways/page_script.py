"""The script of a topic's page, under an address for good; and what a page is sent ahead of itself.

It has an address of its own so that browsers keep it, and so that it can be on its way before the
page is.
"""

from __future__ import annotations

import hashlib

from ..http.exchange import Ahead, Exchange, Response
from ..record import Record
from .poll import record_path, record_response

__all__ = ["PATH", "SCRIPT", "script", "send_ahead"]

# Keeps the values current. It takes only records that are newer than what the page shows.
SCRIPT = """
(() => {
  const main = document.querySelector("main"), status = document.getElementById("status");
  const url = new URL(location.href);
  for (const [name, value] of [["way", "sse"], ["format", "json"], ["since", main.dataset.cursor]])
    url.searchParams.set(name, value);
  const place = topic => {
    for (const pre of main.querySelectorAll("pre[data-topic]"))
      if (pre.dataset.topic === topic) return pre;
    const head = document.createElement("h2"), pre = document.createElement("pre");
    head.textContent = pre.dataset.topic = topic;
    main.append(head, pre);
    return pre;
  };
  const source = new EventSource(url);
  source.onmessage = event => {
    const record = JSON.parse(event.data), pre = place(record.topic);
    pre.dataset.id = record.id;
    pre.textContent = record.op === "delete" ? "" :
      typeof record.data === "string" ? record.data : JSON.stringify(record.data);
  };
  source.onopen = () => { status.textContent = "Live."; };
  source.onerror = () => { status.textContent = "Connection lost, trying again."; };
})();
""".strip()

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
    """Before a topic's page: its script, and to who takes push the value that the page shows."""
    ahead = [Ahead(base + PATH, "script", script)]
    if value is not None:
        ahead.append(Ahead(record_path(base, value), "", lambda: record_response(value)))
    exchange.hint(tuple(ahead))
