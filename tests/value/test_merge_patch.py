"""Merge patches: applying one as RFC 7396 says, and folding several into one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hexcast.value.errors import MalformedJson, TooManyMembers
from hexcast.value.json_text import Json, Limits, Number, dump, parse
from hexcast.value.merge_patch import apply_merge_patch, fold

from .values import objects, patches, untimed, values

# RFC 7396, appendix A: the value, the patch, the result.
RFC_TABLE = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('["a","b"]', '["c","d"]', '["c","d"]'),
    ('{"a":"b"}', '["c"]', '["c"]'),
    ('{"a":"foo"}', "null", "null"),
    ('{"a":"foo"}', '"bar"', '"bar"'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
]


def applied(value: Json, *texts: bytes) -> bytes:
    for text in texts:
        value = apply_merge_patch(value, parse(text))
    return dump(value)


@pytest.mark.parametrize(("value", "patch", "result"), RFC_TABLE)
def test_the_rfcs_own_table(value: str, patch: str, result: str) -> None:
    assert applied(parse(value.encode()), patch.encode()).decode() == result


@untimed
@given(values, values)
def test_the_value_and_the_patch_are_left_as_they_were(value: Json, patch: Json) -> None:
    before = dump(value), dump(patch)
    apply_merge_patch(value, patch)
    assert (dump(value), dump(patch)) == before


def test_members_keep_their_places_and_numbers_their_text() -> None:
    value = parse(b'{"b":1.0,"c":{"y":1e3,"x":2},"a":3}')
    patch = b'{"new":1.50,"c":{"z":-0,"y":1E3},"b":1}'
    assert applied(value, patch) == b'{"b":1,"c":{"y":1E3,"x":2,"z":-0},"a":3,"new":1.50}'


def test_a_proto_member_is_only_data() -> None:
    patch = b'{"__proto__":{"admin":true},"constructor":{"prototype":{"x":1}}}'
    assert applied({}, patch) == patch
    assert applied({}, patch, b'{"__proto__":null}') == b'{"constructor":{"prototype":{"x":1}}}'


def test_a_value_may_not_grow_beyond_its_limits_patch_by_patch() -> None:
    limits = Limits(members=3)
    value = apply_merge_patch(parse(b'{"a":1,"b":2}'), parse(b'{"c":3}'), limits)
    with pytest.raises(TooManyMembers):
        apply_merge_patch(value, parse(b'{"d":4}'), limits)


@untimed
@given(objects, st.lists(st.one_of(patches, patches, values).map(dump), min_size=1, max_size=4))
@example({"k": {"x": True}}, [b'{"k":{"x":null}}', b'{"k":{"y":1}}'])
@example({"k": {"x": True}, "l": False}, [b'{"k":null}', b'{"k":{"y":1}}'])
@example({"k": True, "l": False}, [b'{"k":null}', b'{"k":1}'])
def test_folding_then_applying_equals_applying_one_by_one(value: Json, texts: list[bytes]) -> None:
    folded = fold(*texts)
    if folded is not None:
        assert applied(value, folded) == applied(value, *texts)


@untimed
@given(st.lists(patches.map(dump), min_size=2, max_size=4))
def test_folding_all_at_once_equals_folding_in_steps(texts: list[bytes]) -> None:
    stepwise: bytes | None = texts[0]
    for text in texts[1:]:
        stepwise = None if stepwise is None else fold(stepwise, text)
    assert fold(*texts) == stepwise


def overlaid(earlier: Json, later: Json) -> Json:
    """The one candidate for a fold: each member by the patch that spoke of it last."""
    if not isinstance(earlier, dict) or not isinstance(later, dict):
        return later
    return earlier | {
        key: overlaid(earlier[key], change) if key in earlier else change
        for key, change in later.items()
    }


def witnesses(earlier: Json, later: Json) -> Iterator[dict[str, Json]]:
    """Values with something at every place both patches speak of, and something after it."""
    if not isinstance(earlier, dict) or not isinstance(later, dict):
        yield {"held": True}
        return
    for key in earlier.keys() & later.keys():
        inside: list[Json] = [True, {"held": True}, *witnesses(earlier[key], later[key])]
        yield from ({key: member, "after": True} for member in inside)


@untimed
@given(patches, patches)
def test_a_fold_is_given_up_only_where_there_is_none(earlier: Json, later: Json) -> None:
    texts = dump(earlier), dump(later)
    if fold(*texts) is None:
        candidate = dump(overlaid(earlier, later))
        assert any(
            applied(value, candidate) != applied(value, *texts)
            for value in witnesses(earlier, later)
        )


@pytest.mark.parametrize(
    ("first", "second", "folded"),
    [
        ('{"a":1}', '{"b":2}', '{"a":1,"b":2}'),
        ('{"a":1,"b":2}', '{"a":3}', '{"a":3,"b":2}'),
        ('{"a":null}', '{"b":2}', '{"a":null,"b":2}'),  # the deletion is kept
        ('{"a":1}', '{"a":null}', '{"a":null}'),
        ('{"a":null}', '{"a":null}', '{"a":null}'),
        ('{"a":{"x":null}}', '{"a":{"x":null}}', '{"a":{"x":null}}'),
        ('{"a":{"x":1}}', '{"a":{"x":null}}', '{"a":{"x":null}}'),
        ('{"a":{"x":null}}', '{"a":{"y":{"z":null}}}', '{"a":{"x":null,"y":{"z":null}}}'),
        ('{"a":{"x":1}}', '{"a":[null]}', '{"a":[null]}'),
        ('{"a":{"x":1}}', '{"a":null}', '{"a":null}'),
        ('{"a":1}', "null", "null"),
        ("[1]", "5", "5"),
        ('{"a":1.0}', '{"a":1.00}', '{"a":1.00}'),
        ('{"a":null}', '{"a":{"x":1}}', None),
        ('{"a":1}', '{"a":{"x":1}}', None),
        ('{"a":[1]}', '{"a":{}}', None),
        ('{"a":{"b":null}}', '{"a":{"b":{"c":null}}}', None),
        ('{"a":null}', '{"a":1}', None),
        ("5", "{}", None),
    ],
)
def test_folds(first: str, second: str, folded: str | None) -> None:
    answer = fold(first.encode(), second.encode())
    assert (answer and answer.decode()) == folded


def test_a_single_patch_folds_to_its_canonical_text() -> None:
    assert fold(b' {"a" : 1.0} ') == b'{"a":1.0}'


def test_a_fold_beyond_the_limits_is_no_fold() -> None:
    texts = [dump({f"key{number}": Number("1")}) for number in range(4)]
    assert fold(*texts, limits=Limits(members=4)) is not None
    assert fold(*texts, limits=Limits(members=3)) is None
    assert fold(*texts, limits=Limits(bytes=20)) is None


def test_a_malformed_patch_is_refused_with_its_place() -> None:
    with pytest.raises(MalformedJson) as caught:
        fold(b"{}", b'{"a":}')
    assert caught.value.offset == 5
