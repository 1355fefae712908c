"""What a payload is taken for, and that it comes out of JSON as it went in."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.model.content_type import (
    BINARY,
    JSON,
    TEXT,
    as_json,
    base_type,
    check_type,
    is_json,
    parses,
    quote,
    settle_type,
    utf8,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


def oracle(data: bytes) -> bool:
    """Whether the standard library takes it for JSON, as RFC 8259 has it."""

    def no(constant: str) -> Any:
        raise ValueError(constant)

    try:
        json.loads(data.decode("utf-8"), parse_constant=no)
    except ValueError:
        return False
    return True


near_json = st.text('{}[]",:\\ntfrue0123456789.-+eE \n\ra\x00\x1f', max_size=12).map(str.encode)


@given(st.binary(max_size=20) | near_json)
def test_json_is_what_the_standard_library_says(data: bytes) -> None:
    assert parses(data) == oracle(data)


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf1", b'"\xff"', b'"a\nb"', b"NaN", b"01", b"1 2", b"",
                                  b'{"a":1,}', b"'a'", b'"\xed\xa0\x80"', b"Infinity"])  # fmt: skip
def test_what_is_not_json(data: bytes) -> None:
    assert not parses(data)


def test_json_without_end_of_nesting() -> None:
    assert not parses(b"[" * 1_000_000)
    assert not parses(b"[" * 1_000_000 + b"]" * 1_000_000)


@given(values, st.sampled_from([None, 1, "\t"]))
def test_json_stays_json_on_one_line(value: Any, indent: Any) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=False).replace("\n", "\r\n").encode()
    line = as_json(data, "application/json; charset=utf-8")
    assert b"\n" not in line and b"\r" not in line
    assert json.loads(line) == value


@given(st.text(st.characters(codec="utf-8")))
def test_text_comes_back(text: str) -> None:
    line = as_json(text.encode(), TEXT)
    assert json.loads(line) == text and b"\n" not in line and b"\r" not in line
    assert json.loads(quote(text)) == text
    assert utf8(text.encode()) == text


@given(st.binary(min_size=1))
def test_octets_come_back(data: bytes) -> None:
    said = json.loads(as_json(data, BINARY))
    if utf8(data) is None:
        assert base64.b64decode(said["base64"]) == data and len(said) == 1
    else:
        assert said.encode() == data


@given(st.binary(max_size=30) | values.map(lambda v: json.dumps(v).encode()))
def test_a_payload_without_a_type(data: bytes) -> None:
    wanted = JSON if oracle(data) else TEXT if utf8(data) is not None else BINARY
    assert settle_type("", data) == wanted
    assert settle_type("application/x-www-form-urlencoded", data) == wanted
    assert settle_type("multipart/form-data; boundary=x", data) == wanted


@pytest.mark.parametrize("type", ["application/json", "application/vnd.x+json", "Application/JSON",
                                  "application/json; charset=utf-8"])  # fmt: skip
def test_a_type_that_says_json(type: str) -> None:
    assert is_json(type)
    assert settle_type(type, b' {"a": 1}') == type
    with pytest.raises(ValueError, match="not JSON"):
        settle_type(type, b"{a: 1}")


@pytest.mark.parametrize("type", ["text/plain", "image/png", "text/html; charset=utf-8", "x/json",
                                  "application/jsonx", "text/event-stream"])  # fmt: skip
def test_other_types_are_kept_as_they_are(type: str) -> None:
    assert not is_json(type)
    assert settle_type(type, b"\xff{") == type


@pytest.mark.parametrize("type", ["text", "text/", "/plain", "a b/c", "text/plain\r\nX: y", "a/b; \n",
                                  "ä/b", "a/b; c=\x7f", "a/b;ä", "a" * 300 + "/b", "a/b, c/d"])  # fmt: skip
def test_types_that_could_not_be_sent(type: str) -> None:
    with pytest.raises(ValueError, match="content type"):
        check_type(type)
    with pytest.raises(ValueError, match="content type"):
        settle_type(type, b"1")


@given(st.text())
def test_a_type_that_is_taken_can_be_a_header(type: str) -> None:
    try:
        check_type(type)
    except ValueError:
        return
    type.encode("ascii")
    assert type.isprintable() and "/" in type
    assert base_type(type) == base_type(type).strip().lower()
