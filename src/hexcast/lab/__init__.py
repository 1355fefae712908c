"""The lab: the six ways side by side, measured while one watches.

A run is a publisher of its own and one client a way. The page has five of them; push, which
browsers refuse, is a client inside the server. What the server knows of each comes to the page as a
topic like any other.
"""

from .lab import Lab

__all__ = ["Lab"]
