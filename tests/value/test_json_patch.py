"""JSON patches: all operations, wholly or not at all, with each failure's place."""

from __future__ import annotations

import json
import sys
from types import FrameType
from typing import Any

import jsonpatch
import jsonpointer
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hexcast.value.errors import (
    FailedTest,
    LimitExceeded,
    MalformedJson,
    MalformedPatch,
    MissingPath,
    PatchConflict,
    TooDeep,
    TooLarge,
    TooManyMembers,
    TooManyOperations,
)
from hexcast.value.json_patch import apply_json_patch, parse_json_patch
from hexcast.value.json_text import Json, Limits, dump, parse

from .values import keys, untimed, whole_numbers


def patched(value: str, patch: str, limits: Limits | None = None) -> str:
    limits = limits or Limits()
    before = parse(value.encode())
    try:
        after = apply_json_patch(before, parse_json_patch(patch.encode(), limits), limits)
    finally:
        assert before == parse(value.encode()), "the value itself is left as it was"
    return dump(after).decode()


# RFC 6902, appendix A: the value, the patch, the result.
RFC_RESULTS = {
    "A.1": (
        '{"foo":"bar"}',
        '[{"op":"add","path":"/baz","value":"qux"}]',
        '{"foo":"bar","baz":"qux"}',
    ),
    "A.2": (
        '{"foo":["bar","baz"]}',
        '[{"op":"add","path":"/foo/1","value":"qux"}]',
        '{"foo":["bar","qux","baz"]}',
    ),
    "A.3": ('{"baz":"qux","foo":"bar"}', '[{"op":"remove","path":"/baz"}]', '{"foo":"bar"}'),
    "A.4": (
        '{"foo":["bar","qux","baz"]}',
        '[{"op":"remove","path":"/foo/1"}]',
        '{"foo":["bar","baz"]}',
    ),
    "A.5": (
        '{"baz":"qux","foo":"bar"}',
        '[{"op":"replace","path":"/baz","value":"boo"}]',
        '{"baz":"boo","foo":"bar"}',
    ),
    "A.6": (
        '{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}',
        '[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]',
        '{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}',
    ),
    "A.7": (
        '{"foo":["all","grass","cows","eat"]}',
        '[{"op":"move","from":"/foo/1","path":"/foo/3"}]',
        '{"foo":["all","cows","eat","grass"]}',
    ),
    "A.8": (
        '{"baz":"qux","foo":["a",2,"c"]}',
        '[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]',
        '{"baz":"qux","foo":["a",2,"c"]}',
    ),
    "A.10": (
        '{"foo":"bar"}',
        '[{"op":"add","path":"/child","value":{"grandchild":{}}}]',
        '{"foo":"bar","child":{"grandchild":{}}}',
    ),
    "A.11": (
        '{"foo":"bar"}',
        '[{"op":"add","path":"/baz","value":"qux","xyz":123}]',
        '{"foo":"bar","baz":"qux"}',
    ),
    "A.14": (
        '{"/":9,"~1":10}',
        '[{"op":"test","path":"/~01","value":10}]',
        '{"/":9,"~1":10}',
    ),
    "A.16": (
        '{"foo":["bar"]}',
        '[{"op":"add","path":"/foo/-","value":["abc","def"]}]',
        '{"foo":["bar",["abc","def"]]}',
    ),
}
RFC_FAILURES = {
    "A.9": ('{"baz":"qux"}', '[{"op":"test","path":"/baz","value":"bar"}]', FailedTest),
    "A.12": ('{"foo":"bar"}', '[{"op":"add","path":"/baz/bat","value":"qux"}]', MissingPath),
    # Of a key named twice the last value counts, so this removes what is not there.
    "A.13": (
        '{"foo":"bar"}',
        '[{"op":"add","path":"/baz","value":"qux","op":"remove"}]',
        MissingPath,
    ),
    "A.15": ('{"/":9,"~1":10}', '[{"op":"test","path":"/~01","value":"10"}]', FailedTest),
}


@pytest.mark.parametrize("name", RFC_RESULTS)
def test_the_rfcs_own_examples(name: str) -> None:
    value, patch, result = RFC_RESULTS[name]
    assert patched(value, patch) == result


@pytest.mark.parametrize("name", RFC_FAILURES)
def test_the_rfcs_own_failures(name: str) -> None:
    value, patch, error = RFC_FAILURES[name]
    with pytest.raises(error):
        patched(value, patch)


# What jsonpatch can be asked about: whole numbers only, since it has no other exact ones.
plain = st.recursive(
    st.one_of(st.none(), st.booleans(), whole_numbers, keys),
    lambda inner: st.one_of(st.dictionaries(keys, inner, max_size=4), st.lists(inner, max_size=4)),
    max_leaves=10,
)


@st.composite
def pointers(draw: st.DrawFn, value: Json) -> str:
    """A pointer that mostly leads to something in the value, or to its edge, or beside it."""
    text = ""
    for _ in range(draw(st.integers(0, 3))):
        token = draw(keys)
        if isinstance(value, dict) and value and draw(st.integers(0, 3)):
            token = draw(st.sampled_from(list(value)))
            value = value[token]
        elif isinstance(value, list):
            index = draw(st.integers(0, len(value) + 1))
            token = draw(st.sampled_from((str(index), str(index), "-", f"0{index}", "x")))
            value = value[index] if index < len(value) else None
        text += "/" + token.replace("~", "~0").replace("/", "~1")
    return text


@st.composite
def patchings(draw: st.DrawFn) -> tuple[Json, list[dict[str, Json]]]:
    """A value and operations on it, drawn against what it has become by then."""
    value = current = draw(plain)
    operations: list[dict[str, Json]] = []
    for _ in range(draw(st.integers(1, 6))):
        op = draw(st.sampled_from(("add", "add", "remove", "replace", "move", "copy", "test")))
        operation: dict[str, Json] = {"op": op, "path": draw(pointers(current))}
        if op in ("move", "copy"):
            operation["from"] = draw(pointers(current))
        else:
            operation["value"] = draw(plain)
        operations.append(operation)
        try:
            current = apply_json_patch(current, parse_json_patch(dump([operation])))
        except (PatchConflict, MalformedPatch):
            if draw(st.booleans()):
                operations.pop()  # else the whole patch ends here
    return value, operations


SHARED = [
    {"op": "copy", "from": "/a", "path": "/b"},
    {"op": "add", "path": "/b/0/x", "value": True},
    {"op": "add", "path": "/a/-", "value": None},
    {"op": "copy", "from": "/b/0", "path": "/a/0"},
    {"op": "remove", "path": "/b/0/x"},
]


@untimed
@given(patchings())
@example(({"a": [{"y": {}}]}, SHARED))
@example(({"a": [{}]}, [{"op": "add", "path": "/a/0/z", "value": True}, *SHARED]))
def test_a_patch_does_what_the_jsonpatch_library_does(
    patching: tuple[Json, list[dict[str, Json]]],
) -> None:
    value, operations = patching
    before = dump(value)
    text = dump(list(operations))
    ours: bytes | type[Exception]
    theirs: Any
    try:
        ours = dump(apply_json_patch(value, parse_json_patch(text)))
    except (PatchConflict, MalformedPatch) as error:
        ours = type(error)
    assert dump(value) == before
    try:
        result = jsonpatch.apply_patch(json.loads(before), json.loads(text))
        theirs = json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode()
    except jsonpatch.JsonPatchTestFailed:
        # It makes no difference between the two, and finds a malformed operation only later.
        theirs = (FailedTest, MissingPath, MalformedPatch)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        theirs = (MissingPath, MalformedPatch)
    if isinstance(theirs, tuple):
        assert ours in theirs
    else:
        assert ours == theirs


@untimed
@given(patchings())
def test_operations_one_by_one_do_what_they_do_in_one_patch(
    patching: tuple[Json, list[dict[str, Json]]],
) -> None:
    value, operations = patching
    try:
        together = apply_json_patch(value, parse_json_patch(dump(list(operations))))
    except (PatchConflict, MalformedPatch):
        return
    for operation in operations:
        value = apply_json_patch(value, parse_json_patch(dump([operation])))
    assert dump(value) == dump(together)


@pytest.mark.parametrize(
    ("value", "patch", "result"),
    [
        # numbers keep their text, members their places
        (
            '{"b":1.0,"a":1e3}',
            '[{"op":"replace","path":"/b","value":2.50},{"op":"add","path":"/c","value":-0}]',
            '{"b":2.50,"a":1e3,"c":-0}',
        ),
        ('{"b":1,"a":2}', '[{"op":"add","path":"/b","value":3}]', '{"b":3,"a":2}'),
        ('{"b":1,"a":2}', '[{"op":"move","from":"/b","path":"/c"}]', '{"a":2,"c":1}'),
        ('{"b":1,"a":2}', '[{"op":"move","from":"/b","path":"/b"}]', '{"b":1,"a":2}'),
        # the whole value
        ("5", '[{"op":"add","path":"","value":{"a":1}}]', '{"a":1}'),
        ('{"a":1}', '[{"op":"replace","path":"","value":[]}]', "[]"),
        ('{"a":{"b":1}}', '[{"op":"move","from":"/a","path":""}]', '{"b":1}'),
        ('{"a":1}', '[{"op":"copy","from":"","path":"/b"}]', '{"a":1,"b":{"a":1}}'),
        ("null", '[{"op":"test","path":"","value":null}]', "null"),
        ("5", "[]", "5"),
        # keys are data
        (
            "{}",
            '[{"op":"add","path":"/__proto__","value":{}},'
            '{"op":"add","path":"/__proto__/x","value":1},{"op":"add","path":"/","value":0}]',
            '{"__proto__":{"x":1},"":0}',
        ),
        ('{"0":1,"-":2}', '[{"op":"remove","path":"/0"},{"op":"remove","path":"/-"}]', "{}"),
    ],
)
def test_results(value: str, patch: str, result: str) -> None:
    assert patched(value, patch) == result


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("1", "1.0"),
        ("1", "1e0"),
        ("1000", "1e3"),
        ("1000", "0.1E+4"),
        ("-0", "0"),
        ("0.0", "0e999999"),
        ("-1.50", "-15e-1"),
        ("100", "1e2"),
        ("12345678901234567890.123", "12345678901234567890.1230"),
        ("1e999999", "10e999998"),
        ("1e0000001", "10"),
        ("1e" + "9" * 5000, "1e" + "9" * 5000),
        ('{"a":1,"b":[1.0,null]}', '{"b":[1,null],"a":1.00}'),
        ('"\\u0041"', '"A"'),
        ("true", "true"),
    ],
)
def test_a_test_compares_by_worth(found: str, wanted: str) -> None:
    patch = f'[{{"op":"test","path":"/v","value":{wanted}}}]'
    assert patched(f'{{"v":{found}}}', patch) == f'{{"v":{found}}}'.replace("\\u0041", "A")


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("1", "-1"),
        ("1", "10"),
        ("12345678901234567890.123", "12345678901234567890.124"),
        ("9007199254740993", "9007199254740992"),
        ("1e999999", "1e999998"),
        ("1e400", "1e-400"),
        ("1e" + "9" * 5000, "1e" + "8" * 5000),
        ("0.1", "0.01"),
        ("1", "true"),
        ("0", "false"),
        ("1", '"1"'),
        ("null", "false"),
        ("[]", "{}"),
        ("[1,2]", "[2,1]"),
        ("[1]", "[1,1]"),
        ("[1,1]", "[1]"),
        ('{"a":1}', '{"a":1,"b":1}'),
        ('{"a":1,"b":1}', '{"a":1}'),
        ('{"a":null}', '{"b":null}'),
        ('"A"', '"a"'),
    ],
)
def test_a_test_fails_for_any_other_value(found: str, wanted: str) -> None:
    with pytest.raises(FailedTest) as caught:
        patched(
            f'{{"v":{found}}}',
            f'[{{"op":"test","path":"","value":{{"v":{found}}}}},'
            f'{{"op":"test","path":"/v","value":{wanted}}}]',
        )
    assert (caught.value.operation, caught.value.path) == (1, "/v")
    assert 'operation 1 (test "/v")' in str(caught.value)
    assert isinstance(caught.value, PatchConflict)


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ('"remove","path":"/x"', "/x"),
        ('"remove","path":"/list/3"', "/list/3"),
        ('"remove","path":"/list/-"', "/list/-"),
        ('"remove","path":"/list/01"', "/list/01"),
        ('"remove","path":"/list/１"', "/list/１"),
        (f'"remove","path":"/list/{"1" * 5000}"', "/list/" + "1" * 5000),
        ('"replace","path":"/x","value":0', "/x"),
        ('"replace","path":"/list/-","value":0', "/list/-"),
        ('"replace","path":"/text/x","value":0', "/text/x"),
        ('"replace","path":"/text/x/y","value":0', "/text/x/y"),
        ('"add","path":"/x/y","value":0', "/x/y"),
        ('"add","path":"/text/0","value":0', "/text/0"),
        ('"add","path":"/list/4","value":0', "/list/4"),
        ('"add","path":"/list/x","value":0', "/list/x"),
        ('"add","path":"/list/-1","value":0', "/list/-1"),
        ('"add","path":"/null/x","value":0', "/null/x"),
        ('"test","path":"/x","value":null', "/x"),
        ('"copy","from":"/x","path":"/y"', "/x"),
        ('"copy","from":"/text","path":"/x/y"', "/x/y"),
        ('"move","from":"/x","path":"/x"', "/x"),
        ('"move","from":"/list/0","path":"/list/3"', "/list/3"),  # two are left by then
    ],
)
def test_a_path_that_leads_nowhere_is_named(operation: str, path: str) -> None:
    value = '{"list":[1,2,3],"text":"abc","null":null}'
    there_and_back = '{"op":"add","path":"/list/0","value":0},{"op":"remove","path":"/list/0"}'
    patch = f'[{there_and_back},{{"op":{operation}}}]'
    with pytest.raises(MissingPath) as caught:
        patched(value, patch)
    assert (caught.value.operation, caught.value.path) == (2, path)
    assert isinstance(caught.value, PatchConflict)


@pytest.mark.parametrize(
    ("patch", "operation"),
    [
        ('{"op":"remove","path":"/a"}', None),
        ("null", None),
        ("[5]", 0),
        ('[{"op":"test","path":"/a","value":1},{"path":"/a"}]', 1),
        ('[{"op":"spin","path":"/a"}]', 0),
        ('[{"op":["add"],"path":"/a","value":1}]', 0),
        ('[{"op":1,"path":"/a","value":1}]', 0),
        ('[{"op":"remove"}]', 0),
        ('[{"op":"remove","path":1}]', 0),
        ('[{"op":"remove","path":"a"}]', 0),
        ('[{"op":"remove","path":"/a~"}]', 0),
        ('[{"op":"remove","path":"/a~2"}]', 0),
        ('[{"op":"remove","path":""}]', 0),
        ('[{"op":"add","path":"/b"}]', 0),
        ('[{"op":"replace","path":"/a"}]', 0),
        ('[{"op":"test","path":"/a"}]', 0),
        ('[{"op":"move","path":"/b"}]', 0),
        ('[{"op":"copy","path":"/b","from":null}]', 0),
        ('[{"op":"move","from":"/a","path":"/a/b"}]', 0),
        ('[{"op":"move","from":"","path":"/a"}]', 0),
    ],
)
def test_a_malformed_patch_is_refused_before_any_of_it_is_applied(
    patch: str, operation: int | None
) -> None:
    with pytest.raises(MalformedPatch) as caught:
        parse_json_patch(patch.encode())
    assert caught.value.operation == operation
    if operation is not None:
        assert f"operation {operation}" in str(caught.value)


def test_a_move_beside_itself_is_not_a_move_into_itself() -> None:
    assert patched('{"a":1}', '[{"op":"move","from":"/a","path":"/ab"}]') == '{"ab":1}'


def test_a_patch_that_is_no_json_is_refused_with_its_place() -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_json_patch(b'[{"op":}]')
    assert caught.value.offset == 7


def test_operations_are_bounded() -> None:
    patch = b"[" + b",".join([b'{"op":"test","path":"","value":1}'] * 4) + b"]"
    assert len(parse_json_patch(patch, Limits(operations=4))) == 4
    with pytest.raises(TooManyOperations) as caught:
        parse_json_patch(patch, Limits(operations=3))
    assert caught.value.limit == 3


def test_copies_of_copies_end_before_the_memory_does() -> None:
    doubling = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 60
    with pytest.raises(TooLarge):
        patched('{"a":["0123456789"]}', json.dumps(doubling))
    with pytest.raises(TooLarge):
        patched('{"a":[]}', json.dumps(doubling))
    big = json.dumps({"a": "x" * 1000, "b": []})
    with pytest.raises(TooLarge):
        patched(
            big,
            json.dumps([{"op": "copy", "from": "/a", "path": "/b/-"}] * 11),
            Limits(bytes=10_000),
        )
    keyed = json.dumps({"a": {"k" * 1000: None}, "b": []})
    with pytest.raises(TooLarge):
        patched(
            keyed,
            json.dumps([{"op": "copy", "from": "/a", "path": "/b/-"}] * 11),
            Limits(bytes=10_000),
        )
    numbered = json.dumps({"a": 10**1000, "b": []})
    with pytest.raises(TooLarge):
        patched(
            numbered,
            json.dumps([{"op": "copy", "from": "/a", "path": "/b/-"}] * 11),
            Limits(bytes=10_000),
        )


def test_a_result_beyond_the_limits_is_refused_however_it_came_about() -> None:
    nest = json.dumps([{"op": "add", "path": "/a" * 3, "value": {"b": {}}}])
    assert patched('{"a":{"a":{}}}', nest, Limits(depth=5)) == '{"a":{"a":{"a":{"b":{}}}}}'
    with pytest.raises(TooDeep) as caught:
        patched('{"a":{"a":{}}}', nest, Limits(depth=4))
    assert caught.value.offset is None
    with pytest.raises(TooManyMembers):
        patched("[1,2]", '[{"op":"add","path":"/-","value":3}]', Limits(members=3))
    # Each copy puts the whole inside itself, sixty deep: deeper in the end than Python's stack.
    down = "".join(f"/{n}" for n in range(60))
    value: dict[str, Any] = {}
    for n in reversed(range(59)):
        value = {str(n): value}
    with pytest.raises(LimitExceeded):
        patched(json.dumps(value), json.dumps([{"op": "copy", "from": "", "path": down}] * 900))


def test_moves_may_nest_deeper_than_the_stack_and_are_refused() -> None:
    count, depth = 40, 50
    down = "/d" * depth
    chain: dict[str, Any] = {}
    for _ in range(depth - 1):
        chain = {"d": chain}
    value = {str(n): chain for n in range(count)}
    moves = [{"op": "move", "from": f"/{n}", "path": f"/{n + 1}{down}"} for n in range(count - 1)]
    with pytest.raises(TooDeep):
        patched(json.dumps(value), json.dumps(moves))


def test_a_parsed_patch_may_be_applied_again_and_again() -> None:
    operations = parse_json_patch(
        b'[{"op":"add","path":"/a","value":{"n":[]}},{"op":"add","path":"/a/n/-","value":1}]'
    )
    for _ in range(2):
        assert dump(apply_json_patch({}, operations)) == b'{"a":{"n":[1]}}'


def test_a_large_value_that_is_copied_often_is_weighed_once() -> None:
    value = parse(b'{"a":[' + b",".join([b"1"] * 20_000) + b"]}")
    patch = [{"op": "copy", "from": "/a", "path": "/b"}] * 20
    operations = parse_json_patch(json.dumps(patch).encode())
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        apply_json_patch(value, operations)
    finally:
        sys.setprofile(None)
    assert 20_000 < calls < 100_000


def test_what_is_deep_is_not_copied() -> None:
    deep = [{"op": "add", "path": "/b" * n, "value": {}} for n in range(1, 900)]
    patch = [*deep, {"op": "copy", "from": "/b", "path": "/c"}]
    with pytest.raises(TooDeep):
        apply_json_patch({}, parse_json_patch(json.dumps(patch).encode()))
