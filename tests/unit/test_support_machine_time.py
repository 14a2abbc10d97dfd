"""Promises of a time leave out what the machine took: here it is taken on purpose."""

import os
import subprocess
import sys

import pytest
from support.machine_time import machine_time, waited_ns
from waiting import until

BUSY = "import os; os.sched_setaffinity(0, {0}); print(flush=True)\nwhile True: pass"
# what keeps a core from running one of two is what it gives to the other
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or waited_ns(os.getpid()) == 0, reason="no run-queue delays here"
)


def test_time_on_the_run_queue_is_the_machines() -> None:
    loops = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", BUSY], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    try:
        with machine_time(loops[0].pid) as machine:
            until(lambda: machine.taken_s() > 0.2)
            loops[0].kill()
            loops[0].wait()
            before_s = machine.taken_s()
            assert before_s > 0.2, "a process that ended keeps what was seen"
    finally:
        for loop in loops:
            loop.kill()
            loop.communicate()


def test_process_that_has_ended_was_kept_from_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    ended.wait()
    with machine_time(ended.pid) as machine:
        assert waited_ns(ended.pid) == 0
    assert machine.taken_s() >= 0.0
