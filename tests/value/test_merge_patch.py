"""Merge patches: applying one as RFC 7396 defines it."""

from __future__ import annotations

import pytest
from hypothesis import given

from hexcast.value.errors import TooManyMembers
from hexcast.value.json_text import Json, Limits, dump, parse
from hexcast.value.merge_patch import apply_merge_patch

from .values import untimed, values

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
