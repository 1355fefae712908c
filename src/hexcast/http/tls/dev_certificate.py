"""A certificate for work on one's own machine: its names, self-signed, made when it is needed."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["keep", "make"]

_LIFE = timedelta(days=365)
_RENEW = timedelta(days=30)


def machine_names() -> list[str]:
    """The names and addresses under which this machine's own programs reach it."""
    names = ["localhost", "127.0.0.1", "::1"]
    with contextlib.suppress(OSError, UnicodeError):
        host = socket.gethostname().rstrip(".")
        names += [n for n in (host, f"{host}.local" if "." not in host else "") if n]
    return [n for n in dict.fromkeys(n.lower() for n in names) if n.isascii() and len(n) < 64]


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def make(names: Sequence[str], now: datetime) -> tuple[bytes, bytes]:
    """A certificate for `names` and its key, both PEM, good from an hour before `now`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hexcast, for development")])
    public = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=False, crl_sign=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName([_alternative(n) for n in names]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(usage, True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .add_extension(identifier, False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False
        )
    )
    cert = builder.sign(key, hashes.SHA256())
    return (
        cert.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _good(cert: Path, key: Path, names: Sequence[str], now: datetime) -> bool:
    """Whether the files hold a certificate for `names` that lasts a while."""
    try:
        found = x509.load_pem_x509_certificate(cert.read_bytes())
        held = serialization.load_pem_private_key(key.read_bytes(), None)
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    return (
        found.not_valid_before_utc <= now <= found.not_valid_after_utc - _RENEW
        and held.public_key() == found.public_key()
        and all(_alternative(n) in alternatives for n in names)
    )


def keep(cert: Path, key: Path) -> tuple[Path, Path]:
    """The files of the certificate and its key written again where they are missing or too old.

    Raises OSError where they cannot be written.
    """
    names, now = machine_names(), datetime.now(UTC)
    if not _good(cert, key, names, now):
        for folder in {cert.parent, key.parent}:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = make(names, now)
        # The key first: whoever reads in between finds a pair that does not match, and makes anew.
        _write(key, made[1])
        _write(cert, made[0])
    return cert, key


def _write(path: Path, data: bytes) -> None:
    """Put a file in place whole, readable by its owner alone."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
