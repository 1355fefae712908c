"""What is coded comes back, from any joining point, by decoders that are not ours."""

from __future__ import annotations

import hashlib
import zlib

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from hexcast.http.compression import (
    BODY_LIMIT,
    BODY_PAYS,
    MESSAGE_PAYS,
    PIECE_PAYS,
    STREAMS,
    code,
    compressible,
    deflate_message,
    digest,
)

pieces = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda b, n: b * n, st.binary(min_size=1, max_size=40), st.integers(1, 4000)),
)
END = zlib.compressobj(wbits=-15).flush()
"""An empty last block."""


def unzstd(data: bytes) -> bytes:
    """All frames in a row, read by the other binding of the library."""
    reader = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
    return reader.read()


def undcz(data: bytes, dictionary: bytes) -> bytes:
    """RFC 9842, 5: eight bytes, the dictionary's SHA-256, a frame."""
    assert data[:8] == bytes.fromhex("5e2a4d1820000000")
    assert data[8:40] == hashlib.sha256(dictionary).digest()
    held = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdDecompressor(dict_data=held).decompressobj().decompress(data[40:])


@given(pieces)
def test_a_body_comes_back(body: bytes) -> None:
    for coding, decode in (("gzip", lambda b: zlib.decompress(b, 31)), ("zstd", unzstd)):
        coded = code(coding, body)
        assert coded is None or (len(coded) < len(body) and decode(coded) == body)


@given(pieces, st.binary(min_size=8, max_size=2000), st.integers(0, 2000))
def test_a_body_comes_back_with_its_dictionary(body: bytes, dictionary: bytes, cut: int) -> None:
    body = body + dictionary[cut:] + dictionary[:cut] * 2
    coded = code("dcz", body, dictionary)
    assert coded is None or (len(coded) < len(body) and undcz(coded, dictionary) == body)


def test_a_dictionary_as_large_as_values_may_be_is_all_within_reach() -> None:
    import random

    noise = random.Random(7).randbytes(3 * 2**20)
    coded = code("dcz", noise[:-1] + b"!", noise)
    assert coded is not None
    assert len(coded) < len(noise) / 100
    assert undcz(coded, noise) == noise[:-1] + b"!"


def test_what_is_too_large_is_sent_as_it_is() -> None:
    assert code("gzip", bytes(BODY_LIMIT + 1)) is None
    assert code("dcz", bytes(BODY_LIMIT), b"12345678") is None
    assert code("zstd", bytes(BODY_LIMIT)) is not None


def test_what_gets_no_smaller_is_sent_as_it_is() -> None:
    import random

    noise = random.Random(1).randbytes(1000)
    assert code("gzip", noise) is code("zstd", noise) is None
    with pytest.raises(ValueError, match="br"):
        code("br", noise)


def test_names_are_sha256() -> None:
    assert digest(b"abc") == hashlib.sha256(b"abc").digest()


@given(st.lists(pieces, max_size=8), st.data())
@example([b"x" * 70_000, b"", b"y"], None)
def test_a_stream_is_read_from_any_joining_point(parts: list[bytes], data: st.DataObject) -> None:
    start = 0 if data is None else data.draw(st.integers(0, len(parts)))
    for name, stream in STREAMS.items():
        coded = [stream.piece(part) for part in parts]
        joined = coded[start:]
        expected = parts[start:]
        if name == "gzip":
            reader = zlib.decompressobj(wbits=31)
            got = [reader.decompress(piece) for piece in (stream.head, *joined)]
            assert got[1:] == expected, "each piece is complete by itself, with no wait for another"
            assert not reader.eof
            assert not reader.unused_data
            # The member could be ended here: it is well formed up to this place.
            whole = b"".join(expected)
            trailer = zlib.crc32(whole).to_bytes(4, "little")
            trailer += (len(whole) & 0xFFFFFFFF).to_bytes(4, "little")
            ended = stream.head + b"".join(joined) + END + trailer
            assert zlib.decompress(ended, 31) == whole
        else:
            assert stream.head == b""
            assert [unzstd(piece) for piece in joined] == expected
            assert unzstd(b"".join(joined)) == b"".join(expected)


@given(pieces)
def test_a_small_or_random_piece_costs_a_few_bytes(part: bytes) -> None:
    blocks = len(part) // 0xFFFF + 1
    assert len(STREAMS["gzip"].piece(part)) <= len(part) + 5 * (blocks + 1)
    assert len(STREAMS["zstd"].piece(part)) <= len(part) + 9 + 3 * blocks


@given(pieces)
def test_a_message_comes_back(message: bytes) -> None:
    coded = deflate_message(message)
    if coded is None:
        return
    assert MESSAGE_PAYS <= len(message) > len(coded)
    assert zlib.decompressobj(wbits=-15).decompress(coded + b"\0\0\xff\xff") == message


def test_sizes_that_pay() -> None:
    event = b'{"member":12345,"other":12345}'
    assert deflate_message(event) is None
    message = deflate_message(event * 10)
    assert message is not None
    assert len(message) < 60
    assert len(STREAMS["gzip"].piece(event * 10)) < 70
    assert len(STREAMS["zstd"].piece(event * 10)) < 70
    assert len(code("zstd", event * (BODY_PAYS // 30 + 1)) or b"") in range(1, 80)


@pytest.mark.parametrize(
    ("type", "may"),
    [
        ("application/json", True), ("text/html; charset=utf-8", True), ("image/svg+xml", True),
        ("application/octet-stream", True), ("", True), ("IMAGE/PNG", False), ("video/mp4", False),
        ("application/zip", False), ("application/gzip; x=y", False), ("font/woff2", False),
    ],
)  # fmt: skip
def test_types_that_are_compressed_already(type: str, may: bool) -> None:
    assert compressible(type) is may


@given(st.one_of(st.binary(min_size=1, max_size=300), st.text(min_size=1).map(str.encode)))
@example(b"x")
@example(b"x" * (PIECE_PAYS - 1))
@example(bytes(range(256)) * 3)
def test_every_piece_of_gzip_ends_in_a_sync_marker(data: bytes) -> None:
    """There are decoders that hand nothing out before one: Go's net/http showed no event."""
    assert STREAMS["gzip"].piece(data).endswith(b"\x00\x00\xff\xff")
