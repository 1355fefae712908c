"""A site of plain HTML: its files, and its pages with what was published filled in.

A page that shows topics is an answer like that of a value: bytes that are the same for everyone as
long as its file and its topics are, with a weak `ETag` made of both. It is made once for each such
version. The cursor it carries was fixed before its values were read, so that nothing falls between
the page and the live connection; while the tag holds, an older cursor leads to the same values.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from email.utils import formatdate, parsedate_to_datetime
from functools import cached_property
from html import escape
from io import FileIO
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ..http import Exchange, Headers, Request, Response, entity_tags, prefers_html
from ..model import MAX_SELECTED, ByteLRU, Problem, Selector
from ..ways import (
    CACHED,
    KEPT,
    PLAIN_POLICY,
    Context,
    ReceiveQuery,
    entity_tag,
    message_page,
    read_page_query,
)
from .attributes import address_fault
from .content import Value, attribute_value, element_html, element_text
from .files import MAX_AT_ONCE, Elsewhere, File, Files, Found, media_type
from .template import Slot, Template, read_template

__all__ = ["Site"]

_log = logging.getLogger(__name__)

MAX_SHOWN = 2**22
"""Bytes that the values in one page may come to."""

KEPT_TEMPLATES, KEPT_PAGES = 2**25, 2**25
"""Bytes kept of pages as they were read, and as they were answered."""

SCRIPT = "/hexcast-page.js"
"""The address of what keeps pages live. A script of its own, without a word of the page in it, so
that a site's policy may allow `'self'` alone (CSP 3)."""

HTML = "text/html; charset=utf-8"
_NOT_FRAMED = ("Content-Security-Policy", "frame-ancestors 'self'")
_NOSNIFF = ("X-Content-Type-Options", "nosniff")
_QUERY_SAFE = "!$&'()*+,;=:@/?%-._~"


class _Terms(NamedTuple):
    """How a page is to stay current."""

    refresh: bool
    """By page refresh alone, because the client named that way."""
    every: int


class Page(NamedTuple):
    """One version of a page: the same bytes for all who ask for it on the same terms."""

    tag: str
    cursor: str
    body: bytes
    shown: int
    """How many topics had something to show."""


class Site:
    """The site in a directory."""

    def __init__(self, root: str, context: Context) -> None:
        """Raises ValueError where `root` is no directory."""
        self.files = Files(root, lambda: context.hub.now() / 1000)
        self._context = context
        self._base = context.settings.base_path
        self._templates: ByteLRU[str, Template | Exception] = ByteLRU(KEPT_TEMPLATES)
        self._pages: ByteLRU[tuple[str, _Terms], Page] = ByteLRU(KEPT_PAGES)

    @property
    def addresses(self) -> dict[str, Callable[[Request], Response]]:
        """What pages need, beside the files."""
        return {SCRIPT: self._script}

    def has(self, path: str) -> bool:
        """Whether there is something at an address."""
        return self.files.find(path) is not None

    def serve(self, path: str, exchange: Exchange) -> None:
        """Answer a GET of an address, given decoded and without the base path."""
        found = self.files.find(path)
        if isinstance(found, Elsewhere):
            exchange.respond(self._redirect(exchange.request, found))
        elif found is None:
            self._missing(exchange)
        else:
            try:
                self._file(exchange, found, 200)
            except OSError as error:  # gone, or not to be read, since it was found
                _log.warning("%s: %s", found.path, error.strerror)
                self._missing(exchange)

    def _file(self, exchange: Exchange, found: Found, status: int) -> None:
        type = media_type(found.path)
        if found.size > MAX_AT_ONCE:
            self._large(exchange, found, type)
            return
        file = self.files.read(found)
        template = self._template(file) if type.startswith("text/html") else None
        if isinstance(template, Template) and template.topics:
            self._page(exchange, file, template, status)
            return
        if isinstance(template, UnicodeDecodeError):
            type = "text/html"  # its own mark-up says in what
        query = self._query(exchange.request, ())
        coded = self._context.coder.coded(query, ("file", file.tag), type, file.data)
        vary: Headers = (("Vary", query.vary),) if query.vary else ()
        common = (*_file_headers(found, entity_tag(file.tag, coded.coding)), *vary)
        if status == 200 and _unchanged(exchange.request, found, file.tag):
            exchange.respond(Response(304, common))
        else:
            guard = (_NOT_FRAMED,) if type.startswith("text/html") else ()
            headers = (("Content-Type", type), _NOSNIFF, *guard, *common, *coded.headers)
            exchange.respond(Response(status, headers, coded.body))

    def _query(self, request: Request, topics: Sequence[str]) -> ReceiveQuery:
        selector = Selector(topics[:MAX_SELECTED])
        return read_page_query(request, selector, compress=self._context.settings.compress)

    def _large(self, exchange: Exchange, found: Found, type: str) -> None:
        from .large_file import send_file

        common = _file_headers(found, entity_tag(found.tag, ""))
        if _unchanged(exchange.request, found, found.tag):
            exchange.respond(Response(304, common))
            return
        headers = (("Content-Type", type), _NOSNIFF, *common)
        if exchange.request.method == "HEAD":
            exchange.start(200, headers)
            exchange.finish()
            return
        descriptor, _ = self.files.open(found)
        send_file(exchange, FileIO(descriptor), headers)

    def _template(self, file: File) -> Template | Exception:
        """A page as it was read, or why it is none; its faults are logged once."""
        known = self._templates.get(file.tag)
        if known is not None:
            return known
        template: Template | Exception
        try:
            template = read_template(file.data)
        except UnicodeDecodeError as error:
            template = error
            _log.warning("%s is not UTF-8: its elements are not filled in", file.found.path)
        else:
            for fault in template.faults:
                _log.warning("%s, line %d: %s", file.found.path, fault.line, fault.reason)
            if len(template.topics) > MAX_SELECTED:
                _log.warning(
                    "%s shows more than %d topics: it is kept current by page refresh alone",
                    file.found.path, MAX_SELECTED,
                )  # fmt: skip
        size = template.size if isinstance(template, Template) else len(file.data)
        self._templates.put(file.tag, template, size)
        return template

    # Pages

    def _page(self, exchange: Exchange, file: File, template: Template, status: int) -> None:
        meter = self._context.counters.ways["refresh"]
        meter.requests += 1
        query = self._query(exchange.request, template.topics)
        terms = _Terms(query.chosen, query.every)
        page = self._version(file, template, terms)
        # Of weak tags there is one for all codings.
        keep = bool(query.keep) and status == 200
        common: list[tuple[str, str]] = [
            KEPT if keep else CACHED, ("ETag", f'W/"{page.tag}"'), ("Hexcast-Way", "refresh"),
        ]  # fmt: skip
        if query.vary:
            common.append(("Vary", query.vary))
        if terms.refresh:
            common.append(("Refresh", str(terms.every)))
        if status == 200 and page.tag in query.none_match:
            exchange.respond(Response(304, tuple(common)))
            return
        # The cursor is part of the bytes: what is made again later is another body.
        version = ("page", page.tag, page.cursor, terms)
        coded = self._context.coder.coded(query, version, HTML, page.body, keep=keep)
        if keep and not coded.kept:
            common[0] = CACHED
        meter.deliveries += page.shown
        meter.sent += len(coded.body)
        head: Headers = (
            ("Content-Type", HTML), _NOSNIFF, _NOT_FRAMED, ("Hexcast-Cursor", page.cursor),
        )  # fmt: skip
        exchange.respond(Response(status, (*head, *common, *coded.headers), coded.body))

    def _version(self, file: File, template: Template, terms: _Terms) -> Page:
        """The page as of now, made if no one has asked for this version of it yet."""
        hub = self._context.hub
        cursor = hub.id(hub.head)
        values: dict[str, Value] = {}
        digest = hashlib.blake2b(f"{file.tag} {hub.epoch}".encode(), digest_size=12)
        for name in template.topics:
            record = hub.value(name)
            if record is not None:
                values[name] = Value(record, hub.limits)
            digest.update(b" " + (record.id if record is not None else "-").encode())
        tag = digest.hexdigest()
        page = self._pages.get((tag, terms))
        if page is None:
            body = template.fill(_Filler(values), self._between(template, terms, cursor))
            page = Page(tag, cursor, body, len(values))
            self._pages.put((tag, terms), page, len(body))
        return page

    def _between(self, template: Template, terms: _Terms, cursor: str) -> bytes:
        """What goes into a page's head."""
        if terms.refresh:
            return b""  # the header does it
        refresh = f'<meta http-equiv="refresh" content="{terms.every}">'
        if len(template.topics) > MAX_SELECTED:
            return b"" if template.refreshes else refresh.encode()
        base = escape(quote(self._base))
        parts = [] if template.refreshes else [f"<noscript>{refresh}</noscript>"]
        parts.append(f'<meta name="hexcast-cursor" content="{cursor}">')
        parts.append(f'<link rel="modulepreload" href="{base}/hexcast.js">')
        parts.append(f'<script type="module" src="{base}{SCRIPT}"></script>')
        return "".join(parts).encode()

    @cached_property
    def _script_answers(self) -> tuple[str, Response, Response]:
        source = Path(__file__).with_name("page.js").read_bytes()
        tag = hashlib.blake2b(source, digest_size=9).hexdigest()
        common = (("ETag", f'"{tag}"'), CACHED)
        headers = (("Content-Type", "text/javascript; charset=utf-8"), _NOSNIFF, *common)
        return tag, Response(200, headers, source), Response(304, common)

    def _script(self, request: Request) -> Response:
        tag, full, unchanged = self._script_answers
        known = entity_tags(request.header("if-none-match"))
        return unchanged if tag in known or "*" in known else full

    # What is not there

    def _redirect(self, request: Request, found: Elsewhere) -> Response:
        _, mark, query = request.target.partition(b"?")
        address = quote(self._base) + found.path
        if mark:
            address += "?" + quote(query, safe=_QUERY_SAFE)
        return Response(308, (("Location", address), CACHED))

    def _missing(self, exchange: Exchange) -> None:
        """404, as the site's own page if it has one."""
        if not prefers_html(exchange.request.header("accept")):
            raise Problem(404, "there is nothing at this address")
        own = self.files.find("/404.html")
        if isinstance(own, Found) and own.size <= MAX_AT_ONCE:
            try:
                self._file(exchange, own, 404)
                return
            except OSError as error:
                _log.warning("%s: %s", own.path, error.strerror)
        exchange.respond(
            Response(
                404,
                (
                    ("Content-Type", HTML), ("Cache-Control", "no-store"),
                    ("Content-Security-Policy", PLAIN_POLICY), _NOSNIFF,
                ),
                message_page("Nothing here", "There is nothing at this address."),
            )
        )  # fmt: skip


class _Filler:
    """Gives what a page's slots show."""

    def __init__(self, values: dict[str, Value]) -> None:
        self._values = values
        self._left = MAX_SHOWN

    def __call__(self, slot: Slot) -> str | None:
        """Raises Problem 500 where the page would become too large."""
        value = self._values.get(slot.topic)
        text = None if value is None else value.text(slot.part)
        if value is None or text is None:
            return None
        if slot.attribute:
            if address_fault(slot.attribute, text):
                return None
            shown = f"{slot.attribute}={attribute_value(text)}"
            if slot.start == slot.end:  # not in place of one that is there
                shown = " " + shown
        elif slot.html and value.is_html:
            shown = element_html(slot.tag, text)
        else:
            shown = element_text(slot.tag, text)
        self._left -= len(shown)
        if self._left < 0:
            raise Problem(500, f"the values in this page come to more than {MAX_SHOWN} characters")
        return shown


def _file_headers(found: Found, tag: str) -> Headers:
    return (
        ("ETag", tag),
        ("Last-Modified", formatdate(found.mtime // 10**9, usegmt=True)),
        CACHED,
    )


def _unchanged(request: Request, found: Found, tag: str) -> bool:
    """Whether the client has this version (RFC 9110, 13.2.2)."""
    if "if-none-match" in request.headers:
        tags = entity_tags(request.header("if-none-match"))
        return tag in tags or "*" in tags
    since = request.header("if-modified-since")
    if not since:
        return False
    try:
        return found.mtime // 10**9 <= parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError):  # no date: as if it were not there (13.1.3)
        return False
