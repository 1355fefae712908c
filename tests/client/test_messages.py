from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.client.errors import ProtocolError
from hexcast.client.messages import (
    Gap,
    Record,
    decode,
    read_batch,
    read_gap,
    read_message,
    read_notice,
)
from hexcast.model.content_type import as_json

WHOLE = {
    "id": "k3f9-1043",
    "topic": "news/today",
    "op": "post",
    "event": "flash",
    "type": "application/json",
    "time": "2026-11-02T10:11:12.345Z",
    "data": {"n": 1},
    "end": True,
    "later": "unknown members are ignored",
}


def message(**members: Any) -> bytes:
    return json.dumps({"id": "k-1", "topic": "t", "op": "post", **members}).encode()


def test_a_whole_record() -> None:
    raw = json.dumps(WHOLE).encode()
    record = read_message(raw)
    assert record == Record(
        "k3f9-1043",
        "news/today",
        "post",
        {"n": 1},
        "flash",
        "application/json",
        "2026-11-02T10:11:12.345Z",
        True,
    )
    assert record.raw == raw


@pytest.mark.parametrize(
    ("members", "data"),
    [
        ({"type": "text/plain; charset=utf-8", "data": "é\n"}, "é\n"),
        ({"type": "text/plain; charset=utf-8"}, ""),
        ({"type": "application/octet-stream"}, b""),
        ({"type": "application/octet-stream", "data": "é"}, "é".encode()),
        ({"type": "image/png", "data": {"base64": "AP8="}}, b"\x00\xff"),
        ({"type": "application/json", "data": {"base64": "AP8="}}, {"base64": "AP8="}),
        ({"type": "application/geo+json; v=1", "data": {"base64": ""}}, {"base64": ""}),
        ({"type": "application/json", "data": None}, None),
        ({"type": "application/json", "data": "text"}, "text"),
        ({"type": "x/y", "data": {"base64": 5}}, {"base64": 5}),
        ({"op": "delete"}, None),
    ],
)
def test_payloads(members: dict[str, Any], data: Any) -> None:
    assert read_message(message(**members)).data == data


@given(data=st.binary(max_size=40), type=st.sampled_from(["text/plain", "image/png"]))
def test_what_the_server_writes_of_any_bytes_is_read_back(data: bytes, type: str) -> None:
    raw = b'{"id":"k-1","topic":"t","op":"put","type":"%s","data":%s}' % (
        type.encode(),
        as_json(data, type),
    )
    read = read_message(raw).data
    assert read.encode() == data if isinstance(read, str) else read == data


def test_numbers_beyond_a_float_do_not_break_a_record() -> None:
    raw = (
        b'{"id":"k-1","topic":"t","op":"post","type":"application/json",'
        b'"data":[1e999,12345678901234567890123]}'
    )
    record = read_message(raw)
    assert record.data == [math.inf, 12345678901234567890123]
    assert b"1e999" in record.raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"id":"k-1"}',
        b'{"id":1,"topic":"t","op":"post"}',
        b'{"id":"k-1","topic":"\xff","op":"post"}',
        b'{"id":"k-1","topic":"t","op":"post","type":"image/png","data":{"base64":"?"}}',
    ],
)
def test_what_is_no_record_is_told_by_a_named_error(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_message(raw)


@given(raw=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_raise_anything_but_a_protocol_error(raw: bytes) -> None:
    for read in (read_message, read_gap, read_batch, read_notice, decode):
        try:
            read(raw)
        except ProtocolError:
            continue


def test_deeply_nested_json_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        decode(b"[" * 100_000 + b"]" * 100_000)


def test_a_batch() -> None:
    batch = read_batch(
        b'{"cursor":"k-9","gap":{"after":"k-1","before":"k-5","topics":["t"]},"records":['
        + message(data="a", type="text/plain")
        + b"],"
        + b'"more":true,"end":true}'
    )
    assert (batch.cursor, batch.more, batch.end) == ("k-9", True, True)
    assert batch.gap == Gap("k-1", "k-5", ("t",))
    assert [record.data for record in batch.records] == ["a"]


@pytest.mark.parametrize("gap", [b"", b'"gap":null,'])
def test_a_batch_of_nothing(gap: bytes) -> None:
    batch = read_batch(b"{" + gap + b'"cursor":"k-9","records":[],"more":false}')
    assert (batch.gap, batch.records, batch.more, batch.end) == (None, (), False, False)


def test_the_messages_of_the_subprotocol() -> None:
    record = read_notice(message(data="a", type="text/plain"))
    assert isinstance(record, Record)
    assert record.raw == message(data="a", type="text/plain")
    gap = read_notice(b'{"gap":{"after":"k-1","before":"k-5","topics":["t"]}}')
    assert gap == Gap("k-1", "k-5", ("t",))
    assert read_notice(b'{"cursor":"k-9"}') == "k-9"
    assert read_notice(b'{"ok":1,"cursor":"k-9"}') == "k-9"
    assert read_notice(b'{"error":{"status":400}}') == {"status": 400}
    assert read_notice(b'{"pong":1}') is None


def test_raw_is_the_json_within_the_batch_to_the_byte() -> None:
    inner = b'{"id":"k-1","topic":"t","op":"post","type":"application/json","data":1.00e0}'
    batch = read_batch(b'{"cursor":"k-1","records":[' + inner + b'],"more":false}')
    assert batch.records[0].raw == inner


def test_octets_come_back() -> None:
    data = bytes(range(256))
    raw = message(type="application/octet-stream", data={"base64": base64.b64encode(data).decode()})
    assert read_message(raw).data == data
