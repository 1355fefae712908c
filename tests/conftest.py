"""For all tests: asyncio in debug mode, and hypothesis without deadlines, with what repeats a run."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ["PYTHONASYNCIODEBUG"] = "1"  # read by every event loop that is made after this

settings.register_profile("hexcast", deadline=None, print_blob=True, derandomize=False)
settings.load_profile("hexcast")
