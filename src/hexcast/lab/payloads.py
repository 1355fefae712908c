"""What a run publishes: an object of up to 200 members of which a few change each time. Pure.

The three forms of one publication are the page, the whole value and only the change. Each has the
number of the publication (`n`), when it was made (`at`, milliseconds since 1970 UTC), a figure that
wanders (`value`), and the sum of all members' numbers, by which a reader knows that what it has put
together from changes is what was published.
"""

from __future__ import annotations

import random

__all__ = ["MAX_SIZE", "MIN_SIZE", "Value"]

MIN_SIZE, MAX_SIZE = 200, 256 * 1024
_MEMBERS = 200
_HEAD_BYTES = 72
_MEMBER_BYTES = 14  # `"m000":"0000",`
_DIGITS = 4


class Value:
    """A value of about `size` bytes of JSON."""

    def __init__(self, size: int, chance: random.Random, n: int = 0, value: float = 50.0) -> None:
        room = max(0, min(max(size, MIN_SIZE), MAX_SIZE) - _HEAD_BYTES)
        count = max(1, min(_MEMBERS, room // _MEMBER_BYTES))
        filler = max(0, room // count - _MEMBER_BYTES)
        self._chance = chance
        self._numbers = [chance.randrange(10**_DIGITS) for _ in range(count)]
        # Of digits that repeat nowhere, so that compression finds no more than in real figures.
        self._fillers = [chance.randbytes((filler + 1) // 2).hex()[:filler] for _ in range(count)]
        self._json = [self._member(i) for i in range(count)]
        self._rows = [self._row(i) for i in range(count)]
        self._sum = sum(self._numbers)
        self._changed: list[int] = []
        self.n = n
        self.at = 0.0
        self.value = value

    def _member(self, i: int) -> str:
        return f'"m{i:03}":"{self._numbers[i]:0{_DIGITS}}{self._fillers[i]}"'

    def _row(self, i: int) -> str:
        return f"<tr><th>m{i:03}<td>{self._numbers[i]:0{_DIGITS}}{self._fillers[i]}"

    def step(self, at: float) -> None:
        """Go on to the next publication, made at `at`: one to three members change."""
        chance = self._chance
        self.n += 1
        self.at = at
        self.value = round(min(100.0, max(0.0, self.value + chance.gauss(0, 4))), 1)
        self._changed = chance.sample(
            range(len(self._numbers)), k=min(len(self._numbers), chance.randint(1, 3))
        )
        for i in self._changed:
            self._sum -= self._numbers[i]
            self._numbers[i] = chance.randrange(10**_DIGITS)
            self._sum += self._numbers[i]
            self._json[i] = self._member(i)
            self._rows[i] = self._row(i)

    def _head(self) -> str:
        return f'"n":{self.n},"at":{self.at:.3f},"value":{self.value},"sum":{self._sum}'

    def whole(self) -> bytes:
        """The whole value, as JSON."""
        return f"{{{self._head()},{','.join(self._json)}}}".encode()

    def change(self) -> bytes:
        """Only what the last step has changed, as JSON; a merge patch of the value before."""
        members = ",".join(self._json[i] for i in self._changed)
        return f"{{{self._head()},{members}}}".encode()

    def page(self) -> bytes:
        """The page that shows the value, as HTML."""
        rows = "\n".join(self._rows)
        return (
            '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Figures</title>\n'
            f"<h1>{self.value}</h1>\n<p>Number {self.n}, made at {self.at:.3f}.\n"
            f"<table>\n{rows}\n</table>\n"
        ).encode()
