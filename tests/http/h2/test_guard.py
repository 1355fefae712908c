"""The frame guard, by property: what it lets through, whatever way the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from hexcast.http.h2.guard import PREFACE, Abuse, FrameGuard

streams = st.integers(1, 2**31 - 1)


def goaway(last: int, size: int = 0) -> Frame:
    return GoAwayFrame(0, last_stream_id=last, error_code=0, additional_data=b"d" * size)


def window(stream: int) -> Frame:
    return WindowUpdateFrame(stream, window_increment=1)


harmless = st.one_of(
    st.builds(lambda s, d: DataFrame(s, data=d), streams, st.binary(min_size=1, max_size=300)),
    st.builds(lambda s, d: HeadersFrame(s, data=d, flags=["END_HEADERS"]), streams,
              st.binary(max_size=300)),
    st.builds(window, streams),
    st.builds(lambda: PingFrame(0, opaque_data=b"12345678")),
    st.builds(lambda: ExtensionFrame(0xF0, stream_id=0, body=b"")),
    st.builds(goaway, streams, st.integers(0, 40)),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(harmless, max_size=30), st.lists(st.integers(0, 10_000), max_size=12))
def test_passes_everything_but_goaway_however_it_is_cut(
    frames: list[Frame], cuts: list[int]
) -> None:
    data = PREFACE + b"".join(f.serialize() for f in frames)
    wanted = PREFACE + b"".join(f.serialize() for f in frames if not isinstance(f, GoAwayFrame))
    guard = FrameGuard(0.0)
    places = sorted({0, len(data), *(c for c in cuts if c < len(data))})
    known = {f.stream_id for f in frames}
    assert b"".join(guard.feed(data[a:b], 0.0, known) for a, b in pairwise(places)) == wanted
    last = [f.last_stream_id for f in frames if isinstance(f, GoAwayFrame)]
    assert guard.last_wanted == (last[-1] if last else -1)
    assert not guard.in_block


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=20))
def test_takes_any_bytes_and_raises_nothing_but_abuse(pieces: list[bytes]) -> None:
    guard = FrameGuard(0.0)
    given_, taken = PREFACE + b"".join(pieces), b""
    try:
        taken += guard.feed(PREFACE, 0.0, ())
        for piece in pieces:
            taken += guard.feed(piece, 0.0, ())
    except Abuse:
        return
    if guard.last_wanted < 0 and b"\x07" not in given_:
        assert given_.startswith(taken) and len(given_) - len(taken) < 9


FLOODS = {
    "PING": PingFrame(0, opaque_data=b"12345678"),
    "SETTINGS": SettingsFrame(0),
    "reset": RstStreamFrame(1, error_code=8),
    "PRIORITY": PriorityFrame(1, depends_on=0, stream_weight=1),
    "window": WindowUpdateFrame(1, window_increment=1),
    "empty DATA": DataFrame(1, data=b""),
    "unknown": ExtensionFrame(0xF0, stream_id=0, body=b""),
}


@pytest.mark.parametrize("frame", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_is_abuse_and_a_trickle_is_not(frame: Frame) -> None:
    data = frame.serialize()
    guard = FrameGuard(0.0)
    guard.feed(PREFACE, 0.0, {1})
    with pytest.raises(Abuse) as caught:
        for _ in range(1000):
            guard.feed(data, 0.0, {1})
    assert caught.value.code is ErrorCodes.ENHANCE_YOUR_CALM
    guard = FrameGuard(0.0)
    guard.feed(PREFACE, 0.0, {1})
    for second in range(250 if frame.type == SettingsFrame.type else 2000):
        guard.feed(data, second / 5, {1})


def test_windows_opened_for_frames_sent_are_no_abuse() -> None:
    guard = FrameGuard(0.0)
    guard.feed(PREFACE, 0.0, {1})
    for _ in range(5000):
        guard.earn(1)
        guard.feed(window(1).serialize() + window(0 + 1).serialize(), 0.0, {1})


@pytest.mark.parametrize("piece", [1024, 2048, 4096])
def test_windows_opened_for_pieces_of_frames_are_no_abuse(piece: int) -> None:
    """As clients do that open both windows for whatever was read, megabytes at a time."""
    both = window(1).serialize() + WindowUpdateFrame(0, window_increment=1).serialize()
    guard = FrameGuard(0.0)
    guard.feed(PREFACE, 0.0, {1})
    for _ in range(30):
        frames = 4 * 2**20 // 16_384
        guard.earn(frames, frames * 16_384)
        guard.feed(both * (frames * 16_384 // piece), 0.0, {1})


def test_what_was_sent_long_ago_pays_for_so_many_windows() -> None:
    guard = FrameGuard(0.0)
    guard.feed(PREFACE, 0.0, {1})
    guard.earn(2**20, 2**34)
    with pytest.raises(Abuse):
        guard.feed(window(1).serialize() * 40_000, 0.0, {1})
    guard = FrameGuard(0.0)
    guard.feed(PREFACE, 0.0, {1})
    guard.earn(2**20, 2**34)
    with pytest.raises(Abuse):  # nor for anything else
        guard.feed(PingFrame(0, opaque_data=b"12345678").serialize() * 500, 0.0, {1})


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 1000), max_size=60), st.lists(st.integers(0, 70_000), max_size=12))
def test_what_was_under_way_to_a_stream_ended_here_is_passed_over(
    sizes: list[int], cuts: list[int]
) -> None:
    ping = PingFrame(0, opaque_data=b"12345678").serialize()
    late = [DataFrame(7, data=b"x" * size) for size in sizes]
    last = DataFrame(7, data=b"", flags=["END_STREAM"])
    data = b"".join(f.serialize() for f in (*late, last)) + ping
    guard = FrameGuard(0.0)
    head = HeadersFrame(9, data=b"x", flags=["END_HEADERS"])
    guard.feed(PREFACE + head.serialize(), 0.0, ())
    guard.refused(7, sum(sizes))
    places = sorted({0, len(data), *(c for c in cuts if c < len(data))})
    assert b"".join(guard.feed(data[a:b], 0.0, {9}) for a, b in pairwise(places)) == ping
    assert guard.dropped == sum(sizes)


def test_data_beyond_the_window_of_a_stream_ended_here() -> None:
    guard = FrameGuard(0.0)
    guard.feed(PREFACE + HeadersFrame(9, data=b"x", flags=["END_HEADERS"]).serialize(), 0.0, ())
    guard.refused(7, 1000)
    late = DataFrame(7, data=b"x" * 10).serialize()
    assert guard.feed(late * 100, 0.0, {9}) == b""
    with pytest.raises(Abuse):
        guard.feed(late * 250, 0.0, {9})


def test_a_body_that_comes_with_its_head_is_for_an_open_stream() -> None:
    guard = FrameGuard(0.0)
    data = HeadersFrame(1, data=b"x", flags=["END_HEADERS"]).serialize()
    data += DataFrame(1, data=b"x").serialize() * 1000
    assert guard.feed(PREFACE + data, 0.0, ()) == PREFACE + data


def test_data_behind_a_reset_in_one_read() -> None:
    late = DataFrame(1, data=b"x").serialize() * 300
    reset = RstStreamFrame(1, error_code=8).serialize()
    head = HeadersFrame(1, data=b"x", flags=["END_HEADERS"]).serialize()
    for before, known in ((head, set[int]()), (b"", {1})):
        guard = FrameGuard(0.0)
        guard.feed(PREFACE + (b"" if before else head), 0.0, ())
        with pytest.raises(Abuse):
            guard.feed(before + reset + late, 0.0, known)


def test_cancelling_what_was_pushed_is_no_abuse() -> None:
    guard = FrameGuard(0.0)
    guard.feed(PREFACE, 0.0, ())
    for n in range(5000):
        guard.feed(RstStreamFrame(2 * n + 2, error_code=8).serialize(), 0.0, ())


def test_settings_are_bounded_for_life() -> None:
    guard = FrameGuard(0.0)
    guard.feed(PREFACE, 0.0, ())
    with pytest.raises(Abuse):
        for n in range(100):
            many = SettingsFrame(0, settings={1000 + 10 * n + i: 1 for i in range(10)})
            guard.feed(many.serialize(), n * 1000.0, ())


@pytest.mark.parametrize("size", [0, 1, 4000, 16_000])
def test_a_header_block_without_end(size: int) -> None:
    guard = FrameGuard(0.0)
    guard.feed(PREFACE + HeadersFrame(1, data=b"x").serialize(), 5.0, ())
    assert guard.in_block and guard.began == 5.0
    piece = ContinuationFrame(1, data=b"x" * size).serialize()
    with pytest.raises(Abuse):
        for _ in range(20):
            guard.feed(piece, 6.0, ())
            assert guard.in_block and guard.began == 5.0


def test_data_on_closed_streams() -> None:
    guard = FrameGuard(0.0)
    guard.feed(PREFACE + HeadersFrame(9, data=b"x", flags=["END_HEADERS"]).serialize(), 0.0, ())
    late = DataFrame(7, data=b"x").serialize()
    with pytest.raises(Abuse):
        for _ in range(300):
            guard.feed(late, 0.0, {9})


def test_a_short_goaway() -> None:
    guard = FrameGuard(0.0)
    with pytest.raises(Abuse) as caught:
        guard.feed(PREFACE + b"\0\0\x04\x07\0\0\0\0\0" + b"\0\0\0\0", 0.0, ())
    assert caught.value.code is ErrorCodes.FRAME_SIZE_ERROR
