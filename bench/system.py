"""What the OS knows: CPU time and memory of a process, limits, and the machine's description."""

from __future__ import annotations

import os
import platform
import resource
import socket
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = [
    "cpu_ns",
    "free_port",
    "machine",
    "raise_file_limit",
    "rss_bytes",
    "wait_quiet",
    "wait_settled",
]

QUIET_WINDOW = 0.05
"""Seconds over which a process must do next to nothing to count as quiet."""


def _processes(pid: int) -> list[int]:
    """The process and its children, all the way down."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _processes(int(child))
    return found


def cpu_ns(pid: int) -> int:
    """CPU time of a process, its threads and its children so far, in nanoseconds.

    From `schedstat`, which is exact to the nanosecond, where `stat` counts in ticks of 10 ms.
    Threads that have ended are not in it; neither server nor C loop ends any while measured.
    """
    return sum(
        int((task / "schedstat").read_text().split()[0])
        for process in _processes(pid)
        for task in Path(f"/proc/{process}/task").iterdir()
    )


def rss_bytes(pid: int) -> int:
    """Resident memory of a process and its children, in bytes."""
    total = 0
    for process in _processes(pid):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                total += int(line.split()[1]) * 1024
    return total


def wait_quiet(pid: int, deadline: float = 20.0) -> None:
    """Wait until a process has nothing in hand: under 2% of a core over a short window."""
    ends = time.monotonic() + deadline
    while True:
        before = cpu_ns(pid)
        time.sleep(QUIET_WINDOW)
        if cpu_ns(pid) - before < QUIET_WINDOW * 1e9 * 0.02:
            return
        if time.monotonic() > ends:
            raise TimeoutError(f"the server was still busy after {deadline:g} s")


def wait_settled(pid: int, deadline: float = 20.0) -> int:
    """Wait until a process' memory stays the same within 64 KiB for half a second; return it."""
    ends = time.monotonic() + deadline
    before = rss_bytes(pid)
    while True:
        time.sleep(0.5)
        now = rss_bytes(pid)
        if abs(now - before) <= 65536:
            return now
        if time.monotonic() > ends:
            raise TimeoutError(f"the server's memory was still moving after {deadline:g} s")
        before = now


def raise_file_limit(wanted: int) -> None:
    """Let this process and those it starts open `wanted` files. Raises OSError if it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, PermissionError) as error:
        raise OSError(f"{wanted} open files are needed, {hard} are allowed") from error


def free_port() -> int:
    """A TCP port of the loopback address that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def machine() -> dict[str, str]:
    """What the figures were taken on, read now."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": f"{model}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{memory:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {sys.version.split()[0]}",
        "packages": ", ".join(
            f"{name} {_version(name)}" for name in ("hexcast", "uvloop", "httptools", "msgspec")
        ),
    }
