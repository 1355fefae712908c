"""Pages as they are read: what is not filled in comes out byte for byte, and only slots change."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.site.template import MAX_SLOTS, Slot, Template, read_template

from .soup import soups


def shown(slot: Slot) -> str:
    mark = f"[{slot.topic}]"
    if not slot.attribute:
        return mark
    return ("" if slot.end > slot.start else " ") + f'{slot.attribute}="{mark}"'


def filled(source: str, between: str = "") -> tuple[str, list[str]]:
    template = read_template(source.encode())
    return template.fill(shown, between.encode()).decode(), [f.reason for f in template.faults]


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("<p data-topic=a>x</p>y", "<p data-topic=a>[a]</p>y"),
        ('<p data-topic="a">x<p data-topic=b>y', '<p data-topic="a">[a]<p data-topic=b>[b]'),
        ("<P DATA-TOPIC='a&amp;b'>x</P >y", "<P DATA-TOPIC='a&amp;b'>[a&b]</P >y"),
        ("<ul><li data-topic=a>1\n<li data-topic=b>2</ul>", "<ul><li data-topic=a>[a]<li data-topic=b>[b]</ul>"),
        ("<dl><dt data-topic=a>1<dd data-topic=b>2<dt>3</dl>", "<dl><dt data-topic=a>[a]<dd data-topic=b>[b]<dt>3</dl>"),
        ("<table><tr><td data-topic=a>1<td data-topic=b>2<tr><td data-topic=c>3</table>", "<table><tr><td data-topic=a>[a]<td data-topic=b>[b]<tr><td data-topic=c>[c]</table>"),
        ("<select><option data-topic=a>1<option data-topic=b>2</select>", "<select><option data-topic=a>[a]<option data-topic=b>[b]</select>"),
        ("<textarea data-topic=a>x <b data-topic=m></b></textarea>", "<textarea data-topic=a>[a]</textarea>"),
        ("<title data-topic=a>x</title>", "<title data-topic=a>[a]</title>"),
        ("<pre data-topic=a>\nx</pre>", "<pre data-topic=a>[a]</pre>"),
        ("<svg><text data-topic=a>1</text></svg>", "<svg><text data-topic=a>[a]</text></svg>"),
        ("<noscript><p data-topic=a>1</p></noscript>", "<noscript><p data-topic=a>[a]</p></noscript>"),
        ("<div data-topic=a>x<b data-topic=b>1</b></div>", "<div data-topic=a>[a]</div>"),
        ("<div data-topic=a>x<p data-topic=b></div>", "<div data-topic=a>[a]</div>"),
        ("<div data-topic=a>x<p data-topic=b>", "<div data-topic=a>[a]"),
        ("<p data-topic=a>1</p>é😀\r\n<p\r\n data-topic=é>x\r\n</p>\r\n<p>", "<p data-topic=a>[a]</p>é😀\r\n<p\r\n data-topic=é>[é]</p>\r\n<p>"),
        ("<p data-topic=a>x\r\ry</p>", "<p data-topic=a>[a]</p>"),
        ("<!-- <p data-topic=a> --><script>'<p data-topic=b>'</script>", "<!-- <p data-topic=a> --><script>'<p data-topic=b>'</script>"),
        ("<template><p data-topic=a>x</p></template>", "<template><p data-topic=a>x</p></template>"),
        ("<table><tbody data-topic=a data-html><tr><td>1</table>", "<table><tbody data-topic=a data-html>[a]</table>"),
        # Attributes
        ("<img data-topic=a data-attr=src>", '<img src="[a]" data-topic=a data-attr=src>'),
        ("<img src=x.png data-topic=a data-attr=src>", '<img src="[a]" data-topic=a data-attr=src>'),
        ("<img src = 'x'alt=y data-topic=a data-attr=SRC>", '<img SRC="[a]"alt=y data-topic=a data-attr=SRC>'),
        ("<p hidden data-topic=a data-attr=hidden>x</p>", '<p hidden="[a]" data-topic=a data-attr=hidden>x</p>'),
        ("<p title=1 title=2 data-topic=a data-attr=title>", '<p title="[a]" title=2 data-topic=a data-attr=title>'),
        ("<p data-topic=a data-attr=title>1<b data-topic=b>2</b></p>", '<p title="[a]" data-topic=a data-attr=title>1<b data-topic=b>[b]</b></p>'),
        ("<svg data-topic=a data-attr=viewBox viewBox></svg>", '<svg data-topic=a data-attr=viewBox viewBox="[a]"></svg>'),
        ("<svg><g data-topic=a data-attr=d></svg>", '<svg><g d="[a]" data-topic=a data-attr=d></svg>'),
        ("<html data-topic=a data-attr=class><body>x", '<html class="[a]" data-topic=a data-attr=class><body>x'),
        ("<br data-topic=a data-attr=title />", '<br title="[a]" data-topic=a data-attr=title />'),
    ],
)  # fmt: skip
def test_only_the_slots_change(source: str, page: str) -> None:
    assert filled(source) == (page, [])


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("<p data-topic=''>x", "at least one byte"),
        ("<p data-topic='a/*'>x", "that is a pattern"),
        ("<p data-topic='a//b'>x", "segment"),
        ("<p data-topic=a data-part='/~'>x", "data-part has a ~"),
        ("<script data-topic=a>x</script>", "not shown inside <script>"),
        ("<style data-topic=a>x</style>", "not shown inside <style>"),
        ("<svg><style data-topic=a>x</style></svg>", "not shown inside <style>"),
        ("<iframe data-topic=a>x</iframe>", "not shown inside <iframe>"),
        ("<body data-topic=a>x", "not shown inside <body>"),
        ("<plaintext data-topic=a>x", "not shown inside <plaintext>"),
        ("<img data-topic=a>", "not shown inside <img>"),
        ("<a data-topic=a data-attr=onclick>x</a>", "no event handlers"),
        ("<a data-topic=a data-attr=style>x</a>", "do not set style"),
        ("<script data-topic=a data-attr=src></script>", "no attributes of <script>"),
        ("<svg data-topic=a data-attr=viewBox></svg>", "give the element that attribute as well"),
        ("<table data-topic=a><tr><td>1</table>", "not well-formed"),
        ("<table><tr data-topic=a><td>1</table>", "not well-formed"),
        ("<b><p data-topic=a>1</b>2</p>", "not well-formed"),
        ("<select data-topic=a><option>1</select><p data-topic=b data-attr='a b'>", "no attribute's name"),
    ],
)  # fmt: skip
def test_what_cannot_be_filled_in_stays_and_is_told(source: str, reason: str) -> None:
    _, (told, *_) = filled(source)
    assert reason in told


def test_what_is_well_formed_is_filled_in_beside_what_is_not() -> None:
    bad = "<b><p data-topic=bad>1</b>2</p>"
    source = "<i data-topic=a>x</i>" * 20 + bad + "</b><i data-topic=b>x</i>" * 20 + bad
    page, faults = filled(source)
    assert len(faults) == 2
    assert page.count("[a]") == page.count("[b]") == 20
    assert "[bad]" not in page


def test_faults_name_their_line() -> None:
    template = read_template(b"<p>\r\n<p>\n\n<img data-topic=a>")
    assert [fault.line for fault in template.faults] == [4]


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("<html><head><title>x</title></head><body>", "<html><head><title>x</title>|</head><body>"),
        ("<head><title>x</title><body>", "<head>|<title>x</title><body>"),
        ("<!doctype html>\n<html lang=en>\n<title>x</title>", "<!doctype html>\n<html lang=en>|\n<title>x</title>"),
        ("<!doctype html>\r\n<title>x</title><p>y", "<!doctype html>\r\n|<title>x</title><p>y"),
        ("<!-- </head> --><p data-topic=a>y", "<!-- </head> -->|<p data-topic=a>[a]"),
        ("\ufeff<p>y", "\ufeff|<p>y"),
        ("text", "text|"),
        ("", "|"),
    ],
)  # fmt: skip
def test_where_what_keeps_a_page_live_is_put(source: str, page: str) -> None:
    assert filled(source, "|")[0] == page


def test_topics_come_once_each_in_order() -> None:
    template = read_template(b"<p data-topic=b>1<p data-topic=a>2<p data-topic=b>3")
    assert template.topics == ("b", "a")


@pytest.mark.parametrize(
    ("source", "refreshes"),
    [("<meta http-equiv=Refresh content=3>", True), ("<meta name=refresh content=3>", False)],
)
def test_a_page_that_refreshes_itself_is_known(source: str, refreshes: bool) -> None:
    assert read_template(source.encode()).refreshes is refreshes


def test_a_page_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        read_template(b"<p data-topic=a>\xff</p>")


def nothing(slot: Slot) -> None:
    return None


@given(soups | st.text(st.characters(codec="utf-8")))
def test_with_nothing_held_a_page_comes_out_as_it_was_written(source: str) -> None:
    assert read_template(source.encode()).fill(nothing, b"") == source.encode()


@given(soups)
def test_every_slot_is_filled_or_told(source: str) -> None:
    template = read_template(source.encode())
    page = template.fill(shown, b"")
    assert page != source.encode() or not template.topics


def held(template: Template) -> list[Slot]:
    return [piece for piece in (*template.first, *template.second) if isinstance(piece, Slot)]


def test_bounds() -> None:
    many = read_template(b"<p data-topic=a>x" * (MAX_SLOTS + 10))
    assert len(held(many)) == MAX_SLOTS
    assert f"{MAX_SLOTS}" in many.faults[-1].reason
    began = time.process_time()
    read_template(b"<b><p data-topic=x>1</b>2</p>" * 4000)  # nothing of it can be filled in
    read_template(b"<div data-topic=x>" * 2000)  # deep
    assert time.process_time() - began < 10
