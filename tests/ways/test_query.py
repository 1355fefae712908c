"""Which way a request chooses, and what else it asks for (protocol 3)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.http.request import Request
from hexcast.model.patterns import Selector
from hexcast.model.problem import Problem
from hexcast.model.ways import WAYS
from hexcast.ways.query import ReceiveQuery, read_query

CODINGS = "Accept-Encoding, Available-Dictionary"


def ask(query: str = "", version: str = "1.1", *, one: bool = True, **headers: str) -> ReceiveQuery:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request("GET", b"/topics/a?" + query.encode(), fields.items(), version=version)
    return read_query(request, Selector(["a"]), one=one)


# The rules in their order: each is (query, headers, the way that it chooses).
RULES = [
    ("way=poll", {}, "poll"),
    ("", {"upgrade": "WebSocket"}, "websocket"),
    ("", {"accept": "text/html, text/event-stream;q=0.5"}, "sse"),
    ("", {"prefer": "wait=5"}, "long-poll"),
    ("wait=5", {}, "long-poll"),
    ("since=k-1", {}, "poll"),
    ("", {"accept": "text/html, */*;q=0.8"}, "refresh"),
]


@pytest.mark.parametrize(
    ("first", "second"), list(itertools.combinations_with_replacement(RULES, 2))
)
def test_the_first_rule_that_matches_chooses(
    first: tuple[str, dict[str, str], str], second: tuple[str, dict[str, str], str]
) -> None:
    query = "&".join(filter(None, {first[0]: 0, second[0]: 0}))
    assert ask(query, **{**second[1], **first[1]}).way == first[2]


def test_without_any_rule_it_is_a_poll() -> None:
    assert ask().way == "poll" and ask(accept="application/json").way == "poll"
    assert ask(accept="*/*").way == "poll"


@pytest.mark.parametrize("way", WAYS)
def test_a_way_that_is_named_is_taken_whatever_the_headers_say(way: str) -> None:
    got = ask(f"way={way}", accept="text/event-stream", upgrade="websocket", prefer="wait=1")
    assert (got.way, got.fallback) == (way, "")
    assert got.chosen
    varies = {"websocket": "", "refresh": CODINGS, "poll": CODINGS}
    assert got.vary == varies.get(way, "Accept-Encoding")


@pytest.mark.parametrize("query", ["way=", "way=carrier-pigeon", "way=SSE", "format=xml"])
def test_what_is_not_offered(query: str) -> None:
    with pytest.raises(Problem) as refusal:
        ask(query)
    assert refusal.value.status == 400


def test_what_was_negotiated_on_is_named() -> None:
    assert {v.strip() for v in ask().vary.split(",")} >= {"Accept", "Prefer"}


def test_an_upgrade_in_an_old_version_is_ignored() -> None:
    assert ask(version="1.0", upgrade="websocket").way == "poll"


def test_formats() -> None:
    assert ask().format == "raw" and ask(one=False).format == "json"
    assert ask("format=json").format == "json" and ask("format=raw", one=False).format == "raw"


number = st.sampled_from(["", "0", "-5", "3", "1e9", "nan", "inf", "-inf", "x", "2.9", "1" * 400])


@given(number, number, number, number)
def test_numbers_are_clamped_and_never_refused(
    last: str, limit: str, wait: str, every: str
) -> None:
    got = ask(f"last={last}&limit={limit}&wait={wait}&every={every}")
    assert 0 <= got.last <= 1_000_000 and 1 <= got.limit <= 1000
    assert 0 <= got.wait <= 90 and got.every >= 1


def test_defaults() -> None:
    got = ask()
    assert (got.last, got.limit, got.wait, got.every) == (0, 100, 25.0, 5)
    assert ask(prefer="wait=7").wait == 7 and ask("wait=3", prefer="wait=7").wait == 3
    assert ask(prefer="wait=700").wait == 90


def test_the_cursor() -> None:
    assert not ask().cursor_given
    assert ask("since=k-1").cursor_given and ask(last_event_id="k-1").cursor_given
    assert ask("since=").since == "" and not ask("since=").cursor_given


@pytest.mark.parametrize("name", ["lastEventId", "last-event-id", "Last-Event-ID"])
def test_the_last_event_id_of_a_polyfill_stands_for_the_header(name: str) -> None:
    assert ask(f"way=sse&{name}=k-1").header == "k-1"
    assert ask(f"way=sse&{name}=k-1", last_event_id="k-7").header == "k-7", "the header comes first"
    assert ask(f"way=sse&{name}=k-1", last_event_id="").header == "k-1", "empty: as not given"


def test_of_several_fields_the_first_in_order_counts() -> None:
    assert ask("Last-Event-ID=k-3&last-event-id=k-2&lastEventId=k-1").header == "k-1"
