"""Run tests ten times on a machine that is busy and stands still now and then.

    python Makefile.d/shake.py [--times 10] [pytest's arguments, files for example]

Each run is in another random order, beside two busy loops, and its process is stopped for 0.2 s
every second. A test that leans on the machine's speed fails here rather than on somebody's day.
"""

import argparse
import random
import signal
import subprocess
import sys
import time

BUSY_LOOPS = 2
STOP_S = 0.2
EVERY_S = 1.0
BUSY = "while True: pass"


def shake(arguments: list[str], seed: int) -> int:
    """Run pytest once, stopped and let go again until it ends; its exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    process = subprocess.Popen([*command, f"--randomly-seed={seed}", *arguments])
    try:
        while True:
            try:
                return process.wait(EVERY_S - STOP_S)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGSTOP)
                time.sleep(STOP_S)
                process.send_signal(signal.SIGCONT)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def main() -> int:
    """Shake the tests; 0 if they held every time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=10)
    known, arguments = parser.parse_known_args()
    if sys.platform == "win32":
        sys.stderr.write("shake: Windows cannot stop a process and let it go on\n")
        return 2
    if not arguments:
        sys.stderr.write("shake: name tests: make shake FILES='tests/unit/test_core_task.py'\n")
        return 2
    loops = [subprocess.Popen([sys.executable, "-I", "-S", "-c", BUSY]) for _ in range(BUSY_LOOPS)]
    failed = []
    try:
        for run in range(1, known.times + 1):
            seed = random.randrange(1 << 32)
            began_s = time.monotonic()
            code = shake(arguments, seed)
            took_s = time.monotonic() - began_s
            sys.stdout.write(f"shake: run {run} of {known.times}: exit {code}, {took_s:.0f} s\n")
            sys.stdout.flush()
            if code:
                failed.append((run, seed, code))
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    for run, seed, code in failed:
        sys.stdout.write(f"shake: run {run} failed (exit {code}): --randomly-seed={seed}\n")
    sys.stdout.write(f"shake: {known.times - len(failed)} of {known.times} runs held\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
