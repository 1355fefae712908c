"""A client's address, as its transport has it."""

from __future__ import annotations

import asyncio
import sys

__all__ = ["client_address"]


def client_address(transport: asyncio.BaseTransport) -> str:
    """The client's IP address; empty where the transport has none (a Unix socket)."""
    peer = transport.get_extra_info("peername")
    # Interned: thousands of connections may come from one proxy.
    return sys.intern(str(peer[0])) if isinstance(peer, tuple | list) and peer else ""
