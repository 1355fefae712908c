"""Which attributes a value may set, and to what."""

from __future__ import annotations

import pytest

from hexcast.site.attributes import address_fault, attribute_fault


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("img", "src"), ("a", "href"), ("a", "title"), ("p", "class"), ("p", "hidden"), ("td", "data-change"),
        ("meter", "value"), ("progress", "value"), ("rect", "width"), ("svg", "viewBox"), ("p", "aria-label"),
        ("use", "xlink:href"), ("option", "selected"),
    ],
)  # fmt: skip
def test_what_may_be_set(tag: str, name: str) -> None:
    assert not attribute_fault(tag, name)


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("p", "onclick"), ("p", "OnClick"), ("p", "on"), ("svg", "onbegin"), ("p", "style"), ("iframe", "srcdoc"),
        ("p", "srcdoc"), ("script", "src"), ("iframe", "src"), ("object", "data"), ("embed", "src"), ("base", "href"),
        ("link", "href"), ("meta", "content"), ("set", "to"), ("animate", "values"), ("animateTransform", "by"),
        ("p", "data-topic"), ("p", "data-html"), ("p", "is"), ("p", "nonce"), ("p", "xmlns"), ("p", "xmlns:xlink"),
        ("p", ""), ("p", "a b"), ("p", 'x"'), ("p", "x="), ("p", "x>"), ("p", "x/y"), ("p", "9x"), ("p", "a\n"),
    ],
)  # fmt: skip
def test_what_may_not_be_set(tag: str, name: str) -> None:
    assert attribute_fault(tag, name)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("href", "/x"), ("href", "x?y:z"), ("href", "#x"), ("href", "//example.org/x"), ("href", "https://example.org/"),
        ("href", "HTTP://x"), ("href", "mailto:a@b"), ("href", "tel:1"), ("href", ""), ("src", "data:image/png;base64,AA"),
        ("poster", "data:image/webp,x"), ("title", "javascript:alert(1)"), ("href", "1:2"), ("srcset", "a.png 1x, b.png 2x"),
    ],
)  # fmt: skip
def test_addresses_that_lead_somewhere(name: str, address: str) -> None:
    assert not address_fault(name, address)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("href", "javascript:alert(1)"), ("HREF", " \x01JavaScript:alert(1)"), ("href", "java\tscr\nipt\r:alert(1)"),
        ("href", "\x1f\x00javascript:x"), ("src", "vbscript:x"), ("href", "data:text/html,x"), ("src", "data:text/html,x"),
        ("src", "data:image/svg+xml,<svg>"), ("href", "data:image/png,x"), ("href", "blob:x"), ("href", "file:///x"),
        ("xlink:href", "javascript:x"), ("action", "javascript:x"), ("formaction", "javascript:x"), ("ping", "javascript:x"),
        ("srcset", "a.png 1x, javascript:x 2x"), ("href", "view-source:x"), ("href", "\njavascript\t:x"),
    ],
)  # fmt: skip
def test_addresses_that_do_not(name: str, address: str) -> None:
    assert address_fault(name, address)
