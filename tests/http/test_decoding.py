"""Coded bodies: decoded whatever the cuts, within bounds, and never a part taken for the whole."""

from __future__ import annotations

import gzip
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.http.decoding import Decoder, body_coding, decode_body
from hexcast.http.request import Request
from hexcast.model.problem import Problem

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODE = {"gzip": gzip.compress, "zstd": zstd.compress}
CODINGS = sorted(ENCODE)


def request(*fields: tuple[str, str]) -> Request:
    return Request("POST", b"/topics/a", [("host", "localhost"), *fields])


@pytest.mark.parametrize("coding", CODINGS)
@given(data=st.data())
def test_any_cuts_and_any_sizes_of_parts(coding: str, data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.binary(max_size=200) | st.just(bytes(5_000)), min_size=1))
    size = data.draw(st.integers(1, 300))
    cut = data.draw(st.integers(1, 50))
    coded = b"".join(map(ENCODE[coding], parts))  # units in a row
    decoder, found = Decoder(coding), []
    for start in range(0, len(coded), cut):
        decoder.feed(coded[start : start + cut])
        while decoder.pending:
            part = decoder.read(size)
            assert len(part) <= size
            found.append(part)
    assert b"".join(found) == b"".join(parts)
    assert decoder.complete
    assert decode_body(coding, coded, len(b"".join(parts))) == b"".join(parts)


@pytest.mark.parametrize("coding", CODINGS)
@given(body=st.binary(min_size=1, max_size=500), at=st.integers(1, 1_000))
def test_a_part_is_never_taken_for_the_whole(coding: str, body: bytes, at: int) -> None:
    coded = ENCODE[coding](body)
    with pytest.raises(Problem) as caught:
        decode_body(coding, coded[: -1 - at % (len(coded) - 1)], 10_000)
    assert caught.value.status == 400


@pytest.mark.parametrize("coding", CODINGS)
@given(noise=st.binary(max_size=100))
def test_noise_is_refused(coding: str, noise: bytes) -> None:
    try:
        decode_body(coding, noise, 10_000)
    except Problem as problem:
        assert problem.status == 400


@pytest.mark.parametrize("coding", CODINGS)
def test_more_than_the_limit_is_refused_before_it_is_decoded(coding: str) -> None:
    bomb = ENCODE[coding](bytes(200 * 2**20))
    with pytest.raises(Problem) as caught:
        decode_body(coding, bomb, 2**20)
    assert caught.value.status == 413
    body = bytes(2**20)
    assert decode_body(coding, ENCODE[coding](body), 2**20) == body


def test_a_window_that_no_decoder_must_have_is_refused() -> None:
    options = {
        zstd.CompressionParameter.window_log: 25,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    compressor = zstd.ZstdCompressor(options=options)
    coded = compressor.compress(b"x" * 2**17) + compressor.flush()
    with pytest.raises(Problem) as caught:
        decode_body("zstd", coded, 2**20)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("given", "coding"),
    [("", ""), ("gzip", "gzip"), (" GZip ", "gzip"), ("x-gzip", "gzip"), ("zstd", "zstd"),
     ("identity", "")],
)  # fmt: skip
def test_codings_that_are_taken(given: str, coding: str) -> None:
    assert body_coding(request(("content-encoding", given))) == coding


@pytest.mark.parametrize(
    "given", ["br", "deflate", "gzip, gzip", "gzip, identity", "*", "gzip;q=1"]
)
def test_codings_that_are_not(given: str) -> None:
    with pytest.raises(Problem) as caught:
        body_coding(request(("content-encoding", given)))
    assert caught.value.status == 415 and caught.value.accept_encoding == "gzip, zstd"


def test_a_deflate_body_is_no_gzip_body() -> None:
    with pytest.raises(Problem):
        decode_body("gzip", zlib.compress(b"x"), 100)
