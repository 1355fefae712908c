"""A mark for what the server keeps for one client alone, so that its memory can be summed up."""

from __future__ import annotations

__all__ = ["PerClient"]


class PerClient:
    """Base of the classes whose objects belong to one client, or to one client's connection.

    Whatever else such an object refers to is shared.
    """

    __slots__ = ()
