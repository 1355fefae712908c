"""Topic names and patterns against naive oracles; the index against looking at everything."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hexcast.model.patterns import (
    MAX_SELECTED,
    PatternIndex,
    Selector,
    check_pattern,
    check_topic,
    is_pattern,
    matches,
)

segments = st.sampled_from(["a", "b", "cc", "$s", "ä"])
topics = st.lists(segments, min_size=1, max_size=4).map("/".join)
patterns = st.builds(
    lambda parts, rest: "/".join([*parts, *rest]),
    st.lists(segments | st.just("*"), max_size=3),
    st.sampled_from([["**"], ["*"], ["a"], ["b"]]),
)


def oracle(pattern: str, topic: str) -> bool:
    """Matching by a regular expression, segment by segment."""
    if "*" not in pattern:
        return pattern == topic
    if topic.startswith("$"):
        return False
    *path, last = pattern.split("/")
    parts = [r"[^/]+" if p == "*" else re.escape(p) for p in path]
    parts.append(
        r"[^/]+(?:/[^/]+)*" if last == "**" else r"[^/]+" if last == "*" else re.escape(last)
    )
    return re.fullmatch("/".join(parts), topic) is not None


@given(patterns | topics, topics)
@example("**", "a")
@example("a/**", "a")
@example("*/**", "a")
@example("**", "$s/a")
@example("$s/*", "$s/a")
def test_matching_is_what_the_expression_says(pattern: str, topic: str) -> None:
    assert matches(pattern, topic) == oracle(pattern, topic)


@given(st.lists(patterns | topics, min_size=0, max_size=5), topics)
def test_a_selector_matches_what_any_of_its_names_does(names: list[str], topic: str) -> None:
    selector = Selector(names)
    assert selector.matches(topic) == any(oracle(n, topic) for n in names)
    assert selector == Selector(reversed(names)) and hash(selector) == hash(Selector(names * 2))
    assert selector.union(Selector([topic])).matches(topic) != topic.startswith("\0")


def test_a_selector_that_names_one_topic() -> None:
    assert Selector(["a/b"]).single == "a/b"
    assert Selector(["a/*"]).single == ""
    assert Selector(["a", "b"]).single == "" and Selector(["a", "*"]).single == ""
    assert Selector([]).text == ()


def test_a_selector_is_bounded() -> None:
    names = [f"t{n}" for n in range(MAX_SELECTED)]
    assert len(Selector(names).names) == MAX_SELECTED
    with pytest.raises(ValueError, match="at most"):
        Selector([*names, "one-more"])


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 30), patterns | topics, st.integers(0, 3)),
        max_size=40,
    ),
    st.lists(topics, min_size=1, max_size=6),
)
def test_the_index_finds_what_scanning_finds(
    steps: list[tuple[bool, int, str, int]], asked: list[str]
) -> None:
    index: PatternIndex[int] = PatternIndex()
    filed: list[tuple[str, int]] = []
    for takes_out, which, name, thing in steps:
        if takes_out and filed:
            gone = filed.pop(which % len(filed))
            index.remove(*gone)
        else:
            index.add(name, thing)
            filed.append((name, thing))
        for topic in asked:
            found = index.find(topic)
            assert len(found) == len(set(found))
            assert set(found) == {t for n, t in filed if matches(n, topic)}
    for name, thing in filed:
        index.remove(name, thing)
    for topic in asked:
        assert index.find(topic) == []
    # Nothing is kept of what was taken out: a million short subscriptions leave nothing behind.
    assert not index._root.children and not index._exact


def test_taking_out_what_is_not_there() -> None:
    index: PatternIndex[int] = PatternIndex()
    for name in ("a", "a/*", "**"):
        with pytest.raises((KeyError, ValueError)):
            index.remove(name, 1)


@pytest.mark.parametrize("name", ["a", "a/b/c", "ä" * 127, "a" * 255, "$sys/x", "...", "a..b", ". .",
                                  "a b", "\U0001f600", "~!@#%&()"])  # fmt: skip
def test_topics(name: str) -> None:
    assert check_topic(name) == name
    assert check_pattern(name) == name


BAD = ["", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/.", "a\n", "a\0", "\x7f", "a\x85", "ä" * 128,
       "a" * 256, "\ud800"]  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_topic_is_no_pattern_either(name: str) -> None:
    for check in (check_topic, check_pattern):
        with pytest.raises(ValueError, match="topic"):
            check(name)


@pytest.mark.parametrize("name", ["*", "**", "a/*", "*/a", "*/*", "a/*/b/**", "*/**"])
def test_patterns(name: str) -> None:
    assert check_pattern(name) == name and is_pattern(name)
    with pytest.raises(ValueError, match="pattern"):
        check_topic(name)


@pytest.mark.parametrize("name", ["a*", "**/a", "***", "a/**/b", "*a/b", "a/b*", "*.*"])
def test_other_uses_of_the_star(name: str) -> None:
    with pytest.raises(ValueError, match="stands for"):
        check_pattern(name)


@given(st.text(max_size=300))
def test_any_text_is_judged_by_the_words_of_the_contract(name: str) -> None:
    good = (
        0 < len(name.encode("utf-8", "surrogatepass")) <= 255
        and all(s not in ("", ".", "..") for s in name.split("/"))
        and not any(ord(c) < 32 or 127 <= ord(c) <= 159 or 0xD800 <= ord(c) < 0xE000 for c in name)
        and "*" not in name
    )
    try:
        check_topic(name)
    except ValueError:
        assert not good
    else:
        assert good
