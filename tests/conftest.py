"""For all tests: asyncio in debug mode, hypothesis without deadlines and with what repeats a run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parent))
pytest.register_assert_rewrite("harness", "wire", "h2wire", "browsers")

os.environ["PYTHONASYNCIODEBUG"] = "1"  # read by every event loop that is made after this

settings.register_profile("hexcast", deadline=None, print_blob=True, derandomize=False)
settings.load_profile("hexcast")
