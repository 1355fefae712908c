"""Who may: which hosts this server answers to, which origins' scripts may act.

`origin` has both checks, and the CORS headers that go with them. No I/O and no HTTP types: a
request is seen through the few fields that the checks need.
"""

from .origin import Access, canonical_origin, is_loopback

__all__ = [
    "Access",
    "canonical_origin",
    "is_loopback",
]
