"""What a client costs the server, as far as it can be told apart from the others.

Processor time of Python code is read from the thread's clock around what is done for one client.
The system calls that read and write its socket happen later, in the event loop, for all clients at
once; their cost is measured once on this machine and counted for each read and write.
"""

from __future__ import annotations

import gc
import socket
import ssl
import sys
from collections import deque
from functools import cache
from time import thread_time
from types import BuiltinMethodType, MethodType
from typing import NamedTuple

from ..model import PerClient

__all__ = ["CallCost", "call_cost", "footprint"]

_ROUNDS = 100
_PIECE = b"x" * 256


class CallCost(NamedTuple):
    """Processor seconds of one system call on a loopback connection."""

    send: float
    receive: float


@cache
def call_cost() -> CallCost:
    """Measure, once; takes some milliseconds."""
    send = receive = 0.0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(1)
        near = socket.create_connection(listener.getsockname(), timeout=1)
        far, _ = listener.accept()
    with near, far:
        far.settimeout(1)
        for _ in range(_ROUNDS):
            began = thread_time()
            near.sendall(_PIECE)
            sent = thread_time()
            far.recv(len(_PIECE))
            receive += thread_time() - sent
            send += sent - began
    return CallCost(send / _ROUNDS, receive / _ROUNDS)


_CONTAINERS = (dict, set, list)
_OF_LIBRARIES = (ssl.SSLObject, ssl.MemoryBIO, deque, MethodType, BuiltinMethodType)
_MAX_OBJECTS = 500


def _kept_for_one(thing: object) -> bool:
    if isinstance(thing, (PerClient, *_OF_LIBRARIES, *_CONTAINERS)):
        return True
    return hasattr(type(thing), "get_extra_info")  # a transport, of whatever event loop


def footprint(*roots: object) -> int:
    """Bytes of the objects that are kept for one client, reached from `roots`.

    A connection that several exchanges share is counted for each. What OpenSSL and the kernel
    keep is not seen from here.
    """
    seen: set[int] = set()
    todo = list(roots)
    size = 0
    while todo and len(seen) < _MAX_OBJECTS:
        thing = todo.pop()
        if id(thing) in seen or not _kept_for_one(thing):
            continue
        seen.add(id(thing))
        size += sys.getsizeof(thing)
        if not isinstance(thing, _CONTAINERS):
            todo += gc.get_referents(thing)
    return size
