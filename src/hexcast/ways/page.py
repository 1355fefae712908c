"""The HTML pages of a topic: plain, usable without JavaScript, every value escaped. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from ..media import utf8
from ..record import Record
from . import page_script

__all__ = ["LIVE_POLICY", "PLAIN_POLICY", "message_page", "topic_page", "topics_page"]

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2330;--soft:#5f6776;
--line:#d9dde5;--card:#f6f7f9;--mark:#2458d3}
@media (prefers-color-scheme:dark){
:root{--ink:#e8eaf0;--soft:#9aa3b2;
--line:#343a46;--card:#1c2029;--mark:#8fb0ff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:2rem 1.25rem;
font:16px/1.5 system-ui,sans-serif;color:var(--ink)}
h1{font-size:1.25rem;margin:0 0 1rem;overflow-wrap:anywhere}
h2{font-size:1rem;margin:1.5rem 0 .25rem;overflow-wrap:anywhere}
a{color:var(--mark)}
pre{margin:0;padding:1rem;border:1px solid var(--line);border-radius:8px;background:var(--card);
font:15px/1.5 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
p{color:var(--soft);font-size:.875rem}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;
padding:.375rem .75rem .375rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
""".strip()

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PLAIN_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'self'"
LIVE_POLICY = f"{PLAIN_POLICY}; script-src 'self'; connect-src 'self'"


def _shown(record: Record | None) -> str:
    """A payload as text to look at."""
    if record is None:
        return ""
    text = utf8(record.data)
    return f"{len(record.data)} bytes" if text is None else text


def _document(title: str, head: str, body: str) -> bytes:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n{head}<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{body}</body>\n</html>\n"
    ).encode()


def topic_page(
    names: Sequence[str],
    records: Sequence[Record],
    cursor: str,
    *,
    live: bool,
    every: int,
    left_out: int = 0,
    base: str = "",
) -> bytes:
    """The page of one topic (`names` has it alone and no pattern), or of several.

    `live` pages keep themselves current by script, and by refreshing every `every` seconds where
    there is none; the others leave that to the `Refresh` header. `left_out` is the number of topics
    that the page does not show.
    """
    head = ""
    if live:
        head = (
            f'<noscript><meta http-equiv="refresh" content="{every}"></noscript>\n'
            f'<script src="{base}{page_script.PATH}" defer></script>\n'
        )
    one = len(names) == 1 and "*" not in names[0]
    parts = []
    if one:
        record = records[0] if records else None
        id = record.id if record else ""
        parts.append(
            f'<pre id="value" data-topic="{escape(names[0])}" data-id="{id}" aria-live="polite">'
            f"{_pre(record)}</pre>\n"
        )
    else:
        for record in sorted(records, key=lambda r: r.topic):
            parts.append(
                f"<h2>{escape(record.topic)}</h2>\n"
                f'<pre data-topic="{escape(record.topic)}" data-id="{record.id}">'
                f"{_pre(record)}</pre>\n"
            )
    status = "Connecting." if live else f"Refreshes every {every} s."
    if not records:
        status += " Nothing is published here yet."
    if left_out:
        status += f" {left_out} more topics, which changed before these, are not shown."
    body = (
        f'<main data-cursor="{cursor}">\n<h1>{escape(", ".join(names))}</h1>\n{"".join(parts)}'
        f'</main>\n<p id="status">{status}</p>\n'
    )
    return _document(", ".join(names), head, body)


def _pre(record: Record | None) -> str:
    """The text of a `pre`; a first line end would be taken for mark-up (HTML, 13.1.2.5)."""
    text = escape(_shown(record), quote=False)
    return "\n" + text if text.startswith("\n") else text


def topics_page(topics: Sequence[tuple[str, str, str, float, int]], base: str) -> bytes:
    """The page `/`: live topics as (name, kind, id, rate, subscribers), linked."""
    rows = "".join(
        f'<tr><td><a href="{base}/topics/{quote(name)}">{escape(name)}</a></td><td>{kind}</td>'
        f'<td class="n">{rate:.1f}</td><td class="n">{subscribers}</td></tr>\n'
        for name, kind, _, rate, subscribers in topics
    )
    table = (
        '<table>\n<tr><th>Topic</th><th>Kind</th><th class="n">Records a second</th>'
        f'<th class="n">Subscribers</th></tr>\n{rows}</table>\n'
        if rows
        else f"<p>Nothing is published yet. Try: curl -d hello {base or ''}/topics/greeting</p>\n"
    )
    refresh = '<meta http-equiv="refresh" content="5">\n'
    return _document("Hexcast", refresh, f"<main>\n<h1>Hexcast: live topics</h1>\n{table}</main>\n")


def message_page(title: str, text: str) -> bytes:
    """A page that says one thing."""
    return _document(
        title, "", f"<main>\n<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>\n</main>\n"
    )
