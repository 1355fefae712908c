"""TLS: the certificate, its reload, and what is offered to clients (RFC 8446, RFC 7301)."""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

from ...settings import dev_certificate_files

__all__ = ["Tls", "dev_certificate"]

_log = logging.getLogger(__name__)

# For TLS 1.2; RFC 9113, 9.2.2 rules out all that is not ephemeral and authenticated.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class Tls:
    """A server's certificate and key, from PEM files."""

    def __init__(self, cert: str | Path, key: str | Path) -> None:
        """Raises ValueError where they cannot be used."""
        self._files = (os.fspath(cert), os.fspath(key))
        self.context = _context()
        self._load(self.context)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            cert, key = self._files
            raise ValueError(f"the certificate {cert} with the key {key}: {error}") from None

    def reload(self) -> None:
        """Read the files again: new connections get the new certificate, the others keep theirs.

        Files that cannot be used change nothing.
        """
        try:
            self._load(_context())  # so that half of a new pair never replaces half of the old
            self._load(self.context)
        except ValueError as error:
            _log.error("kept the certificate in use, because of the new one: %s", error)
        else:
            _log.info("read the certificate again")


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def dev_certificate() -> tuple[Path, Path]:
    """The files of a certificate for this machine, kept in the user's cache.

    Raises ValueError where none can be made.
    """
    try:
        from .dev_certificate import keep
    except ImportError:
        raise ValueError("--tls-dev needs the package 'cryptography'") from None
    try:
        return keep(*dev_certificate_files())
    except OSError as error:
        raise ValueError(f"the certificate of --tls-dev cannot be kept: {error}") from None
