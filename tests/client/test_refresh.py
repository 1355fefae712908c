from __future__ import annotations

import json

import pytest

from hexcast.client.errors import ProtocolError
from hexcast.client.html_page import Shown
from hexcast.client.ways.base import Position
from hexcast.client.ways.refresh import news, refresh_seconds


def position(cursor: str | None = None, **seen: str) -> Position:
    return Position(("a", "b"), cursor, None, 5.0, dict(seen))


def test_everything_is_news_at_first_in_the_order_of_the_log() -> None:
    records = news([Shown("k-10", "b", "2"), Shown("k-9", "a", "1")], position())
    assert [(record.topic, record.id, record.data) for record in records] == [
        ("a", "k-9", "1"),
        ("b", "k-10", "2"),
    ]
    assert json.loads(records[0].raw) == {"id": "k-9", "topic": "a", "data": "1"}


def test_what_was_seen_or_lies_before_the_cursor_is_no_news() -> None:
    shown = [Shown("k-10", "b", "2"), Shown("k-9", "a", "1")]
    assert [record.topic for record in news(shown, position("k-9"))] == ["b"]
    assert [record.topic for record in news(shown, position(b="k-10"))] == ["a"]
    assert [record.topic for record in news(shown, position(b="k-8"))] == ["a", "b"]
    assert news(shown, position("k-10")) == []


@pytest.mark.parametrize("cursor", ["z-99", "earliest", "now", "?"])
def test_a_cursor_that_cannot_be_compared_holds_nothing_back(cursor: str) -> None:
    assert len(news([Shown("k-9", "a", "1")], position(cursor))) == 1


def test_a_page_of_one_topic_need_not_name_it() -> None:
    assert [record.topic for record in news([Shown("k-9", None, "1")], position())] == ["a"]


def test_an_id_that_is_none() -> None:
    with pytest.raises(ProtocolError):
        news([Shown("nine", "a", "1")], position())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5),
        (" 7 ; url=http://x/", 7),
        ("3.9", 3),
        ("2,x", 2),
        ("0", 1),
        (None, 12),
        ("", 12),
        ("soon", 12),
        ("-3", 12),
    ],
)
def test_refresh_seconds(value: str | None, seconds: float) -> None:
    assert refresh_seconds(value, 12) == seconds
