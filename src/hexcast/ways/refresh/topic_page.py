"""The page of a topic: its value, its history, the ways to follow it. Pure.

Usable without JavaScript, every value escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple
from urllib.parse import quote

from ...model import Record, utf8
from ..json_format import rfc3339
from .layout import document
from .topic_script import TOPIC_SCRIPT_PATH

__all__ = ["Shown", "topic_page"]

MAX_SNIPPET = 200
"""Characters of a record in the history."""

_THIS_MACHINE = ("https://localhost", "https://127.", "https://[::1]")

WAYS = (
    ("", "the best that works"), ("websocket", "WebSocket"), ("sse", "Server-Sent Events"),
    ("long-poll", "long polling"), ("poll", "polling"), ("refresh", "page refresh"),
    ("push", "server push"),
)  # fmt: skip


class Shown(NamedTuple):
    """What a page shows, beside its topics' values."""

    cursor: str
    """The place that the values are from."""
    live: bool
    """Whether it keeps itself current by script; else by refreshing."""
    every: int
    """Seconds between two refreshes, where there is no script."""
    origin: str = ""
    """Scheme and authority of the server, as the client knows it."""
    base: str = ""
    left_out: int = 0
    """How many topics the page does not show."""
    history: Sequence[Record] = ()
    """The newest records of the one topic, the newest first."""


def topic_page(names: Sequence[str], records: Sequence[Record], shown: Shown) -> bytes:
    """The page of one topic (`names` has it alone and no pattern), or of several."""
    head = ""
    if shown.live:
        head = (
            f'<noscript><meta http-equiv="refresh" content="{shown.every}"></noscript>\n'
            f'<script type="module" src="{shown.base}{TOPIC_SCRIPT_PATH}"></script>\n'
        )
    one = len(names) == 1 and "*" not in names[0]
    # A page that has no script is not made larger, nor different, by what is for one.
    kind = ("stream" if records[0].op == "post" else "state") if one and records else ""
    follow = f' data-cursor="{shown.cursor}" data-kind="{kind}"' if shown.live else ""
    if one:
        record = records[0] if records else None
        id = record.id if record else ""
        parts = [
            f'<pre id="value" data-topic="{escape(names[0])}" data-id="{id}" aria-live="polite">'
            f"{_pre(record)}</pre>\n"
        ]
    else:
        parts = [
            f"<h2>{escape(record.topic)}</h2>\n"
            f'<pre data-topic="{escape(record.topic)}" data-id="{record.id}">'
            f"{_pre(record)}</pre>\n"
            for record in sorted(records, key=lambda r: r.topic)
        ]
    body = (
        f'<nav><a href="{shown.base}/topics">All topics</a></nav>\n'
        f"<main{follow}>\n"
        f"<h1>{escape(', '.join(names))}</h1>\n"
        f"{''.join(parts)}</main>\n{_bar(shown, bool(records))}"
    )
    if one:
        lines = "".join(_line(record) for record in shown.history)
        body += f'<h2>History</h2>\n<ol id="history" aria-label="History">\n{lines}</ol>\n'
        body += _samples(f"{shown.origin}{shown.base}", names[0], records)
    return document(", ".join(names), head, body)


def _bar(shown: Shown, any: bool) -> str:
    """How the page is kept current, and the choice of another way."""
    status = f"Refreshes every {shown.every} s."
    if not any:
        status += " Nothing is published here yet."
    if shown.left_out:
        status += f" {shown.left_out} more topics, which changed before these, are not shown."
    options = "".join(
        f'<option value="{way}"{" disabled" if way == "push" else ""}>{title}'
        f"{' (browsers refuse it)' if way == 'push' else ''}</option>"
        for way, title in WAYS
    )
    choice = f'<label id="choice" hidden>Way <select id="way">{options}</select></label>'
    way, other = ("?way=refresh", "Without script") if shown.live else ("?", "Live, with script")
    return (
        f'<div class="bar"><p id="status" role="status">{status}</p>\n'
        f'{choice}<a id="plain" class="soft" href="{way}">{other}</a></div>\n'
    )


def _text(record: Record | None) -> str:
    """A payload as text to look at."""
    if record is None or record.op == "delete":
        return ""
    text = utf8(record.data)
    return f"{len(record.data)} bytes" if text is None else text


def _escaped(text: str) -> str:
    """Text as HTML. A bare CR would be read as LF (HTML, 13.2.3.5); a reference is not."""
    return escape(text, quote=False).replace("\r", "&#13;")


def _pre(record: Record | None) -> str:
    """The text of a `pre`; a first line end would be taken for mark-up (HTML, 13.1.2.5)."""
    text = _escaped(_text(record))
    return "\n" + text if text.startswith("\n") else text


def _line(record: Record) -> str:
    """One record of the history."""
    time = rfc3339(record.time)
    text = _text(record)
    if len(text) > MAX_SNIPPET:
        text = text[:MAX_SNIPPET] + "…"
    text = _escaped(text)
    return f"<li><time>{time[11:19]}</time> <span>{record.op}</span> {text}</li>\n"


def _samples(server: str, topic: str, records: Sequence[Record]) -> str:
    """Lines to follow the topic and to publish to it, ready to be copied."""
    url = f"{server}/topics/{quote(topic)}"
    stream = not records or records[0].op == "post"
    verb, call = ("", "post") if stream else (" -X PUT", "put")
    op = "" if stream else ', op="put"'
    name = _quoted(topic)
    # A certificate made for this machine (`--tls-dev`) is not one that curl knows.
    curl = "curl -k" if server.startswith(_THIS_MACHINE) else "curl"
    return "<h2>Take it elsewhere</h2>\n" + "".join(
        f'<figure class="sample"><figcaption>{title}</figcaption><code>{escape(text)}'
        "</code></figure>\n"
        for title, text in (
            ("Follow: curl", f"{curl} -N '{url}?way=sse'"),
            (
                "Follow: JavaScript",
                f'import {{ Hexcast }} from "{server}/hexcast.js";\n'
                f'const live = new Hexcast("{url}");\n'
                "for await (const record of live) console.log(record.data);",
            ),
            (
                "Follow: Python",
                "import asyncio\nfrom hexcast.client import Client\n\n"
                "async def main():\n"
                f'    async with Client("{server}") as client:\n'
                f"        async for record in client.subscribe({name}):\n"
                "            print(record.data)\n\n"
                "asyncio.run(main())",
            ),
            (
                "Publish: curl, JavaScript, Python",
                f"{curl}{verb} -d 'hello' '{url}'\n"
                f'await live.{call}({name}, "hello");\n'
                f'await client.publish({name}, "hello"{op})',
            ),
        )
    )


def _quoted(topic: str) -> str:
    """A topic as a string in JavaScript and Python alike."""
    return '"' + topic.replace("\\", "\\\\").replace('"', '\\"') + '"'
