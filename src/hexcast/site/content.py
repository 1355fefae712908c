"""What an element shows of a topic: the text of a value or of one part of it. Pure.

`hexcast.js` follows the same rules in the browser, so that an element that was filled in here and
one that was changed there show the same.
"""

from __future__ import annotations

from html import escape

from turbohtml import Element, parse_fragment

from ..model import Record, base_type, is_json, utf8
from ..value import Json, Limits, Nothing, Pointer, dump, parse

__all__ = ["Part", "Value", "attribute_value", "element_html", "element_text", "read_part"]

Part = str | Pointer
"""A member's name, or a JSON Pointer; the empty pointer is the whole value."""

_SWALLOW = frozenset(("pre", "textarea", "listing"))
"""Elements in which a first line end is taken for mark-up (HTML, 13.1.2.5)."""


def read_part(text: str) -> Part:
    """What `data-part` names: beginning with `/` a JSON Pointer, else a member.

    Raises ValueError for a malformed pointer.
    """
    return Pointer.parse(text) if not text or text.startswith("/") else text


class Value:
    """A record's payload, of which parts are shown. JSON is read once, when it is first needed."""

    __slots__ = ("_json", "_limits", "_read", "record")

    def __init__(self, record: Record, limits: Limits) -> None:
        self.record = record
        self._limits = limits
        self._json: Json = None
        self._read: bool | None = None  # whether it is JSON within the limits, once that is known

    @property
    def is_html(self) -> bool:
        """Whether it was published as HTML."""
        return base_type(self.record.type) == "text/html"

    def text(self, part: Part) -> str | None:
        """The whole, or a part of it, as text; None where there is no such text.

        Of JSON a string is itself, a number has its own text, null is empty, an object or array
        is compact JSON. What is neither JSON nor UTF-8 has no text, what is not JSON has no parts.
        """
        if self._read is None:
            self._read = is_json(self.record.type)
            if self._read:
                try:
                    self._json = parse(self.record.data, self._limits)
                except ValueError:  # deeper or larger than what patches are taken for
                    self._read = False
        if not self._read:
            whole = isinstance(part, Pointer) and not part.tokens
            return utf8(self.record.data) if whole else None
        try:
            return _text(_find(self._json, part))
        except Nothing:
            return None


def _find(value: Json, part: Part) -> Json:
    if isinstance(part, Pointer):
        return part.find(value)
    if not isinstance(value, dict) or part not in value:
        raise Nothing("there is no such member")
    return value[part]


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else dump(value).decode()


def element_text(tag: str, text: str) -> str:
    """`text` as the content of an element: nothing in it is mark-up."""
    # HTML turns a CR into an LF before it is read (13.2.3.5), but not a reference to one.
    escaped = escape(text, quote=False).replace("\r", "&#13;")
    return "\n" + escaped if tag in _SWALLOW and escaped.startswith("\n") else escaped


def element_html(tag: str, text: str) -> str:
    """HTML as the content of an element, as `innerHTML` would take it: balanced, without scripts.

    So what a browser shows is the same whether it loads the page or receives the value.
    """
    try:
        fragment = _fragment(text, tag)
    except ValueError:  # HTML does not know the element, and reads it as it does a div
        fragment = _fragment(text, "div")
    for script in fragment.select("script"):
        script.decompose()
    return fragment.inner_html


def _fragment(text: str, tag: str) -> Element:
    return parse_fragment(
        text, tag, positions=False, scripting=True, allow_declarative_shadow_roots=False
    )


def attribute_value(text: str) -> str:
    """`text` as an attribute's value, in double quotes."""
    return '"' + escape(text).replace("\r", "&#13;") + '"'
