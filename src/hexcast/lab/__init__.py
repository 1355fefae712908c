"""The lab: the six ways side by side, measured while one watches.

A run is a publisher of its own and one client a way. The page has five of them; push, which
browsers refuse, is a client inside the server. Begin with `routes`; `run` is the publisher,
`metering` counts the bytes of an exchange, `cost` the memory of one.
"""

from .assets import words
from .routes import Lab

__all__ = [
    "Lab",
    "words",
]
