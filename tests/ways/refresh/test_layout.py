"""The pages: whatever is published, it is text on them and nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from hypothesis import example, given
from hypothesis import strategies as st

from hexcast.model.record import Record
from hexcast.ways.refresh.layout import LIVE_POLICY, PLAIN_POLICY, Live, topics_page
from hexcast.ways.refresh.topic_page import Shown, topic_page
from hexcast.ways.refresh.topic_script import TOPIC_SCRIPT_PATH


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text in each `pre`."""

    def __init__(self, data: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.inside: list[str] = []
        self.content: dict[str, str] = {}
        self.feed(data.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)
        if tag == "pre":
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "pre" in self.inside:
            self.texts[-1] += data
        elif self.inside:
            self.content[self.inside[-1]] = self.content.get(self.inside[-1], "") + data

    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def record(data: bytes, topic: str = "t", seq: int = 3) -> Record:
    return Record("e1", seq, topic, "put", "", "text/html", data, 0, False)


# (What HTML itself makes of NUL and FF is not ours to escape.)
text = st.text(st.characters(codec="utf-8", exclude_characters="\0\x0c"))
topics = text.filter(lambda t: bool(t) and "*" not in t)
PLAIN_TAGS = Page(topic_page(["t"], [record(b"")], Shown("e1-3", False, 5))).tags()


@given(topics, text)
@example("</title><script>x", "<script>alert(1)</script>")
@example('"onload="x', "\n\n<pre>&amp;&lt;</pre>\n")
def test_a_value_is_shown_as_it_is_and_does_nothing(topic: str, value: str) -> None:
    page = Page(topic_page([topic], [record(value.encode(), topic)], Shown("e1-3", False, 5)))
    assert page.tags() == PLAIN_TAGS
    (pre,) = page.all("pre")
    assert pre["data-topic"] == topic and pre["data-id"] == "e1-3"
    # The first line end behind <pre> is mark-up (HTML, 13.1.2.5).
    assert page.texts == ["\n" + value if value.startswith("\n") else value]
    assert page.content["title"] == topic and page.content["h1"] == topic


def test_octets_are_told_by_their_size() -> None:
    page = Page(topic_page(["t"], [record(b"\xff" * 7)], Shown("e1-3", False, 5)))
    assert page.texts == ["7 bytes"]


def test_only_a_live_page_has_a_script_and_it_refreshes_without() -> None:
    plain = topic_page(["t"], [], Shown("e1-3", False, 5))
    live = topic_page(["t"], [], Shown("e1-3", True, 9))
    assert "script" not in Page(plain).tags() and b"http-equiv" not in plain
    assert Page(live).tags().count("script") == 1
    assert b'<noscript><meta http-equiv="refresh" content="9"></noscript>' in live
    assert Page(live).all("main")[0]["data-cursor"] == "e1-3"


def test_the_policies_allow_just_what_is_on_the_page() -> None:
    live = topic_page(["t"], [], Shown("e1-3", True, 9)).decode()
    found = re.search("<style>(.*?)</style>", live, re.S)
    assert found
    digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
    for policy in (LIVE_POLICY, PLAIN_POLICY):
        assert f"style-src 'sha256-{digest}'" in policy
    assert Page(live.encode()).all("script") == [{"type": "module", "src": TOPIC_SCRIPT_PATH}]
    assert "script-src 'self'" in LIVE_POLICY
    assert "script-src" not in PLAIN_POLICY and "unsafe" not in LIVE_POLICY


@given(st.lists(st.tuples(topics, text), max_size=4, unique_by=lambda t: t[0]))
def test_a_page_of_several_topics(values: list[tuple[str, str]]) -> None:
    records = [record(v.encode(), t, n) for n, (t, v) in enumerate(values, 1)]
    page = Page(topic_page(["a/*", "b"], records, Shown("e1-9", True, 5)))
    assert [p["data-topic"] for p in page.all("pre")] == sorted(t for t, _ in values)


@given(st.lists(topics, max_size=4, unique=True))
def test_the_list_of_topics_links_to_each(names: list[str]) -> None:
    page = Page(
        topics_page([Live(n, "state", "e-1", 1.0, {"sse": 2}) for n in names], {}, "/base", "")
    )
    links = [a["href"] or "" for a in page.all("a")]
    assert len(links) == len(names)
    assert all(re.fullmatch(r"/base/topics/[A-Za-z0-9_.~/%-]+", link) for link in links)
    if not names:
        assert b"Nothing is published yet" in topics_page([], {}, "", "")


def test_a_bare_cr_is_written_as_a_reference() -> None:
    """HTML reads a CR as LF (13.2.3.5): the value on the page would not be the value published."""
    shown = Shown("e1-3", False, 5, history=[record(b"a\rb")])
    page = topic_page(["t"], [record(b"a\r\nb\rc")], shown)
    assert b"a&#13;\nb&#13;c" in page and b"a&#13;b" in page and b"\r" not in page
