"""TLS: what is offered, a certificate for this machine, and its renewal while clients stay."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hexcast.http.tls.dev_certificate import keep, machine_names, make
from tests.support.h2wire import H2Client
from tests.support.harness import Server, deadline, get, path, unique


def write_pair(folder: Path, names: list[str]) -> tuple[Path, Path]:
    cert, key = make(names, datetime.now(UTC))
    folder.mkdir(exist_ok=True)
    (folder / "cert.pem").write_bytes(cert)
    (folder / "key.pem").write_bytes(key)
    return folder / "cert.pem", folder / "key.pem"


def trusting(cert: Path, alpn: str = "h2") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(cert))
    context.set_alpn_protocols([alpn])
    return context


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write_pair(tmp_path / "pair", ["localhost", "127.0.0.1"])


def serving(pair: tuple[Path, Path]) -> Server:
    return Server("--tls-cert", str(pair[0]), "--tls-key", str(pair[1]))


async def test_alpn_picks_the_version(pair: tuple[Path, Path]) -> None:
    with serving(pair) as server:
        async with await H2Client.open(server, tls=trusting(pair[0])) as client:
            tls = client.writer.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == "h2"
            topic = unique()
            assert (await client.ask("POST", path(topic), body=b"x")).status == 201
            pushed = await client.request("GET", path(topic) + "?way=push&last=1")
            await client.until(lambda: client.streams[pushed].promises, "a promise over TLS")
        for alpn in ("http/1.1", "unheard-of"):
            async with deadline("HTTP/1.1 over TLS"):
                try:
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", server.port, ssl=trusting(pair[0], alpn),
                        server_hostname="localhost",
                    )  # fmt: skip
                except (ssl.SSLError, ConnectionResetError):
                    assert alpn == "unheard-of"
                    continue
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
                writer.close()
                await writer.wait_closed()


def test_nothing_older_than_tls_1_2(pair: tuple[Path, Path]) -> None:
    with serving(pair) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning):
            context.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection((server.host, server.port), 5) as plain,
            pytest.raises((ssl.SSLError, ConnectionResetError)),
        ):
            context.wrap_socket(plain)


def served(server: Server) -> bytes:
    """The certificate that a new client is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((server.host, server.port), 5) as plain,
        context.wrap_socket(plain) as tls,
    ):
        shown = tls.getpeercert(binary_form=True)
        assert shown is not None
        return shown


def der(cert: Path) -> bytes:
    return x509.load_pem_x509_certificate(cert.read_bytes()).public_bytes(Encoding.DER)


async def test_a_new_certificate_without_dropping_a_client(pair: tuple[Path, Path]) -> None:
    with serving(pair) as server:
        async with await H2Client.open(server, tls=trusting(pair[0])) as client:
            topic = unique()
            stream = await client.request("GET", path(topic) + "?way=sse")
            await client.until(lambda: client.streams[stream].data, "the stream's begin")
            old = der(pair[0])
            assert served(server) == old
            write_pair(pair[0].parent, ["localhost", "127.0.0.1"])
            new = der(pair[0])
            assert new != old
            assert served(server) == old
            assert server.process is not None
            server.process.send_signal(signal.SIGHUP)
            async with deadline("the new certificate"):
                while await asyncio.to_thread(served, server) != new:
                    continue
            await client.ask("POST", path(topic), body=b"over the old one")
            await client.until(
                lambda: b"over the old one" in client.streams[stream].data, "a record"
            )
            # A pair that does not match changes nothing.
            pair[1].write_bytes(make(["localhost"], datetime.now(UTC))[1])
            server.process.send_signal(signal.SIGHUP)
            assert served(server) == new
            assert (await client.ask("GET", "/healthz")).status == 200
            assert served(server) == new


def test_refused_at_start(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    for options in (
        ("--tls-cert", str(pair[0])),
        ("--tls-key", str(pair[1])),
        ("--tls-cert", str(tmp_path / "none.pem"), "--tls-key", str(pair[1])),
        ("--tls-dev", "--tls-cert", str(pair[0]), "--tls-key", str(pair[1])),
    ):
        server = Server(*options)
        with pytest.raises(AssertionError, match="did not start"):
            server.start()
        assert server.process is not None and server.process.wait(5) == 2
        server.process = None
        server.__exit__(None, None, None)


def test_the_dev_certificate_is_kept_and_made_anew(tmp_path: Path) -> None:
    cert, key = keep(tmp_path / "cache" / "dev.pem", tmp_path / "cache" / "dev-key.pem")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    found = x509.load_pem_x509_certificate(cert.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName)[0] == "localhost"
    assert {str(a) for a in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1"}
    first = cert.read_bytes()
    assert (
        keep(tmp_path / "cache" / "dev.pem", tmp_path / "cache" / "dev-key.pem")[0].read_bytes()
        == first
    )
    for spoil in (
        lambda: cert.write_bytes(b"no certificate"),
        lambda: key.unlink(),
        lambda: cert.write_bytes(make(machine_names(), datetime.now(UTC))[0]),
        lambda: write_old(cert, key, machine_names(), timedelta(days=340)),
        lambda: write_old(cert, key, ["localhost"], timedelta()),
    ):
        before = cert.read_bytes()
        spoil()
        keep(tmp_path / "cache" / "dev.pem", tmp_path / "cache" / "dev-key.pem")
        assert cert.read_bytes() != before
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)


def write_old(cert: Path, key: Path, names: list[str], age: timedelta) -> None:
    made = make(names, datetime.now(UTC) - age)
    cert.write_bytes(made[0])
    key.write_bytes(made[1])


async def test_a_client_that_never_finishes_its_handshake_holds_up_no_stop(
    pair: tuple[Path, Path],
) -> None:
    with serving(pair) as server, socket.create_connection((server.host, server.port), 5) as silent:
        silent.send(b"\x16\x03\x01")
        async with await H2Client.open(server, tls=trusting(pair[0])) as client:
            assert (await client.ask("GET", "/healthz")).status == 200
        assert server.stop() < 5


async def test_plain_http_to_a_tls_port_is_answered_with_the_url(pair: tuple[Path, Path]) -> None:
    with serving(pair) as server:
        for head in (b"GET /topics/a?x=1 HTTP/1.1\r\n", b"POST /topics/a?x=1 HTTP/1.1\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            async with deadline("the answer"):
                writer.write(head + b"Host: live.example:8066\r\n\r\n")
                answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert b"https://live.example:8066/topics/a?x=1" in answer


async def test_sighup_does_not_end_a_server_without_tls() -> None:
    with Server() as server:
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        assert (await get(server, "/healthz")).status == 200
        assert server.process.poll() is None
