"""Makes the shared helpers importable."""

from __future__ import annotations
