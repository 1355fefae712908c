"""This machine's figures, read with psutil: what the demo publishes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Machine", "Snapshot"]

_ROOT = Path("/").resolve().anchor or "/"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The figures of one moment. Sizes in bytes, rates in bytes a second, shares in percent."""

    cpu_percent: float
    cpu_each: tuple[float, ...]
    load: tuple[float, float, float]
    memory_total: int
    memory_available: int
    memory_percent: float
    swap_percent: float
    disk_total: int
    disk_free: int
    disk_percent: float
    disk_read: float
    disk_written: float
    network_received: float
    network_sent: float
    interfaces_up: frozenset[str]
    processes: int

    def states(self) -> dict[str, dict[str, object]]:
        """The figures by topic, below `machine/`."""
        return {
            "cpu": {
                "percent": self.cpu_percent,
                "each": list(self.cpu_each),
                "processes": self.processes,
            },
            "load": {
                "1m": round(self.load[0], 2),
                "5m": round(self.load[1], 2),
                "15m": round(self.load[2], 2),
                "cores": len(self.cpu_each),
            },
            "memory": {
                "percent": self.memory_percent,
                "total": self.memory_total,
                "available": self.memory_available,
                "swap_percent": self.swap_percent,
            },
            "disk": {
                "path": _ROOT,
                "percent": self.disk_percent,
                "total": self.disk_total,
                "free": self.disk_free,
                "read_per_second": round(self.disk_read),
                "written_per_second": round(self.disk_written),
            },
            "network": {
                "received_per_second": round(self.network_received),
                "sent_per_second": round(self.network_sent),
                "interfaces": sorted(self.interfaces_up),
            },
        }


@dataclass(frozen=True, slots=True)
class _Counters:
    """What only ever grows, and when it was read."""

    at: float
    disk_read: int
    disk_written: int
    network_received: int
    network_sent: int


class Machine:
    """Reads the figures; rates are since the reading before. A reading takes some milliseconds."""

    def __init__(self) -> None:
        psutil.cpu_percent(percpu=True)  # the first call only marks the beginning
        self._before = _read_counters()

    def read(self) -> Snapshot:
        """The figures now."""
        before, now = self._before, _read_counters()
        self._before = now
        seconds = max(now.at - before.at, 1e-3)
        each = tuple(psutil.cpu_percent(percpu=True))
        memory = psutil.virtual_memory()
        disk = psutil.disk_usage(_ROOT)
        return Snapshot(
            cpu_percent=round(sum(each) / max(len(each), 1), 1),
            cpu_each=each,
            load=psutil.getloadavg(),
            memory_total=memory.total,
            memory_available=memory.available,
            memory_percent=memory.percent,
            swap_percent=psutil.swap_memory().percent,
            disk_total=disk.total,
            disk_free=disk.free,
            disk_percent=disk.percent,
            # A counter that was set back, as when a device goes, is no negative rate.
            disk_read=max(0, now.disk_read - before.disk_read) / seconds,
            disk_written=max(0, now.disk_written - before.disk_written) / seconds,
            network_received=max(0, now.network_received - before.network_received) / seconds,
            network_sent=max(0, now.network_sent - before.network_sent) / seconds,
            interfaces_up=frozenset(
                name for name, state in psutil.net_if_stats().items() if state.isup
            ),
            processes=len(psutil.pids()),
        )


def _read_counters() -> _Counters:
    disk = psutil.disk_io_counters()  # None where the system tells nothing of disks
    network = psutil.net_io_counters()
    return _Counters(
        at=time.monotonic(),
        disk_read=disk.read_bytes if disk else 0,
        disk_written=disk.write_bytes if disk else 0,
        network_received=network.bytes_recv if network else 0,
        network_sent=network.bytes_sent if network else 0,
    )
