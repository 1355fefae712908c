"""Batches over HTTP: NDJSON streamed in, and an answer for each line streamed out."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..http import Decoder, Exchange, body_coding
from ..log import Outcome
from ..model import Draft, Problem, Published
from .one import decode_line, draft_of_line
from .pending import PendingPublishes

__all__ = ["Batch", "batch"]

_ENCODER = msgspec.json.Encoder()

DECODED_BYTES = 65_536
"""Bytes of a coded body that are decoded in one turn of the event loop."""

LINE_SECONDS = 30.0
"""How long a line that has begun may stand still, at least; twice this at most."""


class Batch:
    """A batch in progress: complete lines are published as they come, and answered when the log
    has them. `schedule` runs a callable in the next turn of the event loop."""

    def __init__(
        self,
        publishes: PendingPublishes,
        exchange: Exchange,
        limit: int,
        write: Callable[[bytes], None],
        schedule: Callable[[Callable[[], None]], object],
        *,
        last_only: bool,
        decoder: Decoder | None = None,
    ) -> None:
        self._publishes = publishes
        self._exchange = exchange
        self._limit = limit
        self._write = write
        self._schedule = schedule
        self._decoder = decoder  # of a coded body
        self._decoding = False  # the next part of it is decoded in the next turn
        self._received = False  # the body has ended, though perhaps it is not decoded yet
        self._rest = b""  # the beginning of a line whose end has not come
        self._skipping = False  # the line under way was refused: its end is waited for
        self._last_only = last_only  # one answer for all lines
        self._waiting = 0  # appends in hand
        self._complete = False
        self._over = False
        self._paused = False
        self._published = 0
        self._refused = 0
        self._last: Outcome | None = None
        self._stalled = False  # nothing has come since the time was looked at
        self._late = False  # given up: what may yet come is not waited for

    # The body

    def feed(self, data: bytes) -> None:
        if self._over or self._complete:
            return
        self._stalled = False
        if self._decoder is None:
            self._take(data)
        else:
            self._decoder.feed(data)
            self._decode()

    def eof(self) -> None:
        self._received = True
        if self._decoder is None:
            self._end()
        elif not self._decoding:
            self._decode()

    def _decode(self) -> None:
        """Decode the next part of the body, and the rest in turns of its own."""
        decoder = self._decoder
        self._decoding = False
        if decoder is None or self._over or self._complete:
            return
        try:
            if decoder.pending and not self._busy:
                self._take(decoder.read(DECODED_BYTES))
        except Problem as problem:
            self._fail(problem)
            return
        if decoder.pending or not self._received:
            self._update_read_flow()
        elif decoder.complete:
            self._end()
        else:
            self._fail(Problem(400, "the body ends in the middle of its Content-Encoding"))

    def _fail(self, problem: Problem) -> None:
        """The rest of the body cannot be read: answer once more, and end."""
        self._complete = self._late = True
        self._rest = b""
        self._publish([problem])

    def _take(self, data: bytes) -> None:
        """Publish the lines that these bytes complete."""
        if self._skipping:
            _, end, data = data.partition(b"\n")
            if not end:
                return
            self._skipping = False
        begun = bool(self._rest)
        data = self._rest + data
        lines = data.split(b"\n")
        self._rest = lines.pop()
        drafts: list[Draft | Problem] = []
        for line in lines:
            if line and not line.isspace():
                drafts.append(self._read(line))
        if len(self._rest) > self._limit:
            drafts.append(self._too_long())
            self._rest = b""
            self._skipping = True
        if self._rest or begun:
            self._exchange.set_buffered(len(self._rest))
            if not begun:
                self._exchange.set_deadline(LINE_SECONDS)
        if drafts:
            self._publish(drafts)
        self._update_read_flow()

    def _end(self) -> None:
        if self._over or self._complete:
            return
        self._complete = True
        if self._rest and not self._rest.isspace():
            # The body has ended in order, so that its last line is complete without a line end.
            line, self._rest = self._rest, b""
            self._publish([self._read(line)])
        self._finish()

    def _read(self, line: bytes) -> Draft | Problem:
        if len(line) > self._limit:
            return self._too_long()
        try:
            return draft_of_line(decode_line(line))
        except Problem as problem:
            return problem
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return Problem(400, f"the line is not an object of a publish: {error}")
        except RecursionError:
            return Problem(400, "the line is nested too deep")

    def _too_long(self) -> Problem:
        return Problem(413, f"the line is longer than {self._limit} bytes")

    def _publish(self, drafts: list[Draft | Problem]) -> None:
        good = [d for d in drafts if isinstance(d, Draft)]
        if len(good) == len(drafts):
            self._waiting += 1
            self._publishes.publish(good, self._done)
            return
        self._waiting += 1

        def done(outcomes: list[Outcome]) -> None:
            rest = iter(outcomes)
            self._done([d if isinstance(d, Problem) else next(rest) for d in drafts])

        self._publishes.publish(good, done)

    def _done(self, outcomes: list[Outcome]) -> None:
        self._waiting -= 1
        for outcome in outcomes:
            if isinstance(outcome, Problem):
                self._refused += 1
                self._last = outcome
            else:
                self._published += 1
        if outcomes and not isinstance(outcomes[-1], Problem):
            self._last = outcomes[-1]
        if not self._over and not self._last_only:
            self._write(
                self._exchange.frame(b"".join([_line_answer(outcome) for outcome in outcomes]))
            )
        if self._complete:
            self._finish()
        else:
            self._update_read_flow()

    def _finish(self) -> None:
        if self._waiting or self._over:
            return
        self._over = True
        if self._last_only:
            self._write(self._exchange.frame(self._last_line()))
        self._exchange.finish()
        if self._late:
            self._exchange.close()

    def _last_line(self) -> bytes:
        """One line for all: the newest id, and how many there were of each."""
        answer: dict[str, object] = {}
        if isinstance(self._last, Published):
            answer["id"] = self._last.id
        elif isinstance(self._last, Problem):
            answer["error"] = self._last.members()
        answer["published"], answer["refused"] = self._published, self._refused
        return _ENCODER.encode(answer) + b"\n"

    # As the handler of the exchange

    @property
    def _busy(self) -> bool:
        """Whether the log, or a client that does not read its answers, is behind."""
        return self._paused or self._waiting > 1

    def _update_read_flow(self) -> None:
        """Take no more of the body while it cannot be published."""
        if self._over:
            return
        pending = self._decoder is not None and self._decoder.pending
        if pending and not self._busy and not self._decoding:
            self._decoding = True
            self._schedule(self._decode)
        if pending or self._busy:
            self._exchange.pause_reading()
        else:
            self._exchange.resume_reading()

    def pause(self) -> None:
        self._paused = True
        self._update_read_flow()

    def resume(self) -> None:
        self._paused = False
        self._update_read_flow()

    def disconnected(self) -> None:
        self._over = True  # what was complete is published; the rest never was

    def timeout(self) -> None:
        """A batch may be silent as long as its connection lives, but for within a line."""
        if self._over or self._complete or not self._rest:
            return
        if not self._stalled or self._paused or self._waiting:
            self._stalled = True
            self._exchange.set_deadline(LINE_SECONDS)
            return
        self._fail(Problem(408, "the line took too long"))

    def drain(self) -> None:
        """Answer what was taken, and end."""
        self._complete = True
        self._rest = b""
        self._finish()


def _line_answer(outcome: Outcome) -> bytes:
    if isinstance(outcome, Problem):
        return b'{"error":' + _ENCODER.encode(outcome.members()) + b"}\n"
    return b'{"id":"%b"}\n' % outcome.id.encode()


def batch(
    publishes: PendingPublishes,
    limit: int,
    schedule: Callable[[Callable[[], None]], object],
    exchange: Exchange,
    body: bytes,
) -> None:
    """Publish a batch as it arrives, and answer each line. `limit` is the size of one line."""
    coding = body_coding(exchange.request)
    last_only = exchange.request.first("ack") == "last"
    write = exchange.start(
        200,
        (
            ("Content-Type", "application/x-ndjson"),
            ("Cache-Control", "no-store, no-transform"),
            ("X-Accel-Buffering", "no"),
        ),
    )
    taken = Batch(
        publishes, exchange, limit, write, schedule, last_only=last_only,
        decoder=Decoder(coding) if coding else None,
    )  # fmt: skip
    exchange.body_reader = taken
    exchange.handler = taken
