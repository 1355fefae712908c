from __future__ import annotations

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from hexcast.lab.payloads import MAX_SIZE, MIN_SIZE, Value
from hexcast.value.json_text import LIMITS, dump, parse
from hexcast.value.merge_patch import apply_merge_patch

SEEDS = st.integers(0, 2**32)
SIZES = st.one_of(st.integers(MIN_SIZE, 20_000), st.sampled_from([0, MAX_SIZE, MAX_SIZE * 2]))


def adds_up(value: dict[str, object]) -> bool:
    numbers = [int(str(member)[:4]) for name, member in value.items() if name.startswith("m")]
    return bool(numbers) and sum(numbers) == value["sum"]


@given(SEEDS, SIZES)
def test_the_size_is_what_was_asked_for(seed: int, size: int) -> None:
    value = Value(size, random.Random(seed))
    value.step(1795436704031.123)
    asked = min(max(size, MIN_SIZE), MAX_SIZE)
    assert abs(len(value.whole()) - asked) <= max(230, asked * 0.03)


@given(SEEDS, st.integers(MIN_SIZE, 5000), st.integers(1, 20))
def test_changes_lead_to_the_whole_and_it_adds_up(seed: int, size: int, steps: int) -> None:
    value = Value(size, random.Random(seed), n=7)
    value.step(1.0)
    held = parse(value.whole(), LIMITS)
    for step in range(steps):
        value.step(float(step))
        held = apply_merge_patch(held, parse(value.change(), LIMITS), LIMITS)
        assert dump(held) == dump(parse(value.whole(), LIMITS))
    whole = json.loads(value.whole())
    assert adds_up(whole)
    assert whole["n"] == 8 + steps and 0 <= whole["value"] <= 100
    assert len(value.change()) < len(value.whole()) or len(whole) < 8


def test_a_page_shows_every_member() -> None:
    value = Value(3000, random.Random(1))
    value.step(5.0)
    page = value.page().decode()
    for name, member in json.loads(value.whole()).items():
        if name.startswith("m"):
            assert f"<tr><th>{name}<td>{member}\n" in page
