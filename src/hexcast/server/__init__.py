"""The server: one node behind listening sockets, with its routes, signals and drain.

Begin with `node`, which is everything but sockets, then `server`; `routes` says which request is
answered by what; `prometheus` writes `/metrics`, `listing` the topics.
"""

from .server import Server, run

__all__ = [
    "Server",
    "run",
]
