"""Whom a client trusts over TLS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from ..settings import dev_certificate_files

__all__ = ["Trust"]


@dataclass(frozen=True, slots=True)
class Trust:
    """Without more, the system's authorities, and the certificate that `--tls-dev` has made for
    this machine's own names."""

    ca: str | None = None
    """A PEM file of the certificates to trust instead."""

    insecure: bool = False
    """Take whatever certificate the server shows: anyone on the path can read and change all."""

    def context(self, *protocols: str) -> ssl.SSLContext:
        """A context of its own, offering `protocols` by ALPN.

        Raises ValueError where the file of `ca` cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"the certificates in {self.ca}: {error}") from None
        if protocols:
            context.set_alpn_protocols(list(protocols))
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.ca is None:
            certificate, _ = dev_certificate_files()
            if certificate.is_file():
                context.load_verify_locations(certificate)
        return context
