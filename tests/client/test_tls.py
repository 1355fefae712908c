"""https: whom the client trusts, on every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hexcast.client.client import Client
from hexcast.client.encoding import Message
from hexcast.client.errors import ProtocolError
from hexcast.client.messages import Record
from hexcast.client.tls import Trust
from hexcast.client.ways.base import WayName
from hexcast.http.tls.dev_certificate import keep, make

from .servers import ServerProcess

WAYS: list[WayName] = ["sse", "websocket", "long-poll", "poll", "push", "refresh"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = make(["localhost"], datetime.now(UTC))
    (folder / "cert.pem").write_bytes(cert)
    (folder / "key.pem").write_bytes(key)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def secure(certificate: tuple[Path, Path]) -> Iterator[str]:
    cert, key = map(str, certificate)
    process = ServerProcess("--tls-cert", cert, "--tls-key", key).start()
    yield process.url.replace("127.0.0.1", "localhost")
    process.close()


@pytest.fixture(autouse=True)
def no_certificate_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_with_a_certificate_that_is_trusted(
    secure: str, certificate: tuple[Path, Path], topic: str, way: WayName
) -> None:
    async with asyncio.timeout(20), Client(secure, trust=Trust(str(certificate[0]))) as client:
        await client.publish(topic, 1, op="put")
        async with client.subscribe(topic, way=way, every=1) as items:
            record = await anext(items)
    assert isinstance(record, Record)
    assert record.data in (1, "1")  # a page shows text


@pytest.mark.parametrize("way", WAYS)
async def test_no_way_takes_one_that_is_not(secure: str, topic: str, way: WayName) -> None:
    async with asyncio.timeout(20), Client(secure) as client:
        with pytest.raises(ProtocolError, match="is not trusted: self-signed certificate"):
            await client.publish(topic, 1)
        async with client.subscribe(topic, way=way) as items:
            with pytest.raises(ProtocolError, match="is not trusted"):
                await anext(items)


async def test_a_name_that_is_not_the_certificates(
    secure: str, certificate: tuple[Path, Path], topic: str
) -> None:
    url = secure.replace("localhost", "127.0.0.1")
    async with asyncio.timeout(20), Client(url, trust=Trust(str(certificate[0]))) as client:
        with pytest.raises(ProtocolError, match="IP address mismatch"):
            await client.publish(topic, 1)


async def test_insecure_takes_any(secure: str, topic: str) -> None:
    url = secure.replace("localhost", "127.0.0.1")

    async def messages() -> AsyncIterator[Message]:
        yield Message(topic, "batched", end=True)

    async with asyncio.timeout(20), Client(url, trust=Trust(insecure=True)) as client:
        async with client.publish_many(messages()) as acknowledged:
            assert [a.error async for a in acknowledged] == [None]
        async with client.subscribe(topic, way="push", since="earliest") as items:
            assert [item.data async for item in items if isinstance(item, Record)] == ["batched"]


async def test_the_certificate_for_this_machine_is_trusted_by_itself(
    tmp_path: Path, topic: str
) -> None:
    folder = tmp_path / "cache" / "hexcast" / "tls"
    cert, key = keep(folder / "dev.pem", folder / "dev-key.pem")
    process = ServerProcess("--tls-cert", str(cert), "--tls-key", str(key)).start()
    try:
        async with asyncio.timeout(20), Client(process.url) as client:
            await client.publish(topic, "x", op="put")
            async with client.subscribe(topic, way="push") as items:
                record = await anext(items)
        assert isinstance(record, Record) and record.data == "x"
    finally:
        process.close()


def test_a_file_that_holds_no_certificates(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the certificates in"):
        Client("https://localhost:1", trust=Trust(str(tmp_path / "none.pem")))
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(ValueError, match="the certificates in"):
        Client("https://localhost:1", trust=Trust(str(tmp_path / "bad.pem")))
