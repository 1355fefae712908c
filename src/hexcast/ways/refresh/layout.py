"""HTML pages: their one look, the list of what is live, and a message. Pure.

All are plain and usable without JavaScript.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

__all__ = ["LIVE_POLICY", "PLAIN_POLICY", "Live", "document", "message_page", "topics_page"]

_STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PLAIN_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'self'"
LIVE_POLICY = f"{PLAIN_POLICY}; script-src 'self'; connect-src 'self'"


def document(title: str, head: str, body: str) -> bytes:
    """A page; `head` and `body` are HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n{head}<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{body}</body>\n</html>\n"
    ).encode()


class Live(NamedTuple):
    """A topic that holds something."""

    name: str
    kind: str
    id: str
    """Of its newest record."""
    rate: float
    """Records a second."""
    clients: Mapping[str, int]
    """Those who follow it, by way."""


def topics_page(
    topics: Sequence[Live],
    clients: Mapping[str, int],
    base: str,
    lab: str,
    *,
    left: int = 0,
    match: str = "",
) -> bytes:
    """The page `/`: live topics, linked, and how many clients there are by way.

    `lab` is the address of the lab, empty where there is none. `left` is how many more topics
    there are after these, `match` the pattern that all of them match.
    """
    rows = "".join(
        f'<tr><td><a href="{base}/topics/{quote(topic.name)}">{escape(topic.name)}</a></td>'
        f'<td>{topic.kind}</td><td class="n">{topic.rate:.1f}</td>'
        f"<td>{_by_way(topic.clients)}</td></tr>\n"
        for topic in topics
    )
    table = (
        '<table>\n<tr><th>Topic</th><th>Kind</th><th class="n">Records a second</th>'
        f"<th>Clients</th></tr>\n{rows}</table>\n"
        if rows
        else f"<p>No topic matches {escape(match)}.</p>\n"
        if match
        else f"<p>Nothing is published yet. Try: curl -d hello {base or ''}/topics/greeting</p>\n"
    )
    if left and topics:
        matching = f"&amp;match={quote(match)}" if match else ""
        after = quote(topics[-1].name, safe="")
        table += (
            f'<p><a href="{base}/topics?after={after}{matching}">'
            f"{left:,} more {'topic' if left == 1 else 'topics'}</a> after these.</p>\n"
        )
    if left or match:
        table += (
            f'<form action="{base}/topics"><label>Topics that match '
            f'<input name="match" value="{escape(match)}" placeholder="sensors/**"></label> '
            "<button>Filter</button></form>\n"
        )
    links = f'<nav><a href="{lab}">The six ways side by side</a></nav>\n' if lab else ""
    refresh = '<meta http-equiv="refresh" content="5">\n'
    return document(
        "Hexcast",
        refresh,
        f"{links}<main>\n<h1>Hexcast: live topics</h1>\n{table}"
        f"<p>Clients now: {_by_way(clients) or 'none'}.</p>\n</main>\n",
    )


def _by_way(clients: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {way}" for way, count in clients.items() if count)


def message_page(title: str, text: str) -> bytes:
    """A page that says one thing."""
    return document(
        title, "", f"<main>\n<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>\n</main>\n"
    )
