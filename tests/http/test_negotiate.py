"""What headers prefer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.http.negotiate import (
    STREAM_CODINGS,
    accepted_codings,
    accepts,
    available_dictionary,
    entity_tags,
    pattern_of,
    prefers_html,
    revalidates,
    wait_preference,
)

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(("accept", "html"), [
    ("", False), ("*/*", False), (BROWSER, True), ("text/html", True),
    ("application/json, text/html", False), ("text/html;q=0.5, application/json;q=0.4", True),
    ("text/html;q=0", False), ("TEXT/HTML", True), ("text/html;q=x", False),
    ("application/json;q=0.9, text/html; q=1", True), ("text/html;q=nan", False),
    (",,text/html,,", True), ("application/xhtml+xml", True),
])  # fmt: skip
def test_who_prefers_html(accept: str, html: bool) -> None:
    assert prefers_html(accept) is html


@pytest.mark.parametrize(("accept", "yes"), [
    ("text/event-stream", True), ("*/*", False), ("text/html, text/event-stream;q=0.1", True),
    ("text/event-stream;q=0", False), ("text/event-stream;q=0.000", False), ("text/*", False),
    ("Text/Event-Stream", True), ("", False),
])  # fmt: skip
def test_who_accepts_an_event_stream(accept: str, yes: bool) -> None:
    assert accepts(accept, "text/event-stream") is yes


@pytest.mark.parametrize(("prefer", "seconds"), [
    ("wait=10", 10.0), ("", None), ("respond-async", None), ("respond-async, wait=5", 5.0),
    ("wait=5; foo=bar", 5.0), ('wait="7"', 7.0), ("WAIT = 3", 3.0), ("wait", None),
    ("wait=x", None), ("wait=-4", 0.0), ("wait=nan", 0.0), ("waits=4", None),
])  # fmt: skip
def test_prefer_wait(prefer: str, seconds: float | None) -> None:
    assert wait_preference(prefer) == seconds


@given(st.text())
def test_no_header_is_too_strange(header: str) -> None:
    prefers_html(header), accepts(header, "a/b"), entity_tags(header)
    seconds = wait_preference(header)
    assert seconds is None or seconds >= 0


tag = st.from_regex(r"[a-z0-9]{1,8}-[0-9]{1,5}", fullmatch=True)


@given(st.lists(st.tuples(tag, st.sampled_from(['"{}"', 'W/"{}"', '"{}~gzip"', 'W/"{}~br"'])),
                min_size=1, max_size=4), st.sampled_from([",", ", ", " , "]))  # fmt: skip
def test_entity_tags_name_versions(tags: list[tuple[str, str]], comma: str) -> None:
    header = comma.join(form.format(id) for id, form in tags)
    assert entity_tags(header) == tuple(id for id, _ in tags)


def test_any_and_none() -> None:
    assert entity_tags("*") == ("*",)
    assert entity_tags("") == ()


def test_empty_members_of_a_list_are_passed_over() -> None:
    """RFC 9110, 5.6.1.2: a recipient must take a list with empty elements."""
    assert entity_tags(', "a-1",, "b-2",') == ("a-1", "b-2")


@pytest.mark.parametrize(("header", "codings"), [
    ("", "identity"), ("gzip", "gzip identity"), ("GZIP", "gzip identity"),
    ("gzip, deflate, br, zstd", "zstd gzip identity"),
    ("gzip, deflate, br, zstd, dcb, dcz", "dcz zstd gzip identity"),
    ("gzip;q=1.0, zstd;q=0.5", "gzip zstd identity"), ("gzip;q=0", "identity"),
    ("gzip;q=0.5, identity", "identity gzip"), ("gzip;q=0.5, identity;q=0.5", "gzip identity"),
    ("identity;q=0", ""), ("*;q=0", ""), ("gzip, *;q=0", "gzip"), ("gzip, identity;q=0", "gzip"),
    ("*", "gzip identity"), ("*;q=0.5, gzip;q=0", "identity"), ("x-gzip", "gzip identity"),
    ("gzip;q=x", "identity"), ("gzip;q=nan", "identity"), ("br, deflate", "identity"),
    ("gzip;q=0, gzip", "identity"), ("gzip" + " " * 300, "gzip identity"),
])  # fmt: skip
def test_codings_by_weight_then_by_size(header: str, codings: str) -> None:
    assert " ".join(accepted_codings(header)) == codings


@pytest.mark.parametrize(("header", "coding"), [
    ("gzip, deflate, br, zstd", "gzip"), ("zstd, gzip;q=0.9", "zstd"), ("zstd", "zstd"),
    ("br", "identity"), ("gzip;q=0, zstd;q=0.1", "zstd"), ("dcz", "identity"),
])  # fmt: skip
def test_streams_are_rather_in_gzip(header: str, coding: str) -> None:
    assert accepted_codings(header, STREAM_CODINGS)[0] == coding


@given(st.text())
def test_no_header_is_too_odd(header: str) -> None:
    assert set(accepted_codings(header)) <= {"dcz", "zstd", "gzip", "identity"}
    assert len(available_dictionary(header)) in (0, 32)
    assert revalidates(header) in (True, False)


NAME = "pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2fFG4="


@pytest.mark.parametrize(("header", "held"), [
    (f":{NAME}:", True), (f" :{NAME}: ", True), (f":{NAME}:;x=1", True), (NAME, False), ("", False),
    (f":{NAME}", False), (":" + "=" * 44 + ":", False), (f":{NAME[:-2]}==:", False), ("::", False),
])  # fmt: skip
def test_available_dictionaries(header: str, held: bool) -> None:
    assert bool(available_dictionary(header)) is held


@pytest.mark.parametrize(("header", "yes"), [
    ("max-age=0", True), ("no-cache, Max-Age=0", True), ("no-cache", False), ("max-age=00", False),
    ("max-age=1", False), ("", False),
])  # fmt: skip
def test_who_revalidates(header: str, yes: bool) -> None:
    assert revalidates(header) is yes


@pytest.mark.parametrize(("target", "pattern"), [
    (b"/topics/a/b", '"/topics/a/b"'), (b"/topics/a?way=refresh&every=1", None),
    (b"/t/a:b*(c){d}+", r'"/t/a{\\:}b\\*\\(c\\)\\{d\\}\\+"'), (b"/t/%22?x=a?b", r'"/t/%22?x=a\\?b"'),
    (b'/t/a"b', r'"/t/a\"b"'), (b"/t/a#b", '"/t/a"'),
    (b"http://x/y", ""), (b"//x/y", ""), (b"/\xff", ""), (b"/a\x7fb", ""), (b"/" + b"x" * 2000, ""),
])  # fmt: skip
def test_patterns_of_targets(target: bytes, pattern: str | None) -> None:
    assert pattern_of(target) == (f'"{target.decode()}"' if pattern is None else pattern)
