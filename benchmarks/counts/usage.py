"""Seconds and peak memory of a block of code in the process that runs it."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

__all__ = ["Usage", "measured"]

T = TypeVar("T")


@dataclass(frozen=True)
class Usage:
    """Wall and processor seconds (all threads and children waited for), and peak resident memory in MiB."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def measured(call: Callable[[], T]) -> tuple[T, Usage]:
    """Run ``call`` and say what it took; the peak counts from the start of the call where the system can reset it."""
    _reset_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, Usage(time.perf_counter() - wall, time.process_time() - cpu, _peak_mb())


def _reset_peak() -> None:
    """Linux forgets the high-water mark when told so; elsewhere the peak is that of the process so far."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def _peak_mb() -> float:
    # Not ru_maxrss alone: on Linux a child starts from its parent's mark and it cannot be reset.
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
