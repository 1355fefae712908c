"""A request's head, read once."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.http.request import Request
from hexcast.model.problem import Problem

text = st.text(st.characters(codec="utf-8"), max_size=20)


def request(target: bytes | str, *headers: tuple[str, str]) -> Request:
    return Request("GET", target.encode() if isinstance(target, str) else target, headers)


@given(text, st.lists(st.tuples(text.filter(bool), text), max_size=5))
def test_path_and_query_come_back(path: str, fields: list[tuple[str, str]]) -> None:
    target = "/" + quote(path, safe="/") + ("?" + urlencode(fields) if fields else "")
    for form in (target, "http://localhost:1" + target):
        read = request(form)
        assert read.path == "/" + path
        wanted: dict[str, list[str]] = {}
        for name, value in fields:
            wanted.setdefault(name, []).append(value)
        assert read.query == wanted
        for name in wanted:
            assert read.first(name) == wanted[name][0]


@given(st.binary(max_size=60))
def test_any_target_is_read_or_refused(target: bytes) -> None:
    try:
        request(target)
    except Problem as problem:
        assert problem.status == 400


@pytest.mark.parametrize(("target", "host", "path", "query"), [
    ("http://a.example/x?y=1", "a.example", "/x", {"y": ["1"]}),
    ("HTTP://a.example:80", "a.example:80", "/", {}),
    ("https://a.example?y=1", "a.example", "/", {"y": ["1"]}),
    ("http://[::1]:8/x", "[::1]:8", "/x", {}),
])  # fmt: skip
def test_an_absolute_target_stands_for_host(
    target: str, host: str, path: str, query: dict[str, list[str]]
) -> None:
    read = request(target, ("host", "evil.example"))
    assert (read.header("host"), read.path, read.query) == (host, path, query)


@pytest.mark.parametrize("target", ["localhost:80", "ftp://a/b", "//", "x", ""])
def test_targets_of_no_kind(target: str) -> None:
    if target.startswith("/"):
        assert request(target).path == target
        return
    with pytest.raises(Problem) as refusal:
        request(target)
    assert refusal.value.status == 400


@pytest.mark.parametrize("target", ["/%ff", "/%ed%a0%80", "/x?a=%ff", b"/x?a=\xc3\xa4", b"/\xff",
                                    "/x?" + "&".join("a=1" for _ in range(2000))])  # fmt: skip
def test_what_is_not_percent_encoded_utf_8(target: str | bytes) -> None:
    with pytest.raises(Problem) as refusal:
        request(target)
    assert refusal.value.status == 400


@pytest.mark.parametrize("target", ["/x#frag", "/x?a=1#frag", "/x%", "/x%4", "/x%zz"])
def test_a_target_that_is_none(target: str) -> None:
    with pytest.raises(Problem) as refusal:
        request(target)
    assert refusal.value.status == 400


def test_fields_given_twice() -> None:
    read = request("/", ("accept", "a/b"), ("accept", "c/d"), ("cookie", "a=1"), ("cookie", "b=2"))
    assert read.header("accept") == "a/b, c/d" and read.header("cookie") == "a=1; b=2"
    for name in ("host", "content-type", "last-event-id", "idempotency-key", "origin",
                 "authorization"):  # fmt: skip
        with pytest.raises(Problem) as refusal:
            request("/", (name, "a"), (name, "b"))
        assert refusal.value.status == 400 and refusal.value.close


def test_nul_in_a_field() -> None:
    with pytest.raises(Problem):
        request("/", ("x", "a\0b"))


@pytest.mark.parametrize(("value", "number"), [
    ("5", 5.0), ("", 7.0), ("x", 7.0), ("-1", 0.0), ("1e99", 10.0), ("inf", 10.0), ("nan", 7.0),
    ("-inf", 0.0), ("2.5", 2.5),
])  # fmt: skip
def test_numbers_are_clamped(value: str, number: float) -> None:
    assert request("/?n=" + value).number("n", 7.0, 0.0, 10.0) == number


@pytest.mark.parametrize(("query", "yes"), [
    ("f=1", True), ("f=true", True), ("f=YES", True), ("f", False), ("f=0", False), ("", False),
])  # fmt: skip
def test_flags(query: str, yes: bool) -> None:
    assert request("/?" + query).flag("f") is yes


def test_what_stands_in_for_a_request_whose_answer_has_begun() -> None:
    assert Request.spent() is Request.spent() and Request.spent().headers == {}
