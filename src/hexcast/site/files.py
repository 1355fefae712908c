"""The files of a site: which one an address names, what it holds, and what may not be asked for.

Only what is under the site's directory is given out, whatever the address says and wherever a
symbolic link leads; nothing whose name, or that of a folder above it, begins with a dot; only plain
files. What was read is kept while the file stays as it was.
"""

from __future__ import annotations

import errno
import hashlib
import mimetypes
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from ..model import ByteLRU

__all__ = ["MAX_AT_ONCE", "Elsewhere", "File", "Files", "Found"]

MAX_AT_ONCE = 2**20
"""Bytes of the largest file that is read whole; larger ones are read as they are sent."""

MAX_KEPT = 2**25
"""Bytes of files that are kept."""

SETTLED_SECONDS = 2.0
"""How long a file must not have been written to before its times are taken to tell all."""

# Beside what Python knows on every machine; what the machine's own tables say differs.
_TYPES = mimetypes.MimeTypes()
for _type, _endings in (
    ("text/javascript", (".js", ".mjs")),
    ("text/markdown", (".md",)),
    ("font/woff", (".woff",)),
    ("font/woff2", (".woff2",)),
    ("font/ttf", (".ttf",)),
    ("image/webp", (".webp",)),
    ("image/avif", (".avif",)),
    ("image/svg+xml", (".svg",)),
    ("image/x-icon", (".ico",)),
    ("application/wasm", (".wasm",)),
    ("application/manifest+json", (".webmanifest",)),
):
    for _ending in _endings:
        _TYPES.add_type(_type, _ending)

_ENCODED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


def media_type(name: str) -> str:
    """The content type of a file, by its name."""
    type, encoding = _TYPES.guess_type("x:/" + name)
    if encoding:
        return _ENCODED.get(encoding, "application/octet-stream")
    if type is None:
        return "application/octet-stream"
    return f"{type}; charset=utf-8" if type.startswith("text/") else type


@dataclass(frozen=True, slots=True)
class Found:
    """A plain file that may be given out, as it is at this moment."""

    path: str
    """Where it is, with no symbolic link on the way."""
    size: int
    mtime: int
    """Nanoseconds since 1970 UTC."""
    ctime: int
    inode: int

    @property
    def tag(self) -> str:
        """What tells this version from others without reading it."""
        return f"{self.mtime:x}-{self.size:x}"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The address of a folder without the `/` at its end: its page is under another one."""

    path: str
    """Percent-encoded, under the site's root."""


@dataclass(slots=True, eq=False)
class File:
    """What a file holds."""

    found: Found
    data: bytes
    tag: str
    """Names these bytes."""


class Files:
    """The files under a directory. `now` gives seconds since 1970 UTC."""

    def __init__(self, root: str, now: Callable[[], float]) -> None:
        """Raises ValueError where `root` is no directory."""
        self.root = os.path.realpath(root)
        if not os.path.isdir(self.root):
            raise ValueError(f"--pages: {root} is not a directory")
        self._now = now
        self._kept: ByteLRU[str, File] = ByteLRU(MAX_KEPT)

    def find(self, path: str) -> Found | Elsewhere | None:
        """What an address (decoded, beginning with `/`) names; None where that is nothing."""
        segments = path.split("/")[1:]
        folder = segments and segments[-1] == ""
        if folder:
            segments.pop()
        if not all(map(_fair, segments)):
            return None
        try:
            real = os.path.realpath(os.path.join(self.root, *segments), strict=True)
            if not self._inside(real):
                return None
            status = os.stat(real)
            if stat.S_ISDIR(status.st_mode):
                if not folder:
                    return Elsewhere("/" + quote("/".join(segments)) + "/")
                real = os.path.realpath(os.path.join(real, "index.html"), strict=True)
                if not self._inside(real):
                    return None
                status = os.stat(real)
            elif folder:
                return None
        except (OSError, ValueError):  # nothing there, not to be reached, a loop of links, a NUL
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return _found(real, status)

    def _inside(self, real: str) -> bool:
        if real == self.root:
            return True
        prefix = self.root if self.root.endswith("/") else self.root + "/"
        if not real.startswith(prefix):
            return False
        return all(map(_fair, real[len(prefix) :].split("/")))

    def open(self, found: Found) -> tuple[int, Found]:
        """Open a file that was found; with what it is now. Raises OSError where it is none now."""
        # A name may have come to lead elsewhere, or to a pipe that nobody writes to.
        descriptor = os.open(found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a plain file any more")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, _found(found.path, status)

    def read(self, found: Found) -> File:
        """What a file of at most MAX_AT_ONCE bytes holds. Raises OSError."""
        kept = self._kept.get(found.path)
        if kept is not None and kept.found == found:
            return kept
        descriptor, now = self.open(found)
        with open(descriptor, "rb", closefd=True) as opened:
            data = opened.read(MAX_AT_ONCE + 1)
        if len(data) > MAX_AT_ONCE:
            raise OSError(errno.EFBIG, "grew while it was read")
        file = File(now, data, hashlib.blake2b(data, digest_size=9).hexdigest())
        # What is written twice within a tick of the file system's clock has the same times.
        if self._now() - max(now.mtime, now.ctime) / 1e9 > SETTLED_SECONDS:
            self._kept.put(found.path, file, len(data))
        return file


def _found(real: str, status: os.stat_result) -> Found:
    return Found(real, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _fair(segment: str) -> bool:
    """Whether a name may be part of an address: not empty, hidden, above, or of another system."""
    return bool(segment) and not segment.startswith(".") and not set(segment) & {"\0", "\\", "/"}
