"""What an element shows of a value, and that no value becomes mark-up where it must not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turbohtml import parse

from hexcast.model.record import Record
from hexcast.site.content import Value, attribute_value, element_html, element_text, read_part
from hexcast.value.json_text import LIMITS, Limits

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def value(data: bytes, type: str = "application/json", limits: Limits = LIMITS) -> Value:
    return Value(Record("e", 1, "t", "put", "", type, data, 0, False), limits)


@pytest.mark.parametrize(
    ("data", "part", "text"),
    [
        (b'"a string"', "", "a string"),
        (b"1.10", "", "1.10"),
        (b"-0", "", "-0"),
        (b"1e400", "", "1e400"),
        (b"12345678901234567890.123", "", "12345678901234567890.123"),
        (b"true", "", "true"),
        (b"false", "", "false"),
        (b"null", "", ""),
        (b'{ "b" : 1.0, "a": [ 2 , null ] }', "", '{"b":1.0,"a":[2,null]}'),
        (b'{"bid": 1.10}', "bid", "1.10"),
        (b'{"bid": null}', "bid", ""),
        (b'{"bid": 1}', "ask", None),
        (b'{"a/b": 1, "/": 2}', "a/b", "1"),
        (b'{"a/b": 1, "/": 2}', "/a~1b", "1"),
        (b'{"a": [10, {"b": "x"}]}', "/a/1/b", "x"),
        (b'{"a": [10]}', "/a/1", None),
        (b"[10, 20]", "1", None),
        (b"[10, 20]", "/1", "20"),
        (b'{"": 7}', "/", "7"),
        (b'{"__proto__": "own", "constructor": 2}', "__proto__", "own"),
        (b"{}", "__proto__", None),
        (b"{}", "toString", None),
        (b'"abc"', "length", None),
        (b'"abc"', "/0", None),
    ],
)
def test_json(data: bytes, part: str, text: str | None) -> None:
    assert value(data).text(read_part(part)) == text


@pytest.mark.parametrize(
    ("data", "type", "part", "text"),
    [
        ("grün\r\n".encode(), "text/plain; charset=utf-8", "", "grün\r\n"),
        (b"plain", "text/plain", "x", None),
        (b"<b>x</b>", "text/html", "", "<b>x</b>"),
        (b"\xff\x00", "application/octet-stream", "", None),
        (b"{not json", "text/plain", "", "{not json"),
    ],
)
def test_what_is_not_json(data: bytes, type: str, part: str, text: str | None) -> None:
    assert value(data, type).text(read_part(part)) == text


def test_json_beyond_the_limits_is_shown_as_it_is_and_has_no_parts() -> None:
    deep = value(b'{"a":{"a":1}}', limits=Limits(depth=1))
    assert deep.text(read_part("")) == '{"a":{"a":1}}'
    assert deep.text("a") is None


@given(
    st.recursive(
        TEXTS | st.none() | st.booleans(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    )
)
def test_objects_and_arrays_are_compact_json(given: object) -> None:
    text = value(json.dumps(given).encode()).text(read_part(""))
    assert text is not None
    if isinstance(given, (dict, list)):
        assert json.loads(text) == given
        assert text == json.dumps(given, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("tag", ["p", "pre", "textarea", "title", "td", "option", "listing"])
@given(TEXTS)
def test_text_stays_text(tag: str, text: str) -> None:
    wrapped = (
        f"<table><tr><td id=x>{element_text('td', text)}</td></table>"
        if tag == "td"
        else (f"<{tag} id=x>{element_text(tag, text)}</{tag}>")
    )
    element = parse(wrapped + "<i>after</i>").select_one("#x")
    assert element is not None
    assert [child for child in element.children if not hasattr(child, "data")] == []
    assert element.text == text.replace("\r\n", "\r\n")


@given(TEXTS)
def test_a_text_stays_within_its_attribute(text: str) -> None:
    element = parse(f"<p title={attribute_value(text)}>x").select_one("p")
    assert element is not None
    assert element.attrs == {"title": text}


def test_html_is_balanced_and_without_scripts() -> None:
    assert element_html("div", "<b>x</div><i>y") == "<b>x<i>y</i></b>"
    assert (
        element_html("div", "a<script>alert(1)</script><svg><script>1</script></svg>b")
        == "a<svg></svg>b"
    )
    assert element_html("tr", "<td>1<td>2") == "<td>1</td><td>2</td>"
    assert element_html("my-card", "<b>x</div>") == "<b>x</b>"
    assert element_html("svg g", "<rect><path>") == "<rect><path></path></rect>"
    assert element_html("p", "<template><script>1</script></template>") in (
        "<template></template>",
        "<template><script>1</script></template>",
    )
