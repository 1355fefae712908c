"""The server: one node behind listening sockets, with its routes, signals and drain.

Begin with `server`; `routes` says which request is answered by what; `prometheus` writes
`/metrics`.
"""

from .server import Server, run

__all__ = [
    "Server",
    "run",
]
