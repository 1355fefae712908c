"""A cache holds no more bytes than it may, and lets go of what was used least lately."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hexcast.model.lru import ByteLRU


def test_what_was_used_least_lately_goes_first() -> None:
    cache: ByteLRU[str, int] = ByteLRU(4 * 1256)
    for n, key in enumerate("abcd"):
        cache.put(key, n, 1000)
    assert cache.get("a") == 0
    cache.put("e", 4, 1000)
    assert cache.get("b") is None
    assert [cache.get(key) for key in "acde"] == [0, 2, 3, 4]


def test_what_would_drive_out_the_rest_is_not_held() -> None:
    cache: ByteLRU[str, int] = ByteLRU(10_000)
    cache.put("small", 1, 100)
    assert not cache.fits(5000)
    cache.put("large", 2, 5000)
    assert (cache.get("large"), cache.get("small")) == (None, 1)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4000))))
def test_it_never_holds_more_than_it_may(puts: list[tuple[int, int]]) -> None:
    cache: ByteLRU[int, int] = ByteLRU(10_000)
    for key, size in puts:
        cache.put(key, size, size)
        assert cache.size <= cache.limit
    for key in range(21):
        held = cache.get(key)
        assert held is None or (key, held) in puts
    cache.clear()
    assert (len(cache), cache.size) == (0, 0)
