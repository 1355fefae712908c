"""A record is encoded once for a form, and what is remembered is bounded."""

from __future__ import annotations

from hexcast.feed.encoding import _MEMO_BYTES, _MEMO_RECORDS
from hexcast.model.record import Record
from tests.support.fakes import LineForm


class Counting(LineForm):
    def __init__(self, size: int = 10) -> None:
        super().__init__()
        self.encoded = 0
        self.size = size

    def encode(self, record: Record) -> bytes:
        self.encoded += 1
        return b"x" * self.size


def record(seq: int) -> Record:
    return Record("e", seq, "t", "post", "", "text/plain", b"", 0, False)


def test_once_for_all() -> None:
    encoder, one = Counting(), record(1)
    assert encoder.record(one) is encoder.record(one) and encoder.encoded == 1
    encoder.release()
    encoder.record(one)
    assert encoder.encoded == 2


def test_equal_looking_records_are_two() -> None:
    encoder = Counting()
    encoder.record(record(1)), encoder.record(record(1))
    assert encoder.encoded == 2


def test_what_is_remembered_is_bounded() -> None:
    encoder = Counting()
    for n in range(3 * _MEMO_RECORDS):
        encoder.record(record(n))
        assert len(encoder._memo) <= _MEMO_RECORDS
    encoder = Counting(_MEMO_BYTES // 3)
    for n in range(50):
        encoder.record(record(n))
        assert sum(map(len, encoder._memo.values())) <= 2 * _MEMO_BYTES


def test_forms_of_equal_key_are_one_form() -> None:
    assert LineForm().key == LineForm().key != Counting().key
