"""What a client costs the server, as far as it can be told apart from the others.

Processor time of Python code is read from the thread's clock around what is done for one client.
The system calls that read and write its socket happen later, in the event loop, for all clients at
once; their cost is measured once on this machine and counted for each read and write.
"""

from __future__ import annotations

import gc
import socket
import sys
from functools import cache
from time import thread_time
from typing import NamedTuple

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


# What belongs to one client alone. Whatever else these objects refer to is shared.
_OWN = frozenset(
    (
        "H1Connection", "H1Exchange", "H2Exchange", "Output", "SseStream", "Session",
        "Conversation", "PushStream", "Held", "Subscriber", "Receiver", "TCPTransport",
        "_SelectorSocketTransport", "deque", "dict", "set", "list", "method",
        "builtin_function_or_method",
    )
)  # fmt: skip
_CONTAINERS = (dict, set, list)
_MAX_OBJECTS = 500


def footprint(*roots: object) -> int:
    """Bytes of the objects that are kept for one client, from where it is known."""
    seen: set[int] = set()
    todo = list(roots)
    size = 0
    while todo and len(seen) < _MAX_OBJECTS:
        thing = todo.pop()
        if id(thing) in seen or type(thing).__name__ not in _OWN:
            continue
        seen.add(id(thing))
        size += sys.getsizeof(thing)
        if not isinstance(thing, _CONTAINERS):
            todo += gc.get_referents(thing)
    return size
