"""What hypothesis draws from in these tests: values, ways to write them, and pairs to compare."""

from __future__ import annotations

import json
from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from hexcast.value.json_text import Json, Number, dump
from hexcast.value.merge_patch import apply_merge_patch

# A busy machine must not fail a test: nothing here is about time.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Few keys, so that two values drawn apart still have members in common; each of them awkward.
KEYS = ("a", "b", "c", "", "__proto__", "constructor", "a/b", "m~n", "0", "-", "é", "\U0001f600\n")

keys = st.sampled_from(KEYS)
whole_numbers = st.integers(-12, 12).map(lambda number: Number(str(number)))
numbers = st.one_of(
    whole_numbers,
    st.from_regex(
        r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
    ).map(Number),
)
texts = st.one_of(keys, st.text(st.characters(exclude_categories=("Cs",)), max_size=8))
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)


def _containers(children: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.one_of(st.dictionaries(keys, children, max_size=5), st.lists(children, max_size=4))


values: st.SearchStrategy[Json] = st.recursive(scalars, _containers, max_leaves=20)
objects = st.dictionaries(keys, values, max_size=6)
patches = st.dictionaries(
    keys,
    st.recursive(scalars, lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=8),
    max_size=4,
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Json, Json]:
    """A value and another: unrelated, or the first one patched, edited or in another order."""
    kind = draw(st.sampled_from(("apart", "patched", "edited", "shuffled")))
    if kind == "apart":
        return draw(values), draw(values)
    old = draw(objects)
    if kind == "patched":
        return old, apply_merge_patch(old, draw(patches))
    if kind == "shuffled":
        return old, dict(draw(st.permutations(list(old.items()))))
    new = dict(old)
    for key in draw(st.lists(keys, max_size=3)):
        new[key] = draw(values)
    return old, new


def write(value: Json, random: Random) -> bytes:
    """One of the many texts of a value: spaces anywhere, strings escaped more than they must be."""

    def space() -> str:
        return random.choice(("", "", "", " ", "\n", "\t\r\n "))

    def string(text: str) -> str:
        return json.dumps(text, ensure_ascii=random.random() < 0.3)

    def node(value: Json) -> str:
        if isinstance(value, Number):
            return bytes(value).decode()
        if isinstance(value, str):
            return string(value)
        if isinstance(value, dict):
            members = (
                f"{space()}{string(key)}{space()}:{space()}{node(member)}{space()}"
                for key, member in value.items()
            )
            return f"{{{','.join(members) or space()}}}"
        if isinstance(value, list):
            elements = (f"{space()}{node(element)}{space()}" for element in value)
            return f"[{','.join(elements) or space()}]"
        return {None: "null", True: "true", False: "false"}[value]

    return f"{space()}{node(value)}{space()}".encode()


def same(one: Json, other: Json) -> bool:
    """Whether two values are the same: members' order and numbers' digits included."""
    return dump(one) == dump(other)
