"""Compiles the two C programs of the benchmark when a source is newer than what was built."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["BENCH", "BIN", "BuildError", "build"]

BENCH = Path(__file__).resolve().parent
BIN = BENCH / "bin"

PROGRAMS = {"send_loop": ["send_loop.c"], "sink": ["sink.c", "payload.c"]}
FLAGS = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror"]


class BuildError(Exception):
    """There is no C compiler, or it refused a source."""


def build() -> None:
    """Bring `bin/` up to date. Raises BuildError."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BuildError("no C compiler found: install cc (Debian: apt-get install gcc libc6-dev)")
    BIN.mkdir(exist_ok=True)
    newest_header = max(header.stat().st_mtime for header in BENCH.glob("*.h"))
    for program, names in PROGRAMS.items():
        target = BIN / program
        sources = [BENCH / name for name in names]
        newest = max(newest_header, *(source.stat().st_mtime for source in sources))
        if target.exists() and target.stat().st_mtime >= newest:
            continue
        command = [compiler, *FLAGS, "-o", str(target), *map(str, sources)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise BuildError(f"{program} does not compile:\n{done.stderr}")
