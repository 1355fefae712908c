"""Where a client starts: its cursor, resolved against the log before anything is sent to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model import Gap, Id, Place, Problem, Selector, parse_cursor
from .hub import Hub
from .scan import Scan

__all__ = ["ResumePoint", "resume_point"]

MAX_LAST = 1_000_000


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The scan that a subscription begins with, up to the newest place now."""

    scan: Scan
    gap: Gap | None = None
    """What is lost at once, because nothing is known of the client's cursor."""
    reported: Mapping[str, int] = field(default_factory=dict)
    """By topic, the losses that are no news to the client."""
    given: str = ""
    """The cursor as the client gave it, where it was an id."""

    @property
    def lacks_base(self) -> bool:
        """Whether the client has a cursor, but not the values of states as of it: it is `now`."""
        scan = self.scan
        return bool(scan.cursor) and scan.backlog is None and scan.base is None

    def header(self, hub: Hub, first_seq: int, reached: int) -> str:
        """The id to name as the place where the answer begins: what follows comes after it.

        `first_seq` is the SEQ of the first record that will be sent, or 0; `reached` the place up
        to which the log was searched for it.
        """
        if self.given:
            return self.given
        if self.scan.backlog is None:
            return hub.id(self.scan.cursor)
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
            return _unknown(hub, selector, header[:64], is_id=False)
    elif since:
        try:
            cursor = parse_cursor(since)
        except ValueError as error:
            raise Problem(400, f"since: {error}") from None
    else:
        # What was lost before the client came is no loss to it.
        known = _known_losses(hub, selector)
        scan = Scan(0, head, backlog=max(0, min(last, MAX_LAST)))
        return ResumePoint(scan, reported=known)
    if cursor is Place.NOW:
        return ResumePoint(Scan(head, head))
    if cursor is Place.EARLIEST:
        # A client that wants what is retained has lost nothing.
        return ResumePoint(Scan(0, head), reported=_known_losses(hub, selector))
    assert isinstance(cursor, Id)
    if not hub.known(cursor):
        return _unknown(hub, selector, str(cursor), is_id=True)
    # An EventSource that began with `now` repeats it beside the cursor it has reached since.
    base = None if header and since == "now" else cursor.seq
    return ResumePoint(Scan(cursor.seq, head, base=base), given=str(cursor))


def _known_losses(hub: Hub, selector: Selector) -> dict[str, int]:
    reported: dict[str, int] = {}
    hub.gap(selector, 0, "", reported)
    return reported


def _unknown(hub: Hub, selector: Selector, after: str, *, is_id: bool) -> ResumePoint:
    reported: dict[str, int] = {}
    gap = hub.gap_of_unknown(selector, after, reported)
    scan = Scan(0, hub.head)
    return ResumePoint(scan, gap=gap, reported=reported, given=after if is_id else "")
