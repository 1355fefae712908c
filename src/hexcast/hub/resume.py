"""Where a client starts: its cursor, resolved against the log before anything is sent to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..model import Gap, Id, Place, Problem, Selector, parse_cursor
from .hub import Hub

__all__ = ["ResumePoint", "resume_point"]

MAX_LAST = 1_000_000


@dataclass(slots=True)
class ResumePoint:
    """A pass to begin with: over (cursor, horizon], the horizon being the newest place now."""

    cursor: int
    horizon: int
    fresh: int | None = None
    """Without a cursor: how many of each stream's newest records come first (states always do)."""
    gap: Gap | None = None
    """What is lost at once, because nothing is known of the client's cursor."""
    told: dict[str, int] = field(default_factory=dict)
    given: str = ""
    """The cursor as the client gave it, where it was an id."""
    holds: bool = True
    """Whether the client has the values of states as of its cursor: not where that is `now`."""

    def header(self, hub: Hub, first_seq: int, reached: int) -> str:
        """The id to name as the place where the answer begins: what follows comes after it.

        `first_seq` is the SEQ of the first record that will be sent, or 0; `reached` how far the
        log was searched for it.
        """
        if self.given:
            return self.given
        if self.fresh is None:
            return hub.id(self.cursor)
        return hub.id(first_seq - 1 if first_seq else reached)


def resume_point(
    hub: Hub, selector: Selector, *, header: str = "", since: str = "", last: int = 0
) -> ResumePoint:
    """Resolve a client's cursor: its `Last-Event-ID`, else `since`, else none.

    Raises Problem 400 where `since` is malformed. A malformed header counts as an unknown epoch.
    """
    head = hub.head
    if header:
        try:
            cursor = parse_cursor(header)
        except ValueError:
            return _unknown(hub, selector, header[:64], known_form=False)
    elif since:
        try:
            cursor = parse_cursor(since)
        except ValueError as error:
            raise Problem(400, f"since: {error}") from None
    else:
        start = ResumePoint(0, head, fresh=max(0, min(last, MAX_LAST)))
        hub.gap(selector, 0, "", start.told)  # what was lost before it came is no loss to it
        return start
    if cursor is Place.NOW:
        return ResumePoint(head, head, holds=False)
    if cursor is Place.EARLIEST:
        start = ResumePoint(0, head)
        hub.gap(selector, 0, "", start.told)  # who asks for what is held has lost nothing
        return start
    assert isinstance(cursor, Id)
    if not hub.known(cursor):
        return _unknown(hub, selector, str(cursor), known_form=True)
    # An EventSource that began with `now` repeats it beside the cursor it has reached since.
    return ResumePoint(cursor.seq, head, given=str(cursor), holds=not (header and since == "now"))


def _unknown(hub: Hub, selector: Selector, after: str, *, known_form: bool) -> ResumePoint:
    start = ResumePoint(0, hub.head, given=after if known_form else "")
    start.gap = hub.gap_of_unknown(selector, after, start.told)
    return start
