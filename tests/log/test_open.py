"""Which engine a URL names."""

from __future__ import annotations

import pytest

from hexcast.log.memory import MemoryLog
from hexcast.log.open import open_log
from tests.support.fakes import Clock


def test_memory() -> None:
    assert isinstance(open_log("memory", "e", Clock().ms), MemoryLog)


@pytest.mark.parametrize("url", ["", "memory:", "file:///x", "kafka://host"])
def test_what_is_not_known_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no log"):
        open_log(url, "e", Clock().ms)
