"""The difference between a value and the next: what it says, when it gives up, what it refuses."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hexcast.value.delta import Document
from hexcast.value.errors import (
    LimitExceeded,
    Malformed,
    MalformedJson,
    TooDeep,
    TooLarge,
    TooManyMembers,
)
from hexcast.value.json_text import Json, Limits, Number, dump, parse
from hexcast.value.merge_patch import apply_merge_patch

from .values import pairs, same, untimed, values, write

randoms = st.randoms(use_true_random=False)


def delta(old: bytes, new: bytes) -> bytes | None:
    return Document(old).followed_by(new)[1]


@untimed
@given(pairs(), randoms)
def test_applying_the_delta_to_one_value_gives_the_other(
    pair: tuple[Json, Json], random: Random
) -> None:
    old, new = write(pair[0], random), write(pair[1], random)
    patch = delta(old, new)
    if patch is not None:
        assert same(apply_merge_patch(parse(old), parse(patch)), pair[1])
        assert len(patch) < len(new)
        assert dump(parse(patch)) == patch


def plain_diff(old: Json, new: Json) -> Json:
    """The one candidate for a merge patch, whether or not it does what it should."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    changed = {
        key: plain_diff(old.get(key), member)
        for key, member in new.items()
        if key not in old or not same(old[key], member)
    }
    return changed | dict.fromkeys(old.keys() - new.keys())


@untimed
@given(pairs(), randoms)
def test_a_delta_is_given_up_only_where_no_smaller_merge_patch_gives_the_value(
    pair: tuple[Json, Json], random: Random
) -> None:
    old, new = pair
    text = write(new, random)
    patch, candidate = delta(write(old, random), text), plain_diff(old, new)
    if not isinstance(old, dict) or not isinstance(new, dict):
        assert patch is None
    elif patch is None:
        smaller = len(dump(candidate)) < len(text)
        assert not smaller or not same(apply_merge_patch(old, candidate), new)
    else:
        assert len(patch) == len(dump(candidate))  # nothing in it that need not be


@untimed
@given(values, st.lists(pairs(), max_size=6), randoms)
def test_a_client_that_applies_each_change_holds_what_the_server_holds(
    first: Json, more: list[tuple[Json, Json]], random: Random
) -> None:
    document = Document(write(first, random))
    held = parse(document.text)
    for value in [value for pair in more for value in pair]:
        text = write(value, random)
        document, patch = document.followed_by(text)
        held = parse(text) if patch is None else apply_merge_patch(held, parse(patch))
        assert document.text == text
        assert same(held, document.value())
        assert same(held, value)


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ('{"a":1,"b":[1,2,3]}', '{"a":2,"b":[1,2,3]}', '{"a":2}'),
        ('{"a":1}', '{"a":1,"b":2}', '{"b":2}'),
        ('{"a":1,"b":2,"c":3}', '{"a":1,"c":3}', '{"b":null}'),
        ('{"a":1,"b":2}', '{ "b":2 , "c":3 }', '{"c":3,"a":null}'),
        ('{"a":{"x":1,"y":[0]},"b":1}', '{"a":{"x":2,"y":[0]},"b":1}', '{"a":{"x":2}}'),
        ('{"a":{"x":1},"b":true}', '{"a":{},"b":true}', '{"a":{"x":null}}'),
        ('{"a":1,"b":true}', '{"a":{},"b":true}', '{"a":{}}'),
        ('{"a":{},"b":true}', '{"a":[],"b":true}', '{"a":[]}'),
        # a number is its text
        ('{"a":1.0,"b":true}', '{"a":1,"b":true}', '{"a":1}'),
        ('{"a":[1e3],"b":true}', '{"a":[1E3],"b":true}', '{"a":[1E3]}'),
        ('{"a":1,"b":true}', '{"a":true,"b":true}', '{"a":true}'),
        ('{"a":1,"b":true}', '{"a":"1","b":true}', '{"a":"1"}'),
        # the same, written otherwise
        ('{"a":[1, 2]}', '{ "a": [1,2] }', "{}"),
        ('{"a":"\\u0041", "b":{"x":0}}', '{"\\u0061":"A","b":{ "x":0}}', "{}"),
        ('{"a":1,"b":2}', '{"a":1,"b":3,"b":2}', "{}"),
        # a changed array is replaced whole, nulls inside it and all
        (
            '{"a":[1,2],"b":"unchanged"}',
            '{"a":[1,null,{"c":null}],"b":"unchanged"}',
            '{"a":[1,null,{"c":null}]}',
        ),
        # a null that was there and stays is no change
        ('{"a":null,"b":1}', '{"a":null,"b":2}', '{"b":2}'),
        # a null that a merge patch would take for a deletion
        ('{"a":1,"b":2}', '{"a":null,"b":2}', None),
        ('{"b":2}', '{"b":2,"a":null}', None),
        ('{"a":{"b":1},"c":[1,2,3]}', '{"a":{"b":null},"c":[1,2,3]}', None),
        ('{"a":1,"c":[1,2,3]}', '{"a":{"b":{"d":null}},"c":[1,2,3]}', None),
        # members left in another order
        ('{"a":1,"b":2}', '{"b":2,"a":1}', None),
        ('{"a":1,"c":"long enough"}', '{"a":1,"b":2,"c":"long enough"}', None),
        ('{"a":{"x":1,"y":2},"c":0}', '{"a":{"y":2,"x":1},"c":0}', None),
        ('{"a":[{"x":1,"y":2}],"c":0}', '{"a":[{"y":2,"x":1}],"c":0}', '{"a":[{"y":2,"x":1}]}'),
        # no smaller than the whole
        ('{"a":1}', '{"a":2}', None),
        ('{"a":[1,2,3]}', '{"a":[1,2,3,4]}', None),
        ("{}", "{}", None),
        # not two objects
        ("[1,2,3]", "[1,2,4]", None),
        ("5", "5", None),
        ('{"a":1}', "[]", None),
        ("[]", '{"a":1}', None),
        ("null", "{}", None),
    ],
)
def test_deltas(old: str, new: str, patch: str | None) -> None:
    answer = delta(old.encode(), new.encode())
    assert (answer and answer.decode()) == patch


def test_a_proto_member_changes_like_any_other() -> None:
    old, new = b'{"__proto__":{"x":1,"y":2}}', b'{"__proto__":{"x":1,"y":3}}'
    assert delta(old, new) == b'{"__proto__":{"y":3}}'


def test_one_member_of_many_costs_a_few_bytes() -> None:
    row = {"bid": 100.25, "ask": 101.5, "volume": 1_000_000}
    board = {f"SYM{number:03d}": dict(row) for number in range(200)}
    old = json.dumps(board).encode()
    board["SYM123"]["bid"] = 100.75
    new = json.dumps(board).encode()
    assert len(new) == 12_000
    assert delta(old, new) == b'{"SYM123":{"bid":100.75}}'


SMALL = Limits(bytes=64, depth=3, members=8)
rough = st.one_of(
    pairs().flatmap(lambda pair: randoms.map(lambda random: write(pair[1], random))),
    st.text('{}[]":,01.e-\\ud8 nulltrue', max_size=30).map(str.encode),
    st.binary(max_size=12),
)


def damaged(text: bytes, random: Random) -> bytes:
    """The same text with a piece cut out or something foreign put in."""
    start = random.randrange(len(text) + 1)
    end = min(len(text), start + random.randrange(4))
    pieces = b'{ } [ ] , : " \\ 0 1 . e nan NaN \xff \xc3\xa9 \\ud800 \\udc00 [[[ {"a":['.split()
    return text[:start] + random.choice([b"", *pieces]) + text[end:]


@untimed
@given(values, rough, randoms, st.sampled_from((SMALL, Limits())))
@example({"a": True}, b'{"a":[[[]]]}', Random(0), SMALL)
@example({"a": True}, b'{"a":null,"b":[[[]]]}', Random(0), SMALL)
@example({"a": {"b": {}}}, b'{"a":{"b":{"c":[]}}}', Random(0), SMALL)
@example({"a": [True]}, b'{"a":"\xff"}', Random(0), SMALL)
@example({"a": [True]}, b'{"a":{"\xed\xa0\x80":0}}', Random(0), SMALL)
@example({"a": {"b": True}}, b'{"a":{"b":"\\ud800"}}', Random(0), SMALL)
@example({}, b'{"a":[1,2,3,4,5,6,7,8]}', Random(0), SMALL)
@example({}, b'{"a":NaN}', Random(0), SMALL)
@example({"a": True}, b'{"a":"\xff","a":true}', Random(0), SMALL)
@example({"a": True}, b'{"a":"' + b"x" * 40 + b'","b":"' + b"y" * 40 + b'"}', Random(0), SMALL)
def test_the_short_way_refuses_exactly_what_reading_the_whole_refuses(
    old: Json, new: bytes, random: Random, limits: Limits
) -> None:
    try:
        document = Document(dump(old), limits)
    except LimitExceeded:
        document = Document(b'{"a":{"b":{"c":1}}}', limits)
    for text in (new, damaged(new, random), damaged(document.text, random)):
        try:
            parse(text, limits)
        except (Malformed, LimitExceeded) as error:
            with pytest.raises(type(error)) as caught:
                document.followed_by(text)
            assert str(caught.value) == str(error)
        else:
            document.followed_by(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b'{"a":{"b":[1]},"c":"\xff"}', MalformedJson),
        (b'{"a":{"b":[1]},"c":tru}', MalformedJson),
        (b'{"a":{"b":[[1]]},"c":0}', TooDeep),
        (b'{"a":{"b":' + b"[" * 100_000, TooLarge),
        (b'{"a":{"b":[1]},"c":[1,2,3,4,5,6]}', TooManyMembers),
    ],
)
def test_a_refused_text_leaves_the_document_as_it_was(text: bytes, error: type[ValueError]) -> None:
    document = Document(b'{"a":{"b":[1]},"c":0}', SMALL)
    with pytest.raises(error):
        document.followed_by(text)
    assert document.followed_by(b'{"a":{"b":[1]},"c":1}')[1] == b'{"c":1}'


def test_the_place_of_a_fault_is_that_in_the_whole_text() -> None:
    document = Document(b'{"a":1,\n"b":{"c":2}}', Limits(depth=3))
    with pytest.raises(TooDeep) as deep:
        document.followed_by(b'{"a":1,\n"b":{"c":[[]]}}')
    assert deep.value.offset == 18
    with pytest.raises(MalformedJson) as malformed:
        document.followed_by(b'{"a":1,\n"b":{"c":"\\udead"}}')
    assert (malformed.value.line, malformed.value.column) == (2, 11)


def test_nesting_far_beyond_the_stack_is_refused() -> None:
    document = Document(b'{"a":1}')
    with pytest.raises(TooDeep) as caught:
        document.followed_by(b'{"a":' * 100_000)
    assert caught.value.offset == 5 * 64


def test_members_are_counted_in_a_text_long_enough_to_hold_too_many() -> None:
    document = Document(b'{"a":0}', Limits(members=10))
    text = b'{"a":"' + b"," * 100 + b'"}'  # commas, but hardly a member
    assert document.followed_by(text)[0].text == text
    with pytest.raises(TooManyMembers):
        document.followed_by(dump({"a": [Number("1")] * 10}))


def test_a_document_is_checked_when_it_is_made() -> None:
    with pytest.raises(MalformedJson):
        Document(b'{"a":"\xff"}')
    with pytest.raises(TooDeep):
        Document(b"[[]]", Limits(depth=1))
    with pytest.raises(MalformedJson):
        delta(b"{", b"{}")
