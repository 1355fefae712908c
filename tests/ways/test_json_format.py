"""The json format of the contract, read back by the standard library."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from hexcast.model.content_type import BINARY, JSON, TEXT
from hexcast.model.record import Gap, Record
from hexcast.ways.json_format import batch_json, gap_json, record_json, rfc3339

text = st.text(st.characters(codec="utf-8"), max_size=30)
payloads = st.one_of(
    st.tuples(st.just(TEXT), text.map(str.encode)),
    st.tuples(st.just(BINARY), st.binary(max_size=30)),
    st.tuples(st.just("application/x+json"),
              st.dictionaries(text, text | st.integers() | st.none(), max_size=3)
              .map(lambda v: json.dumps(v, indent=1).encode())),
)  # fmt: skip
records = st.builds(
    lambda seq, topic, op, event, payload, time, end: Record(
        "e1", seq, topic, op, event, *(("", b"") if op == "delete" else payload), time, end
    ),
    st.integers(1, 10**18 - 1), text, st.sampled_from(["post", "put", "delete"]), text, payloads,
    st.integers(0, 4_000_000_000_000), st.booleans(),
)  # fmt: skip


@given(records)
def test_a_record_comes_back(record: Record) -> None:
    line = record_json(record)
    assert b"\n" not in line and b"\r" not in line
    said = json.loads(line)
    assert (said.pop("id"), said.pop("topic"), said.pop("op")) == (
        record.id, record.topic, record.op)  # fmt: skip
    time = datetime.fromisoformat(said.pop("time"))
    assert round(time.timestamp() * 1000) == record.time
    assert said.pop("event", "") == record.event
    assert said.pop("type", "") == record.type
    assert said.pop("end", False) is record.end
    if record.op == "delete":
        assert said == {}
        return
    data = said.pop("data")
    assert said == {}, "empty members are left out, and there are no others"
    if record.type == "application/x+json":
        assert data == json.loads(record.data)
    elif isinstance(data, str):
        assert data.encode() == record.data
    else:
        assert base64.b64decode(data["base64"]) == record.data and len(data) == 1


def test_empty_members_are_left_out_and_the_order_is_the_contracts() -> None:
    whole = Record("e", 1, "t", "put", "n", JSON, b"1", 0, True)
    assert list(json.loads(record_json(whole))) == [
        "id", "topic", "op", "event", "type", "time", "data", "end"]  # fmt: skip
    bare = Record("e", 1, "t", "delete", "", "", b"", 0, False)
    assert list(json.loads(record_json(bare))) == ["id", "topic", "op", "time"]


@given(st.integers(0, 4_000_000_000_000))
def test_times(ms: int) -> None:
    written = rfc3339(ms)
    assert written.endswith("Z") and len(written) == len("2026-01-01T00:00:00.000Z")
    read = datetime.fromisoformat(written)
    assert read.tzinfo == UTC and round(read.timestamp() * 1000) == ms


@given(st.lists(text, max_size=4))
def test_a_gap_comes_back(topics: list[str]) -> None:
    assert json.loads(gap_json(Gap("a-1", "e-9", tuple(topics)))) == {
        "after": "a-1", "before": "e-9", "topics": topics}  # fmt: skip


@given(st.lists(records, max_size=3), st.booleans(), st.booleans(), st.booleans())
def test_a_batch_comes_back(batch: list[Record], gap: bool, more: bool, end: bool) -> None:
    lost = Gap("e-0", "e-3", ("t",)) if gap else None
    line = batch_json(batch, "e1-7", lost, more=more, end=end)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    said = json.loads(line)
    assert said["cursor"] == "e1-7" and said["more"] is more and said.get("end", False) is end
    assert said["gap"] == (json.loads(gap_json(lost)) if lost else None)
    assert said["records"] == [json.loads(record_json(r)) for r in batch]
