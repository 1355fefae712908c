"""`python -m hexcast.cli` is `hexcast`."""

from __future__ import annotations

from . import main

main()
