from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hexcast.client.encoding import Message, base_url, encode_line, payload, topic_path, topics_path
from hexcast.model.content_type import settle_type
from hexcast.model.patterns import check_topic


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:8066", "http://127.0.0.1:8066"),
        ("http://127.0.0.1:8066/", "http://127.0.0.1:8066"),
        ("https://example.org/live/", "https://example.org/live"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_base_url(url: str, base: str) -> None:
    assert base_url(url) == base


@pytest.mark.parametrize("url", ["", "127.0.0.1:8066", "ws://x", "http://", "http://x/?a=1", "x"])
def test_what_is_no_server_url(url: str) -> None:
    with pytest.raises(ValueError, match="not the URL of a server"):
        base_url(url)


def topics() -> st.SearchStrategy[str]:
    segment = st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/*"), min_size=1
    )
    return st.lists(segment, min_size=1, max_size=3).map("/".join)


def usable(topic: str) -> bool:
    try:
        check_topic(topic)
    except ValueError:
        return False
    return True


@given(topic=topics())
def test_a_path_names_its_topic_and_nothing_else(topic: str) -> None:
    assume(usable(topic))
    parts = urlsplit("http://x" + topic_path(topic))
    assert (parts.query, parts.fragment) == ("", "")
    assert parts.path.isascii()
    assert unquote(parts.path) == "/topics/" + topic


@given(names=st.lists(topics(), min_size=2, max_size=4))
def test_several_topics_go_into_the_query(names: list[str]) -> None:
    assume(all(map(usable, names)))
    parts = urlsplit("http://x" + topics_path(names, since="k-1"))
    assert parts.path == "/topics"
    assert parse_qsl(parts.query) == [*(("topic", name) for name in names), ("since", "k-1")]


def test_a_pattern_stays_readable() -> None:
    assert topics_path(["machine/*"], way="sse") == "/topics/machine/*?way=sse"
    assert topics_path(["a", "b/**"]) == "/topics?topic=a&topic=b/**"


@pytest.mark.parametrize("topic", ["", "a//b", "/a", "a/", ".", "a/../b", "a\n", "x" * 256, "a*b"])
def test_what_is_no_topic(topic: str) -> None:
    with pytest.raises(ValueError, match=r"topic|segment"):
        topics_path([topic])
    with pytest.raises(ValueError, match=r"topic|segment"):
        topic_path(topic)


def test_a_pattern_is_no_topic_to_publish_to_and_none_is_none() -> None:
    with pytest.raises(ValueError, match="pattern"):
        topic_path("a/*")
    with pytest.raises(ValueError, match="pattern"):
        encode_line(Message("a/*", 1), "k")
    with pytest.raises(ValueError, match="at least one"):
        topics_path([])


@pytest.mark.parametrize(
    ("data", "type", "sent"),
    [
        (b"\0", None, (b"\0", "application/octet-stream")),
        (bytearray(b"x"), "image/png", (b"x", "image/png")),
        ("é", None, ("é".encode(), "text/plain; charset=utf-8")),
        ("<p>", "text/html", (b"<p>", "text/html")),
        ("text", "application/json", (b'"text"', "application/json")),
        (b'{"a" :1}', "application/json", (b'{"a" :1}', "application/json")),
        ({"a": [1, None]}, None, (b'{"a":[1,null]}', "application/json")),
        (None, None, (b"null", "application/json")),
        (1.5, "application/x+json", (b"1.5", "application/x+json")),
    ],
)
def test_payload(data: Any, type: str | None, sent: tuple[bytes, str]) -> None:
    assert payload(data, type) == sent


def test_what_cannot_be_json_is_told() -> None:
    with pytest.raises(TypeError):
        payload(object(), None)
    with pytest.raises(TypeError):
        encode_line(Message("t", {1, object()}), "k")


def as_taken(line: dict[str, Any]) -> tuple[bytes, str]:
    """What a server makes of a line: contract, section 2."""
    data, type = line["data"], line.get("type", "")
    if isinstance(data, dict) and data.keys() == {"base64"}:
        octets = base64.b64decode(data["base64"], validate=True)
        return octets, type or "application/octet-stream"
    if isinstance(data, str):  # the text itself, whatever its type
        return data.encode(), type or "text/plain; charset=utf-8"
    return json.dumps(data).encode(), type or "application/json"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "base64"]), inner, max_size=2)
    ),
    max_leaves=6,
)
TYPES = st.sampled_from([None, "text/plain", "application/json", "image/png"])


@given(data=st.binary(max_size=20) | JSON_VALUES, type=TYPES)
def test_a_line_says_the_same_as_a_request_of_its_own(data: Any, type: str | None) -> None:
    body, kind = payload(data, type)
    line = encode_line(Message("t", data, type=type), "k")
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    told = json.loads(line)
    assert (told["topic"], told["key"], told.get("op", "post")) == ("t", "k", "post")
    taken, taken_kind = as_taken(told)
    assert taken_kind == kind
    if "json" in kind and taken != body:
        assert json.loads(taken) == json.loads(body)
    elif "json" not in kind:
        assert taken == body


def test_json_text_goes_through_untouched() -> None:
    line = encode_line(Message("t", b'{"n": 1.00e0}', type="application/json"), "k")
    assert b'"data":{"n": 1.00e0}' in line


def test_all_members() -> None:
    message = Message("a/b", "x", op="put", event="e", type="text/css", end=True)
    assert json.loads(encode_line(message, "key-1")) == {
        "topic": "a/b",
        "data": "x",
        "op": "put",
        "event": "e",
        "type": "text/css",
        "key": "key-1",
        "end": True,
    }


def test_a_delete_has_no_data() -> None:
    assert json.loads(encode_line(Message("a", op="delete"), "k"))["op"] == "delete"


@given(data=st.binary(max_size=20))
def test_bytes_that_say_they_are_json_and_are_not_are_for_the_server_to_refuse(data: bytes) -> None:
    line = json.loads(encode_line(Message("t", data, type="application/json"), "k"))
    taken, _ = as_taken(line)
    try:
        settle_type("application/json", data)
    except ValueError:
        assert taken == data
