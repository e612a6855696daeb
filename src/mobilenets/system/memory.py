"""The greatest memory that this process has held, and no other's."""

from __future__ import annotations

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_KIB, _MB = 1024, 1e6


def peak_mb() -> float | None:
    """The most physical memory this process has had since its program was started, in MB; None where none is told.

    Linux: `VmHWM` of proc(5). `getrusage` would give the greatest of this program and of the one that forked it
    (getrusage(2): `ru_maxrss` survives execve), so that a small process started by a large one looks large.
    macOS counts `ru_maxrss` per task, and a new task begins at nothing (XNU: `resident_size_max`), so what a process
    that was spawned finds is its own. Windows: `PeakWorkingSetSize` of `GetProcessMemoryInfo`.
    """
    if sys.platform == "linux":
        return _linux()
    if sys.platform == "win32":
        return _windows()
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MB  # bytes there, not kibibytes
    return None  # elsewhere neither the unit nor what exec does to it is known


def _linux() -> float | None:
    try:
        status = _STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:  # a container without /proc
        return None
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * _KIB / _MB
    return None


def _windows() -> float | None:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        """PROCESS_MEMORY_COUNTERS of psapi.h."""

        _fields_ = (
            ("cb", wintypes.DWORD),
            ("PageFaultCount", wintypes.DWORD),
            *((name, ctypes.c_size_t) for name in (
                "PeakWorkingSetSize", "WorkingSetSize", "QuotaPeakPagedPoolUsage", "QuotaPagedPoolUsage",
                "QuotaPeakNonPagedPoolUsage", "QuotaNonPagedPoolUsage", "PagefileUsage", "PeakPagefileUsage",
            )),
        )  # fmt: skip

    kernel32 = getattr(ctypes, "WinDLL")("kernel32")  # noqa: B009  # type checkers elsewhere lack it
    kernel32.GetCurrentProcess.restype = wintypes.HANDLE
    kernel32.K32GetProcessMemoryInfo.argtypes = (wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD)
    counters = Counters()
    counters.cb = ctypes.sizeof(counters)
    if not kernel32.K32GetProcessMemoryInfo(kernel32.GetCurrentProcess(), ctypes.byref(counters), counters.cb):
        return None
    return int(counters.PeakWorkingSetSize) / _MB
