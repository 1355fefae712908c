from __future__ import annotations

import html

from hypothesis import given
from hypothesis import strategies as st

from hexcast.client.html_page import Shown, read_page


def page(*values: str) -> str:
    return "<!doctype html><title>t</title><h1>t</h1>" + "".join(values) + "<p>updated</p>"


def test_one_value() -> None:
    text = page('<pre id="value" data-id="k-7">{&quot;a&quot;: 1 &lt; 2}</pre>')
    assert read_page(text) == [Shown("k-7", None, '{"a": 1 < 2}')]


def test_several_topics() -> None:
    text = page(
        '<pre data-topic="a/b" data-id="k-7">1</pre>',
        '<pre data-topic="&amp;" data-id="k-9"></pre>',
    )
    assert read_page(text) == [Shown("k-7", "a/b", "1"), Shown("k-9", "&", "")]


def test_nothing_yet() -> None:
    assert (
        read_page(page("<p>nothing yet</p>", "<pre>curl …</pre>", '<pre data-id="">x</pre>')) == []
    )
    assert read_page("") == []


def test_markup_inside_is_left_out_of_the_text() -> None:
    assert read_page(page('<pre data-id="k-1">a<b>c</b></pre>')) == [Shown("k-1", None, "ac")]


@given(value=st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])))
def test_any_escaped_text_comes_back(value: str) -> None:
    # A line end right after the tag is not part of the text, so a page begins with one.
    text = page(f'<pre id="value" data-id="k-7">\n{html.escape(value)}</pre>')
    assert read_page(text) == [Shown("k-7", None, value)]


@given(
    text=st.text()
    | st.lists(st.sampled_from(["<pre", " data-id=k", ">", "</pre>", "&#", "<!--"])).map("".join)
)
def test_no_page_raises(text: str) -> None:
    read_page(text)
