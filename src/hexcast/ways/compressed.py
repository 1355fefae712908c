"""Coded answers: which coding a body gets, and the coded bodies, each made once for everyone.

A body that a client has is the dictionary for the next one (compression dictionary transport,
RFC 9842): the browser says by its SHA-256 what it has, and is sent what is different. Bodies that
were offered as dictionaries are kept for that, as many bytes of them as may be; one that is no
longer held means an answer without a dictionary.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from ..http import BODY_PAYS, Headers, code, compressible, digest
from ..model import ByteLRU
from .query import ReceiveQuery

__all__ = ["CACHED", "KEPT", "Coded", "Coder", "entity_tag"]

_BODIES_BYTES = 16 * 2**20
_DICTIONARIES_BYTES = 16 * 2**20

CACHED = ("Cache-Control", "no-cache")
KEPT = ("Cache-Control", "max-age=0, stale-while-revalidate=3600")
"""For what is kept as a dictionary; why it has to be so is said in `query.py`."""


class Coded(NamedTuple):
    """A body as it is sent."""

    body: bytes
    coding: str
    """Empty where it is as it was."""
    headers: Headers
    """What says so, and what it may be kept for."""
    kept: bool
    """Whether the client may keep it as a dictionary."""


class Coder:
    """The coded bodies and the dictionaries of one server."""

    def __init__(self) -> None:
        # What a version comes to in a coding: empty where it gets no smaller.
        self._bodies: ByteLRU[tuple[Hashable, str, bytes, bool], bytes] = ByteLRU(_BODIES_BYTES)
        self._names: ByteLRU[Hashable, bytes] = ByteLRU(_BODIES_BYTES // 16)
        # By topics as well as by name: that a value is known here is told to nobody else.
        self._dictionaries: ByteLRU[tuple[Hashable, bytes], bytes] = ByteLRU(_DICTIONARIES_BYTES)

    def dictionary(self, query: ReceiveQuery) -> bytes:
        """The dictionary that the client has, if it is held; else empty."""
        if not query.dictionary:
            return b""
        return self._dictionaries.get((query.selector.text, query.dictionary)) or b""

    def coded(
        self, query: ReceiveQuery, version: Hashable, type: str, body: bytes, *, keep: bool = False
    ) -> Coded:
        """A body of some content type as this client is sent it.

        `version` stands for the body: equal ones are the same bytes. With `keep` the client may
        keep it as a dictionary, if it asked so that it will.
        """
        must = bool(query.codings) and "identity" not in query.codings
        if not query.codings or (not must and (len(body) < BODY_PAYS or not compressible(type))):
            return Coded(body, "", (), kept=False)
        headers: Headers = ()
        kept = keep and bool(query.keep) and self._offer(query, version, body)
        if kept:
            headers = (("Use-As-Dictionary", self._use(query)),)
        dictionary = self.dictionary(query)
        for coding in query.codings:
            if coding == "identity":
                break
            if coding == "dcz" and not dictionary:
                continue
            known = dictionary if coding == "dcz" else b""
            name = query.dictionary if known else b""
            small = self._code(version, coding, name, body, known, must=must)
            if small:
                return Coded(small, coding, (("Content-Encoding", coding), *headers), kept)
        return Coded(body, "", headers, kept)

    def _code(
        self, version: Hashable, coding: str, name: bytes, body: bytes, known: bytes, *, must: bool
    ) -> bytes:
        key = (version, coding, name, must)
        small = self._bodies.get(key)
        if small is None:
            small = code(coding, body, known, must=must) or b""
            self._bodies.put(key, small, len(small))
        return small

    def _offer(self, query: ReceiveQuery, version: Hashable, body: bytes) -> bool:
        """Hold a body as a dictionary; False where it is too large for that."""
        if not self._dictionaries.fits(len(body)):
            return False
        name = self._names.get(version)
        if name is None:
            name = digest(body)
            self._names.put(version, name, len(name))
        self._dictionaries.put((query.selector.text, name), body, len(body))
        return True

    @staticmethod
    def _use(query: ReceiveQuery) -> str:
        """What the body is a dictionary for (RFC 9842, 2.1)."""
        # A page and the value may have one URL: each is kept for its own kind of request.
        page = ', match-dest=("document" "iframe")' if query.way == "refresh" else ""
        return f"match={query.keep}{page}"


def entity_tag(id: str, coding: str) -> str:
    """The strong entity tag of a version in a coding (protocol 3)."""
    return f'"{id}~{coding}"' if coding else f'"{id}"'
