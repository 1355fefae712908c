"""What an operator can set: one frozen record, read by the server, filled by the command line."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

__all__ = ["Settings", "dev_certificate_files"]

_T = TypeVar("_T")


def setting(default: _T, help: str) -> _T:
    """A member of `Settings`: its default, and the text that `--help` shows."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one server. Sizes in bytes, times in seconds."""

    host: str = setting(
        "127.0.0.1",
        "Address to listen on. Anything but a loopback address needs open.",
    )
    port: int = setting(
        8066,
        "Port to listen on; 0 lets the system choose a free one.",
    )
    base_path: str = setting(
        "",
        "Prefix of every URL, such as /live; empty or beginning with /, never ending with it.",
    )
    log: str = setting(
        "memory",
        "Where the log is kept: memory.",
    )
    open: bool = setting(
        False,
        "Serve without keys although bound to an address that others can reach.",
    )
    allow_host: tuple[str, ...] = setting(
        (),
        "Host names accepted beside localhost and the loopback addresses (without port).",
    )
    allow_origin: tuple[str, ...] = setting(
        (),
        "Origins whose pages may publish and open a WebSocket, such as https://example.org.",
    )
    hold_records: int = setting(
        10_000,
        "Records of one stream that can be replayed; the newest always can.",
    )
    hold_bytes: int = setting(
        8 * 2**20,
        "Payload bytes of one stream that can be replayed.",
    )
    hold_seconds: float = setting(
        24 * 3600.0,
        "Age up to which a stream's record can be replayed.",
    )
    hold_total: int = setting(
        512 * 2**20,
        "Bytes held of all topics together.",
    )
    body_limit: int = setting(
        2**20,
        "Largest body of one publish, or line of a batch, or WebSocket message.",
    )
    publish_timeout: float = setting(
        10.0,
        "Longest time that a publish waits for the log; then 503, and its outcome is unknown.",
    )
    compress: bool = setting(
        True,
        "Compress what gets smaller by it, for clients that take it so.",
    )
    drain: float = setting(
        10.0,
        "Longest time a stop may take.",
    )
    tls_cert: str = setting(
        "",
        "PEM file with the certificate and those that lead to its root; with tls_key, serves TLS.",
    )
    tls_key: str = setting(
        "",
        "PEM file with the certificate's private key.",
    )
    tls_dev: bool = setting(
        False,
        "Serve TLS with a certificate for this machine that is made when it is needed.",
    )
    retry: float = setting(
        1.0,
        "What SSE clients are told to wait before they reconnect.",
    )
    lab: bool = setting(
        False,
        "Serve the lab at /lab: six clients side by side, one a way. hexcast demo always does.",
    )
    pages: str = setting(
        "",
        "Directory of a site of plain HTML to serve, its elements with data-topic kept current.",
    )


def dev_certificate_files() -> tuple[Path, Path]:
    """The paths of the certificate that `--tls-dev` makes for this machine, and of its key.

    They are in the user's cache; the server writes them there and the Python client trusts them.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(cache) / "hexcast" / "tls"
    return folder / "dev.pem", folder / "dev-key.pem"
