"""Starts one server for each module of tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from hexcast.http.tls.dev_certificate import make
from tests.support.harness import SecureServer, Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with default options. Tests share it, each with topics of its own."""
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureServer]:
    """A server over TLS, shared by a module's tests; its `cert` is for `localhost`."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = make(["localhost"], datetime.now(UTC))
    (folder / "cert.pem").write_bytes(cert)
    (folder / "key.pem").write_bytes(key)
    with SecureServer(folder / "cert.pem", folder / "key.pem") as running:
        yield running


@pytest.fixture(params=["https", "h2c"])
def http2(request: pytest.FixtureRequest, server: Server, secure: SecureServer) -> Server:
    """A server to speak HTTP/2 to, over TLS and with prior knowledge."""
    return secure if request.param == "https" else server
