"""Reading and writing JSON without losing anything, and saying where it is broken."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.value.errors import Malformed, MalformedJson, TooDeep, TooLarge, TooManyMembers
from hexcast.value.json_text import Json, Limits, Number, dump, parse

from .values import numbers, same, untimed, values, write

NUMBERS = [
    *("0", "-0", "1", "1.0", "1e0", "1E0", "1e+0", "1e3", "1000", "-1.50", "0.1"),
    *("12345678901234567890.123", "18446744073709551616", "-9223372036854775809"),
    *("1e-400", "1e999999", "7" * 5000, "1." + "3" * 5000),
]


def compact(value: Json) -> str:
    """The canonical text, by way of the standard library's own rules for strings."""
    if isinstance(value, Number):
        return bytes(value).decode()
    if isinstance(value, dict):
        return "{" + ",".join(f"{compact(k)}:{compact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@untimed
@given(values, st.randoms(use_true_random=False))
def test_a_text_however_written_comes_back_in_canonical_form(value: Json, random: Random) -> None:
    assert dump(parse(write(value, random))).decode() == compact(value)


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_keeps_its_text(text: str) -> None:
    written = f'{{"n":[{text}]}}'.encode()
    assert dump(parse(written)) == written


@untimed
@given(numbers, numbers)
def test_numbers_are_equal_only_by_their_text(one: Number, other: Number) -> None:
    assert (one == other) == (bytes(one) == bytes(other))
    assert one != bytes(one).decode()


@pytest.mark.parametrize("text", [b"true", b"1", b'"1"', b"1.0", b"null", b"0", b"false"])
def test_scalars_of_different_kinds_differ(text: bytes) -> None:
    others = {b"true", b"1", b'"1"', b"1.0", b"null", b"0", b"false"} - {text}
    assert all(parse(text) != parse(other) for other in others)


def test_members_keep_their_order() -> None:
    text = b'{"z":1,"a":{"y":2,"b":3},"10":4,"9":5}'
    assert dump(parse(text)) == text


def test_of_a_key_named_twice_the_last_value_counts_at_the_first_place() -> None:
    assert dump(parse(b'{"a":1,"b":2,"a":3}')) == b'{"a":3,"b":2}'
    assert dump(parse(b'{"a":{"x":1},"\\u0061":{"y":2}}')) == b'{"a":{"y":2}}'


def test_keys_that_mean_something_elsewhere_are_only_data() -> None:
    text = b'{"__proto__":{"polluted":true},"constructor":{"prototype":null},"":0,"__class__":1}'
    assert dump(parse(text)) == text
    assert not hasattr({}, "polluted")


def test_strings_are_escaped_no_more_than_they_must_be() -> None:
    text = '"\\/\b\f\n\r\t\x00\x1f\x7f\u2028é\U0001f600'
    assert dump(text) == '"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\u2028é\U0001f600"'.encode()


@pytest.mark.parametrize(
    ("text", "offset", "line", "column"),
    [
        (b"", 0, 1, 1),
        (b" \n ", 3, 2, 2),
        (b"\xef\xbb\xbf{}", 0, 1, 1),  # a byte order mark
        (b'{"a":1', 6, 1, 7),
        (b'{"a":1}x', 7, 1, 8),
        (b'{"a":1}\x00', 7, 1, 8),
        (b'{\n  "a": 1,\n  "b": tru\n}', 19, 3, 8),
        (b"[01]", 2, 1, 3),
        (b"[+1]", 1, 1, 2),
        (b"[.5]", 1, 1, 2),
        (b"[1.]", 2, 1, 3),
        (b"'a'", 0, 1, 1),
        (b'"\t"', 1, 1, 2),
        (b'"\\x"', 1, 1, 2),
        (b"\x0c1", 0, 1, 1),
        (b'["NaN",\n "-Infinity", {"\\"": NaN}]', 29, 2, 22),
        (b"[-Infinity]", 1, 1, 2),
        ('["é",\n"éé",x]'.encode(), 14, 2, 6),  # bytes and characters counted apart
        (b'["\xc3\xa9\xff"]', 4, 1, 4),
        (b'["\xed\xa0\x80"]', 2, 1, 3),  # half a surrogate pair, as bytes
        (b'["\\ud83d\\ude00\\\\ud800","\\ud83d"]', 24, 1, 25),
        (b'{"\\uDC00":1}', 2, 1, 3),
        (b'"\\ud83d\\u0041"', 1, 1, 2),
    ],
)
def test_a_fault_is_named_with_its_place(text: bytes, offset: int, line: int, column: int) -> None:
    with pytest.raises(MalformedJson) as caught:
        parse(text)
    fault = caught.value
    assert (fault.offset, fault.line, fault.column) == (offset, line, column)
    assert f"line {line}, column {column} (byte {offset})" in str(fault)
    assert isinstance(fault, Malformed)
    assert isinstance(fault, ValueError)


def test_an_escaped_backslash_before_a_u_is_no_surrogate() -> None:
    assert parse(b'"\\\\ud800"') == "\\ud800"


@untimed
@given(st.binary(max_size=40) | st.text('{}[]":,0123456789.eE+-\\u truefalsn', max_size=30))
def test_what_is_read_is_what_the_standard_library_reads(data: bytes | str) -> None:
    text = data.encode() if isinstance(data, str) else data
    try:
        value = parse(text)
    except Malformed:
        with pytest.raises((ValueError, AssertionError)):
            read = json.loads(text.decode())
            json.dumps(read, allow_nan=False, ensure_ascii=False).encode()
        return
    assert json.loads(dump(value)) == json.loads(text.decode())


def test_depth_up_to_the_limit_is_read() -> None:
    limits = Limits(depth=3)
    assert dump(parse(b'[{"a":[]}]', limits)) == b'[{"a":[]}]'
    assert parse(b"1", Limits(depth=0)) == Number("1")


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b'[{"a":[[]]}]', 7),
        (b'[[], {"[[[[[": [ {}] }]', 17),
        ('["é\\"[",[[[1]]]]'.encode(), 11),
        (b"[" * 100_000, 3),
        (b'{"a":' * 100_000, 15),
        (b"[" * 500 + b"]" * 500, 3),
    ],
)
def test_depth_beyond_the_limit_is_refused_with_its_place(text: bytes, offset: int) -> None:
    with pytest.raises(TooDeep) as caught:
        parse(text, Limits(depth=3))
    assert (caught.value.limit, caught.value.offset) == (3, offset)
    assert f"byte {offset}" in str(caught.value)


def test_members_are_counted_over_the_whole_value() -> None:
    text = b'{"a":[1,2,{"b":null}],"c":{}}'  # 2 + 3 + 1
    assert same(parse(text, Limits(members=6)), parse(text))
    with pytest.raises(TooManyMembers) as caught:
        parse(text, Limits(members=5))
    assert caught.value.limit == 5


def test_size_is_counted_in_bytes_both_ways() -> None:
    text = '"éé"'.encode()
    assert parse(text, Limits(bytes=6)) == "éé"
    with pytest.raises(TooLarge):
        parse(text, Limits(bytes=5))
    assert dump("éé", Limits(bytes=6)) == text
    with pytest.raises(TooLarge):
        dump("éé", Limits(bytes=5))


@pytest.mark.parametrize("depth", [-1, 257])
def test_a_depth_the_stack_cannot_hold_is_no_limit(depth: int) -> None:
    with pytest.raises(ValueError, match="depth"):
        Limits(depth=depth)


def test_the_deepest_limit_can_be_read_and_written() -> None:
    text = b"[" * 256 + b"]" * 256
    assert dump(parse(text, Limits(depth=256))) == text


def test_an_unfinished_string_full_of_quotes_is_scanned_once() -> None:
    """A scan that began anew at each quote would take hours over this."""
    with pytest.raises(MalformedJson):
        parse(b'[-Infinity,"' + b'\\"' * 400_000)
    with pytest.raises(TooDeep):
        parse(b"[" * 2_000 + b'"' + b'\\"' * 400_000)
