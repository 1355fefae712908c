"""A page's source, read once into what stays and the slots that published values fill. Pure.

The source is never written anew from a tree: the parser (of the HTML standard) says where in the
source each element's tags stand, and only what is between them is replaced. All else comes out
byte for byte as its author wrote it.

HTML that is not well-formed has elements whose place in the tree is not their place in the source.
So the slots are tried before they are used: the source with marks in the slots is parsed again, and
has to come to the same tree outside them. A slot that does not pass keeps its author's content.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from turbohtml import Comment, Document, Element, Namespace, parse

from ..model import check_topic
from .attributes import attribute_fault
from .content import Part, read_part

__all__ = ["Fault", "Slot", "Template", "read_template"]

MAX_SLOTS = 4096
"""Elements of one page that are filled in."""

MAX_TRIALS, MAX_TRIED = 64, 2**22
"""How often, and over how many characters in all, a page that is not well-formed is tried."""

_OPAQUE = frozenset((
    "html", "head", "body", "frameset", "script", "style", "template", "iframe", "noframes",
    "noembed", "noscript", "xmp", "plaintext", "object",
))  # fmt: skip
"""Elements whose content is no text, or is not read as text."""

_VOID = frozenset((
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr", "frame", "keygen", "basefont", "bgsound",
))  # fmt: skip

_SLOT_BYTES = 512

_MARKED = "[data-topic]"
_MARK = "\N{OBJECT REPLACEMENT CHARACTER}hexcast"


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A place in a page that shows a topic."""

    topic: str
    part: Part
    tag: str
    """The element's name, with its namespace before it where that is not HTML's."""
    attribute: str
    """The attribute that is set; empty where it is the element's content."""
    html: bool
    """Whether HTML is shown as HTML."""
    element: int
    """Its element's place among those of the page that name a topic."""
    start: int
    end: int
    """The characters of the source that are replaced."""
    line: int
    own: tuple[bytes | Slot, ...] = ()
    """What the author wrote there, shown while there is nothing to show."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an element with `data-topic` is not filled in."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Template:
    """A page in two halves; between them, in the head if there is one, goes what keeps it live."""

    first: tuple[bytes | Slot, ...]
    second: tuple[bytes | Slot, ...]
    topics: tuple[str, ...]
    """The topics of all slots, in order, each once."""
    refreshes: bool
    """Whether its author made it refresh itself."""
    faults: tuple[Fault, ...]
    size: int
    """About the bytes of memory that it takes."""

    def fill(self, show: Callable[[Slot], str | None], between: bytes) -> bytes:
        """The page, with what `show` gives for each slot; where that is None, the author's own."""
        parts: list[bytes] = []
        _fill(self.first, show, parts)
        parts.append(between)
        _fill(self.second, show, parts)
        return b"".join(parts)


def _fill(
    pieces: Iterable[bytes | Slot], show: Callable[[Slot], str | None], parts: list[bytes]
) -> None:
    for piece in pieces:
        if isinstance(piece, bytes):
            parts.append(piece)
            continue
        shown = show(piece)
        if shown is None:
            _fill(piece.own, show, parts)
        else:
            parts.append(shown.encode())


def read_template(source: bytes) -> Template:
    """Read a page. Raises ValueError where it is not UTF-8."""
    mark, text = "", source.decode()
    if text.startswith("\ufeff"):
        mark, text = text[0], text[1:]
    flat = text.replace("\r\n", "\n")  # as the parser counts
    document = _parse(flat)
    faults: list[Fault] = []
    slots = _provable(flat, _slots(document, len(flat), faults), faults)
    place = _place_in_head(document, len(flat))
    for slot in [s for s in slots if s.start < place < s.end]:
        faults.append(Fault(slot.line, "it reaches over the page's head"))
        slots.remove(slot)
    origin = _origins(text)
    first, second = (
        _pieces(text, origin, [s for s in slots if (s.end <= place) == early], begin, end)
        for early, begin, end in ((True, 0, place), (False, place, len(flat)))
    )
    return Template(
        (mark.encode(), *first) if mark else first,
        second,
        tuple(dict.fromkeys(slot.topic for slot in slots)),
        any(
            (element.attr("http-equiv") or "").lower() == "refresh"
            for element in document.select("meta[http-equiv]")
        ),
        tuple(sorted(faults, key=lambda fault: fault.line)),
        len(source) + _SLOT_BYTES * len(slots),
    )


def _parse(text: str) -> Document:
    return parse(text, source_locations=True, allow_declarative_shadow_roots=False)


def _slots(document: Document, length: int, faults: list[Fault]) -> list[Slot]:
    """What the elements with `data-topic` ask for, as far as they may."""
    found: list[Slot] = []
    for n, element in enumerate(document.select(_MARKED)):
        location = element.source_location
        if location is None or _templated(element):
            continue  # a copy the parser made of a misnested element; nothing that is shown
        line = location.start_tag.start_line
        if len(found) == MAX_SLOTS:
            faults.append(Fault(line, f"it is beyond the first {MAX_SLOTS} elements"))
            break
        try:
            found.append(_slot(n, element, length))
        except ValueError as error:
            faults.append(Fault(line, str(error)))
    return found


def _templated(element: Element) -> bool:
    return any(isinstance(a, Element) and a.tag == "template" for a in element.ancestors)


def _attribute(element: Element, name: str) -> str:
    value = element.attrs.get(name)
    return value if isinstance(value, str) else ""


def _slot(n: int, element: Element, length: int) -> Slot:
    """The slot of one element. Raises ValueError that says why it has none."""
    location = element.source_location
    assert location is not None
    tag, name = element.tag, _attribute(element, "data-attr")
    topic = check_topic(_attribute(element, "data-topic"))
    try:
        part = read_part(_attribute(element, "data-part"))
    except ValueError as error:
        raise ValueError(f"data-part {error}") from None
    start_tag = location.start_tag
    if name:
        if fault := attribute_fault(tag, name):
            raise ValueError(f"data-attr={name}: {fault}")
        given = location.attrs.get(name.lower())
        if given is None and name != name.lower() and element.namespace is not Namespace.HTML:
            # Which of SVG's names have capitals only a tree's own parser knows.
            raise ValueError(f"data-attr={name}: give the element that attribute as well")
        # `<` and the tag's name come first; case and prefixes do not change how long that is.
        after_name = start_tag.start_offset + 1 + len(tag)
        start, end = (given.start_offset, given.end_offset) if given else (after_name, after_name)
    elif tag in _OPAQUE or tag in _VOID:
        raise ValueError(f"values are not shown inside <{tag}>: name an attribute with data-attr")
    else:
        start, end = start_tag.end_offset, _content_end(element, length)
        if end < start:
            raise ValueError("its content is not where its tags are")
    html = "data-html" in element.attrs
    if element.namespace is not Namespace.HTML:
        tag = f"{element.namespace.value} {tag}"
    return Slot(topic, part, tag, name, html, n, start, end, start_tag.start_line)


def _content_end(element: Element, length: int) -> int:
    """Where an element's content ends: at its end tag, or at what ends it without one."""
    location = element.source_location
    if location is not None and location.end_tag is not None:
        return location.end_tag.start_offset
    node: Element | None = element
    while node is not None:
        for sibling in node.next_siblings:
            if isinstance(sibling, Element) and sibling.source_location is not None:
                return sibling.source_location.start_tag.start_offset
        parent = node.parent
        node = parent if isinstance(parent, Element) else None
        if node is not None:
            location = node.source_location
            if location is not None and location.end_tag is not None:
                return location.end_tag.start_offset
    return length


def _place_in_head(document: Document, length: int) -> int:
    """Where to put what keeps the page live: in the head, at its end if that is marked."""
    for name in ("head", "html"):
        element = document.find(name)
        location = None if element is None else element.source_location
        if location is not None:
            if name == "head" and location.end_tag is not None:
                return location.end_tag.start_offset
            return location.start_tag.end_offset
    located = (element.source_location for element in document.select("*"))
    return min((each.start_tag.start_offset for each in located if each), default=length)


def _origins(text: str) -> Callable[[int], int]:
    """Gives for a place in the text with LF for each CR LF the place in the text as written."""
    folded = [found.start() - n for n, found in enumerate(re.finditer("\r\n", text))]
    return lambda place: place + bisect_left(folded, place)


def _pieces(
    text: str, origin: Callable[[int], int], slots: Sequence[Slot], begin: int, end: int
) -> tuple[bytes | Slot, ...]:
    """A stretch of the source, cut at its slots; those inside others become part of these."""
    pieces: list[bytes | Slot] = []
    place, n = begin, 0
    while n < len(slots):
        slot = slots[n]
        inner = n + 1
        # At its end too: what comes after it has a tag of its own before its content.
        while inner < len(slots) and slots[inner].start <= slot.end:
            inner += 1
        pieces.append(text[origin(place) : origin(slot.start)].encode())
        own = _pieces(text, origin, slots[n + 1 : inner], slot.start, slot.end)
        pieces.append(replace(slot, own=own))
        place, n = slot.end, inner
    pieces.append(text[origin(place) : origin(end)].encode())
    return tuple(piece for piece in pieces if piece)


# --- the proof --------------------------------------------------------------------------------


def _provable(flat: str, slots: Sequence[Slot], faults: list[Fault]) -> list[Slot]:
    """Those of the slots that can be filled without touching anything else of the page."""
    slots = sorted(slots, key=lambda slot: (slot.start, -slot.end))
    good: set[Slot] = set()
    trials = min(MAX_TRIALS, MAX_TRIED // max(1, len(flat)))
    for level in _levels(slots):
        # Halve what fails, until what is left of it passes or is a single slot.
        pending = [level]
        while pending:
            some = pending.pop()
            trials -= 1
            if trials >= 0 and _same_outside(flat, some):
                good.update(some)
            elif trials > 0 and len(some) > 1:
                half = len(some) // 2
                pending += [some[half:], some[:half]]
            else:
                faults += [Fault(s.line, "the HTML around it is not well-formed") for s in some]
    return [slot for slot in slots if slot in good]


def _levels(slots: Sequence[Slot]) -> list[list[Slot]]:
    """The slots by how many others they are inside of; those of a level do not overlap."""
    levels: list[list[Slot]] = []
    ends: list[int] = []
    for slot in slots:
        while ends and ends[-1] < slot.start:
            ends.pop()
        if len(ends) == len(levels):
            levels.append([])
        levels[len(ends)].append(slot)
        ends.append(slot.end)
    return levels


def _same_outside(flat: str, slots: Sequence[Slot]) -> bool:
    """Whether marking these slots in the source is the same as marking them in the tree."""
    document, parts, place = _parse(flat), [], 0
    elements = document.select(_MARKED)
    for n, slot in enumerate(slots):
        if slot.start < place:
            return False
        mark, element = f"{_MARK}{n};", elements[slot.element]
        if slot.attribute:
            filling = f' {slot.attribute}="{mark}" '
            element.attrs[slot.attribute] = mark
        elif slot.html:
            # What is shown as HTML may be what no text may be, such as the rows of a table.
            filling = f"<!--{mark}-->"
            element.clear()
            element.append(Comment(mark))
        else:
            filling = mark
            element.set_text(mark)
        parts += [flat[place : slot.start], filling]
        place = slot.end
    parts.append(flat[place:])
    return document.equals(_parse("".join(parts)))
