from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.programs import Hexcast, serving


@pytest.fixture(scope="session")
def server() -> Iterator[Hexcast]:
    """A server for all tests that keep to topics of their own."""
    with serving("serve", "--retry", "0.01") as program:
        yield program


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A topic that no other test uses."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return f"cli/{name}"
