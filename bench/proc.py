"""What processes cost, from Linux's /proc: CPU seconds, memory, and how busy the machine is with other work."""

import os
import resource
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT = 3, 4
_PARENT = 1


def _stat(pid: int) -> list[str]:
    """The fields behind the command's name, which may hold spaces; empty for a process that has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    parents = {int(entry.name): _stat(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit()}
    found = [pid]
    for member in found:
        found += [child for child, stat in parents.items() if stat and int(stat[_PARENT]) == member]
    return found


def tells() -> bool:
    """Whether this kernel counts the time of each thread."""
    return (PROC / "self" / "schedstat").exists()


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of all threads of processes, to the nanosecond; those that have ended count nothing."""
    return sum(_thread_nanoseconds(PROC / str(pid) / "task") for pid in pids) / 1e9


def _thread_nanoseconds(threads: Path) -> int:
    total = 0
    with suppress(OSError):
        for thread in threads.iterdir():
            with suppress(OSError):
                total += int((thread / "schedstat").read_text().split()[0])
    return total


def ended_seconds() -> float:
    """What children of this process that have ended and were waited for had used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def pin(pids: Iterable[int], core: int) -> None:
    """Keeps processes, all their threads and what they start from now on, on one core."""
    for pid in pids:
        with suppress(OSError):
            for thread in (PROC / str(pid) / "task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})


def busy_seconds() -> float:
    """What all cores together have worked since the machine started."""
    ticks = [int(field) for field in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT]) / TICKS


def memory_mib(pids: Iterable[int]) -> float:
    """Proportional set size in MiB: pages that several processes share count once among them."""
    total = 0
    for pid in pids:
        try:
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total / 1024


def machine() -> str:
    """The processor, its cores and the memory, in one line."""
    described = (PROC / "cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in described if line.startswith("model name")), os.uname()[4])
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {model}, {gibibytes:.0f} GiB of memory, Linux {os.uname().release.split('-')[0]}"
