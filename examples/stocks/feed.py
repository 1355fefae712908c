#!/usr/bin/env python3
"""A stock board and the feed that moves it: invented companies, random prices, at a chosen rate.

Serves the board in `site/` and publishes to it; with --url it publishes to a server that runs
already. Each company is one state, `stocks/SYMBOL`, whose members the page's elements show.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import msgspec

from hexcast.client.client import Client
from hexcast.client.encoding import Message
from hexcast.client.errors import HexcastError
from hexcast.server.server import Server, run
from hexcast.settings import Settings

COMPANIES = {
    "ALDR": ("Alder Timber", 48.20), "BRKN": ("Birken Optics", 131.75),
    "CNDR": ("Cinder Power", 22.08), "DLTA": ("Delta Locks", 64.40),
    "EMBR": ("Ember Foods", 17.93), "FJRD": ("Fjord Lines", 88.10),
    "GLSR": ("Glasser Labs", 240.60), "HRBR": ("Harbour Cold", 35.55),
    "INKW": ("Inkwell Press", 12.44), "JNPR": ("Juniper Yards", 71.02),
    "KSTL": ("Kestrel Air", 156.30), "LNTN": ("Lantern Grid", 54.87),
}  # fmt: skip
POINTS = 40
"""Prices in a company's line."""

WIDTH, HEIGHT = 120, 32
"""Of the drawing that the line is in."""


def figure(value: float, digits: int = 2) -> msgspec.Raw:
    """A number with its zeros: JSON's 1.10 is shown as it is written."""
    return msgspec.Raw(f"{value:.{digits}f}".encode())


class Company:
    """One company's day."""

    def __init__(self, symbol: str, name: str, opened: float, dice: random.Random) -> None:
        self.symbol, self.name, self.opened = symbol, name, opened
        self.price = opened
        self.volume = 0
        self._dice = dice
        self._line = deque((opened * (1 + dice.gauss(0, 0.001)) for _ in range(POINTS)), POINTS)
        self._odd = False
        self._up = True

    def trade(self) -> int:
        """One trade at a new price; gives how many shares."""
        before = self.price
        pull = (self.opened - self.price) / self.opened * 0.002
        self.price = max(0.01, round(self.price * (1 + self._dice.gauss(pull, 0.0015)), 2))
        if self.price != before:
            self._up = self.price > before
        self._line.append(self.price)
        self._odd = not self._odd
        shares = self._dice.choice((10, 20, 50, 100, 100, 200, 500))
        self.volume += shares
        return shares

    def value(self) -> dict[str, object]:
        """What the board shows."""
        change = (self.price / self.opened - 1) * 100
        return {
            "name": self.name,
            "price": figure(self.price),
            "change": f"{change:+.2f} %".replace("-", "\N{MINUS SIGN}"),
            "bid": figure(self.price - 0.01),
            "ask": figure(self.price + 0.01),
            "volume": f"{self.volume:,}",
            "line": self._points(),
            # Two names for each direction, so that each trade starts the animation anew.
            "move": f"{'up' if self._up else 'down'} {'odd' if self._odd else 'even'}",
            "day": "up" if change >= 0 else "down",
        }

    def _points(self) -> str:
        low, high = min(self._line), max(self._line)
        scale = (HEIGHT - 4) / (high - low or 1)
        step = WIDTH / (POINTS - 1)
        return " ".join(
            f"{n * step:.1f},{HEIGHT - 2 - (price - low) * scale:.1f}"
            for n, price in enumerate(self._line)
        )


async def feed(rate: float, seed: int | None) -> AsyncGenerator[Message, None]:
    """Trades, `rate` of them a second, for ever."""
    dice = random.Random(seed)
    companies = [Company(s, *about, dice) for s, about in COMPANIES.items()]
    for company in companies:
        yield Message(f"stocks/{company.symbol}", company.value(), op="put")
    loop = asyncio.get_running_loop()
    began, trades, told = loop.time(), 0, 0.0
    while True:
        due = began + trades / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        trades += 1
        company = dice.choice(companies)
        shares = company.trade()
        yield Message(f"stocks/{company.symbol}", company.value(), op="put")
        yield Message("trades", f"{shares} {company.symbol} at {company.price:.2f}")
        if loop.time() - told >= 0.5:
            told = loop.time()
            up = sum(c.price >= c.opened for c in companies)
            mean = sum(c.price / c.opened for c in companies) / len(companies)
            yield Message(
                "market",
                {"index": figure(mean * 1000), "up": up, "down": len(companies) - up,
                 "trades": f"{trades:,}", "share": figure(100 * up / len(companies), 0)},
                op="put",
            )  # fmt: skip


async def publish(url: str, rate: float, seed: int | None) -> None:
    """Publish until it is stopped; a server that is away for a while is waited for."""
    async with (
        Client(url) as client,
        aclosing(feed(rate, seed)) as messages,
        client.publish_many(messages, give_up=None) as acknowledgements,
    ):
        async for acknowledged in acknowledgements:
            if acknowledged.error is not None:
                print(f"{acknowledged.message.topic}: {acknowledged.error}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=20, help="trades a second (20)")
    parser.add_argument("--port", type=int, default=8066, help="where to serve the board (8066)")
    parser.add_argument("--url", help="publish to this server instead of serving the board")
    parser.add_argument("--seed", type=int, help="the same prices each time")
    given = parser.parse_args()
    if not 0 < given.rate <= 10_000:
        parser.error("--rate is from above 0 to 10000")
    if given.url:
        try:
            asyncio.run(publish(given.url, given.rate, given.seed))
        except KeyboardInterrupt:
            return 0
        except HexcastError as error:
            print(error, file=sys.stderr)
        return 1

    def announce(server: Server) -> None:
        print(f"The board is at {server.url}/", file=sys.stderr, flush=True)

    async def beside(server: Server) -> None:
        await publish(server.url, given.rate, given.seed)

    site = Path(__file__).with_name("site")
    try:
        return run(Settings(port=given.port, pages=str(site)), announce=announce, beside=beside)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
