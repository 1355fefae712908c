from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from hexcast.client.client import Client

from .servers import CuttingProxy, ServerProcess


@pytest.fixture(scope="session")
def server() -> Iterator[ServerProcess]:
    """A server for all tests that keep to topics of their own; clients come back at once."""
    process = ServerProcess("--retry", "0.01").start()
    yield process
    process.close()


@pytest.fixture
def own_server() -> Iterator[Callable[..., ServerProcess]]:
    """Starts servers that one test has to itself."""
    started: list[ServerProcess] = []

    def start(*options: str) -> ServerProcess:
        started.append(ServerProcess(*options).start())
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[Client]:
    async with Client(server.url) as client:
        yield client


@pytest.fixture
async def proxy(server: ServerProcess) -> AsyncIterator[CuttingProxy]:
    async with CuttingProxy("127.0.0.1", server.port).running() as proxy:
        yield proxy


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A topic that no other test uses."""
    name = request.node.name
    return "".join(c if c.isalnum() else "-" for c in name).strip("-")[:200]


@pytest.fixture(autouse=True)
async def no_tasks_left() -> AsyncIterator[None]:
    """Whatever a test began has ended with it.

    The loop closes the generators inside httpx by tasks of its own, which need a turn or two.
    """
    yield
    async with asyncio.timeout(1):
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(left)
