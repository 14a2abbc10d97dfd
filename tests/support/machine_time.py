"""How long the machine itself kept processes from running, which no promise of a time includes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

_SAMPLE_S = 0.02


class MachineTime:
    """Time that processes were ready to run and the machine did not run them.

    That is the delay of the run queue (`/proc/PID/schedstat`), summed over the threads of each
    process, and what a hypervisor took from this computer meanwhile. 0 where the system does not
    say so.

    Parameters
    ----------
    pids
        Processes that a promise rests on; one that ends keeps what was seen last.
    """

    def __init__(self, *pids: int) -> None:
        self._first = {pid: waited_ns(pid) for pid in pids}
        self._newest = dict(self._first)
        self._stolen_s = stolen_s()
        self._over = Event()

    def look(self) -> None:
        """Read the delays that the processes have had so far."""
        for pid in self._newest:
            self._newest[pid] = max(self._newest[pid], waited_ns(pid))

    def taken_s(self) -> float:
        """Since the start, s."""
        self.look()
        waited = sum(self._newest[pid] - first for pid, first in self._first.items())
        return waited / 1e9 + max(0.0, stolen_s() - self._stolen_s)

    def watch(self) -> None:
        """Look again and again until `close`: a process may end at any moment."""
        while not self._over.wait(_SAMPLE_S):
            self.look()

    def close(self) -> None:
        """End `watch`."""
        self._over.set()


@contextmanager
def machine_time(*pids: int) -> Iterator[MachineTime]:
    """Watch what the machine takes from processes while a promise is tried."""
    machine = MachineTime(*pids)
    thread = Thread(target=machine.watch, daemon=True)
    thread.start()
    try:
        yield machine
    finally:
        machine.close()
        thread.join()


def waited_ns(pid: int) -> int:
    """Delay of the run queue of all threads of a process so far, ns; 0 if it has ended."""
    total = 0
    for schedstat in Path("/proc", str(pid), "task").glob("*/schedstat"):
        try:
            total += int(schedstat.read_text().split()[1])
        except (OSError, IndexError, ValueError):
            continue
    return total


def stolen_s() -> float:
    """What the hypervisor has given to others since the computer started, s a core."""
    try:
        _, *figures = Path("/proc/stat").read_text().partition("\n")[0].split()
        ticks = int(figures[7])
    except (OSError, IndexError, ValueError):
        return 0.0
    return ticks / os.sysconf("SC_CLK_TCK") / (os.cpu_count() or 1)
