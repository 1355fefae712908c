"""Topic names, patterns, and which subscriptions a topic belongs to.

A topic is 1 to 255 bytes of UTF-8 in segments between `/`. A pattern is a topic in which a segment
`*` stands for any one segment, and a last segment `**` for one or more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Generic, TypeVar

__all__ = ["PatternIndex", "Selector", "check_pattern", "check_topic", "is_pattern", "matches"]

MAX_BYTES = 255
MAX_SELECTED = 256
"""Topics and patterns that one subscription may name."""

T = TypeVar("T")


def is_pattern(name: str) -> bool:
    """Whether `name` can only be a pattern."""
    return "*" in name


def _check_name(name: str) -> None:
    if not name:
        raise ValueError("a topic has at least one byte")
    if len(name) > MAX_BYTES or len(name.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ValueError("a topic has at most 255 bytes")
    for segment in name.split("/"):
        if segment in ("", ".", ".."):
            raise ValueError("no segment of a topic is empty, '.' or '..'")
    if any(c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in name):
        raise ValueError("a topic has no control characters")


@lru_cache(maxsize=65536)
def check_topic(name: str) -> str:
    """Return `name` if it is a topic. Raises ValueError that says what is wrong."""
    _check_name(name)
    if "*" in name:
        raise ValueError("a topic has no '*': that is a pattern")
    return name


@lru_cache(maxsize=4096)
def check_pattern(name: str) -> str:
    """Return `name` if it is a topic or a pattern. Raises ValueError that says what is wrong."""
    _check_name(name)
    segments = name.split("/")
    for place, segment in enumerate(segments):
        if "*" not in segment or segment == "*":
            continue
        if segment == "**" and place == len(segments) - 1:
            continue
        raise ValueError("'*' stands for a whole segment, '**' for the last ones")
    return name


def matches(pattern: str, topic: str) -> bool:
    """Whether `topic` is one that `pattern` stands for."""
    if "*" not in pattern:
        return pattern == topic
    if topic.startswith("$"):
        return False
    wanted, given = pattern.split("/"), topic.split("/")
    if wanted[-1] == "**":
        wanted.pop()
        if len(given) <= len(wanted):
            return False
    elif len(wanted) != len(given):
        return False
    return all(w in ("*", g) for w, g in zip(wanted, given, strict=False))


class Selector:
    """The topics that one subscription names: exact ones and patterns, without order or repeats.

    Two selectors of the same names are equal, so that they share one feed.
    """

    __slots__ = ("_hash", "names", "patterns", "single", "text")

    def __init__(self, names: Iterable[str]) -> None:
        """Raises ValueError where a name is no topic or pattern, or there are too many."""
        distinct = frozenset(map(check_pattern, names))
        if len(distinct) > MAX_SELECTED:
            raise ValueError(f"a subscription names at most {MAX_SELECTED} topics and patterns")
        self.text: tuple[str, ...] = tuple(sorted(distinct))
        self.names: frozenset[str] = frozenset(n for n in distinct if not is_pattern(n))
        self.patterns: tuple[str, ...] = tuple(n for n in self.text if is_pattern(n))
        # The one topic of a selector that names nothing else, or empty.
        self.single: str = self.text[0] if len(self.text) == 1 and not self.patterns else ""
        self._hash = hash(self.text)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and self.text == other.text

    def __repr__(self) -> str:
        return f"Selector({', '.join(self.text)})"

    def matches(self, topic: str) -> bool:
        """Whether the subscription includes `topic`."""
        return topic in self.names or any(matches(p, topic) for p in self.patterns)

    def union(self, other: Selector) -> Selector:
        return Selector(self.text + other.text)


class _Node(Generic[T]):
    __slots__ = ("children", "here", "rest")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.here: list[T] = []  # what ends at this segment
        self.rest: list[T] = []  # what ends here with `**`


class PatternIndex(Generic[T]):
    """Things filed under topics and patterns, found by topic: a trie of segments."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._exact: dict[str, list[T]] = {}

    def add(self, name: str, thing: T) -> None:
        """File `thing` under a topic or pattern."""
        if not is_pattern(name):
            self._exact.setdefault(name, []).append(thing)
            return
        node = self._root
        *path, last = name.split("/")
        for segment in path if last == "**" else [*path, last]:
            node = node.children.setdefault(segment, _Node())
        (node.rest if last == "**" else node.here).append(thing)

    def remove(self, name: str, thing: T) -> None:
        """Take `thing` out again. Raises KeyError or ValueError where it was not filed so."""
        if not is_pattern(name):
            filed = self._exact[name]
            filed.remove(thing)
            if not filed:
                del self._exact[name]
            return
        *path, last = name.split("/")
        trail = [self._root]
        segments = path if last == "**" else [*path, last]
        for segment in segments:
            trail.append(trail[-1].children[segment])
        (trail[-1].rest if last == "**" else trail[-1].here).remove(thing)
        for parent, segment in zip(reversed(trail[:-1]), reversed(segments), strict=True):
            child = parent.children[segment]
            if child.children or child.here or child.rest:
                break
            del parent.children[segment]

    def find(self, topic: str) -> list[T]:
        """Everything filed under `topic` or a pattern that stands for it, each thing once."""
        found = dict.fromkeys(self._exact.get(topic, ()))
        if (self._root.children or self._root.rest) and not topic.startswith("$"):
            found.update(dict.fromkeys(self._walk(self._root, topic.split("/"), 0)))
        return list(found)

    def _walk(self, node: _Node[T], segments: list[str], depth: int) -> Iterator[T]:
        if depth == len(segments):
            yield from node.here
            return
        yield from node.rest
        for segment in dict.fromkeys((segments[depth], "*")):
            child = node.children.get(segment)
            if child is not None:
                yield from self._walk(child, segments, depth + 1)
