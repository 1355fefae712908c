"""The value that a refresh page shows, read out of its HTML.

The page holds one `<pre data-id="ID">` for each record it shows; `data-topic` names the topic on a
page of several.
"""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser

__all__ = ["Shown", "read_page"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One record as a page shows it."""

    id: str
    topic: str | None
    text: str


def read_page(html: str) -> list[Shown]:
    """Everything that the page shows, in its order; empty when there is nothing yet."""
    # HTML, section 13.2.3.5: line ends are normalised before the page is read.
    parser = _Page()
    parser.feed(html.replace("\r\n", "\n").replace("\r", "\n"))
    parser.close()
    return parser.shown


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.shown: list[Shown] = []
        self._id: str | None = None  # of the `pre` that is open
        self._topic: str | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre" and self._id is None:
            given = dict(attrs)
            if given.get("data-id"):
                self._id = given["data-id"]
                self._topic = given.get("data-topic")

    def handle_data(self, data: str) -> None:
        if self._id is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre" and self._id is not None:
            # HTML, section 13.1.2.5: a line end right after `<pre>` is not part of the text.
            text = "".join(self._text).removeprefix("\n")
            self.shown.append(Shown(self._id, self._topic, text))
            self._id = self._topic = None
            self._text.clear()
