"""For all tests: asyncio in debug mode, hypothesis without deadlines and with what repeats a run."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.support")

os.environ["PYTHONASYNCIODEBUG"] = "1"  # read by every event loop that is made after this

settings.register_profile("hexcast", deadline=None, print_blob=True, derandomize=False)
settings.load_profile("hexcast")
