"""No website's script may act here, whatever name it was served under."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.access.origin import Access, host_name, is_loopback
from hexcast.http.request import Request
from hexcast.model.problem import Problem

OURS = Access(frozenset(["live.example"]), frozenset(["https://page.example"]))


def request(version: str = "1.1", **headers: str) -> Request:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST", b"/topics/a", fields.items(), version=version)


@pytest.mark.parametrize("host", ["localhost", "localhost:8066", "127.0.0.1:8066", "[::1]:8066", "[::1]",
                                  "127.8.9.1", "LOCALHOST", "localhost.", "live.example", "live.example:1",
                                  "Live.Example", "localhost:"])  # fmt: skip
def test_names_that_are_ours(host: str) -> None:
    OURS.check_host(request(host=host))


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
                                  "10.0.0.1", "[::2]", "0.0.0.0", "live.example.evil.example",
                                  "xlive.example", "2130706433", "127.1", "[::ffff:10.0.0.1]",
                                  "localhost..evil"])  # fmt: skip
def test_names_that_are_not(host: str) -> None:
    with pytest.raises(Problem) as refusal:
        OURS.check_host(request(host=host))
    assert refusal.value.status == 421


@pytest.mark.parametrize("host", ["", ":80", "a:b", "localhost:80:80", "a/b", "user@localhost", "[::1",
                                  "localhost, evil.example", "localhost evil", "[::1]x80", "[::1]:8x"])  # fmt: skip
def test_hosts_that_are_none(host: str) -> None:
    with pytest.raises(Problem) as refusal:
        OURS.check_host(request(host=host))
    assert refusal.value.status == 400


def test_a_missing_host() -> None:
    OURS.check_host(request("1.0"))
    with pytest.raises(Problem) as refusal:
        OURS.check_host(request("1.1"))
    assert refusal.value.status == 400


def test_a_server_that_is_open_to_others_answers_to_any_name() -> None:
    Access(frozenset(), frozenset(), any_host=True).check_host(request(host="anything.example"))


@given(st.text())
def test_any_host_is_read_or_refused(host: str) -> None:
    try:
        assert host_name(host)
    except Problem as problem:
        assert problem.status == 400


@pytest.mark.parametrize(("headers", "foreign"), [
    ({}, False),
    ({"origin": "http://localhost:8066"}, False),
    ({"origin": "HTTP://LOCALHOST:8066"}, False),
    ({"origin": "https://page.example"}, False),
    ({"origin": "https://page.example", "sec_fetch_site": "cross-site"}, False),
    ({"origin": "https://localhost:8066"}, True),
    ({"origin": "http://localhost"}, True),
    ({"origin": "http://localhost:3000"}, True),
    ({"origin": "http://127.0.0.1:8066"}, True),
    ({"origin": "null"}, True),
    ({"origin": ""}, True),
    ({"origin": "http://page.example"}, True),
    ({"origin": "https://page.example.evil"}, True),
    ({"sec_fetch_site": "cross-site"}, True),
    ({"sec_fetch_site": "Cross-Site"}, True),
    ({"sec_fetch_site": "same-origin"}, False),
    ({"sec_fetch_site": "none"}, False),
])  # fmt: skip
def test_origins(headers: dict[str, str], foreign: bool) -> None:
    asked = request(host="localhost:8066", **headers)
    assert OURS.foreign(asked) is foreign
    if foreign:
        with pytest.raises(Problem) as refusal:
            OURS.check_origin(asked)
        assert refusal.value.status == 403
    else:
        OURS.check_origin(asked)


def test_only_allowed_origins_are_let_read() -> None:
    allowed = request(host="localhost", origin="https://page.example")
    other = request(host="localhost", origin="https://evil.example")
    assert dict(OURS.cors(allowed))["Access-Control-Allow-Origin"] == "https://page.example"
    assert OURS.cors(other) == (("Vary", "Origin"),)
    assert "Access-Control-Allow-Methods" in dict(OURS.preflight(allowed, "GET"))
    assert OURS.preflight(other, "GET") == ()
    nobody = Access(frozenset(), frozenset())
    assert nobody.cors(allowed) == () and nobody.preflight(allowed, "GET") == ()
    assert nobody.preflight(request(host="localhost"), "GET") == ()


@pytest.mark.parametrize(("host", "yes"), [
    ("localhost", True), ("127.0.0.1", True), ("::1", True), ("127.255.0.1", True),
    ("0.0.0.0", False), ("::", False), ("192.168.0.1", False), ("example", False), ("", False),
])  # fmt: skip
def test_what_is_reached_by_this_machine_alone(host: str, yes: bool) -> None:
    assert is_loopback(host) is yes


@pytest.mark.parametrize(
    ("host", "origin", "ours"),
    [
        ("localhost:80", "http://localhost", True),
        ("localhost", "http://localhost:80", True),
        ("localhost.", "http://localhost", True),
        ("localhost:8066", "http://localhost.:8066", True),
        ("[::1]:80", "http://[::1]", True),
        ("LOCALHOST", "HTTP://localhost", True),
        ("localhost:443", "http://localhost", False),
        ("localhost:80", "https://localhost", False),
        ("localhost:8066", "http://localhost", False),
        ("localhost", "null", False),
        ("localhost", "http://localhost.evil", False),
        ("live.example", "https://page.example:443", True),
        ("live.example", "https://page.example.", True),
        ("live.example", "http://page.example", False),
        ("live.example", "https://page.example:8443", False),
    ],
)
def test_origins_are_compared_as_rfc_6454_says(host: str, origin: str, ours: bool) -> None:
    assert OURS.foreign(request(host=host, origin=origin)) is not ours


def test_a_page_behind_a_proxy_that_ends_tls_is_our_own_where_the_browser_says_so() -> None:
    fields = {"host": "live.example", "origin": "https://live.example"}
    assert OURS.foreign(request(**fields))
    assert not OURS.foreign(request(**fields, sec_fetch_site="same-origin"))
    assert OURS.foreign(request(**fields, sec_fetch_site="same-site"))
    assert OURS.foreign(request(host="live.example", sec_fetch_site="cross-site"))
