from __future__ import annotations

import pytest

from hexcast.client.errors import ProtocolError, Refused, retry_after_seconds


def test_problem_details_make_one_clear_line() -> None:
    headers = {"content-type": "application/problem+json", "retry-after": "7"}
    body = b'{"status": 409, "title": "Conflict", "detail": "this topic is a\\nstate"}'
    refused = Refused.from_response(409, headers, body)
    assert str(refused) == "Conflict: this topic is a state"
    assert (refused.status, refused.retry_after, refused.transient) == (409, 7.0, False)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"title": 5}', b"\xff"])
def test_without_problem_details_the_status_must_do(body: bytes) -> None:
    for kind in ("text/html", "application/problem+json"):
        refused = Refused.from_response(502, {"content-type": kind}, body)
        assert str(refused) == "status 502"
        assert refused.transient


def test_a_412_tells_where_the_topic_is() -> None:
    for etag in ('"k-7"', 'W/"k-7"'):
        assert Refused.from_response(412, {"etag": etag}, b"").current == "k-7"
    assert Refused.from_response(412, {}, b"").current is None
    assert Refused.from_response(404, {"etag": '"k-7"'}, b"").current is None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_faults(status: int) -> None:
    assert Refused(status).transient


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 412, 413, 415, 422, 426, 501])
def test_faults_that_stay(status: int) -> None:
    assert not Refused(status).transient


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("0", 0),
        ("12", 12),
        (" 12 ", 12),
        ("999999999999", 600),
        ("-5", 0),
        ("1.5", 0),
        ("٣", 0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0),
    ],
)
def test_retry_after(value: str | None, seconds: float) -> None:
    assert retry_after_seconds(value) == seconds


@pytest.mark.parametrize("value", [None, [], "no", {}, {"status": "400"}])
def test_an_error_object_needs_a_status(value: object) -> None:
    with pytest.raises(ProtocolError):
        Refused.from_object(value)
