"""Run sessions for hours and report whether anything grows, leaks or slows down.

    make soak        or: python tests/soak.py [--hours 24] [--real-hours 1] [--folder build/soak]

Two sessions, one after the other: 24 h of session time as fast as it goes, without a screen, then
1 h in real time with the PsychoPy window. Every process is looked at 400 times. The neurons do not
bleach, so that trials go on to the end. A session that has been finished is not run again; one that
was interrupted is begun anew; one of 0 hours is left out. The figures are printed and stay in
`soak.json`.
"""

import argparse
import json
import shutil
import signal
import statistics
import sys
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil
from running_session import DEMO, ROOT, RunningSession, sets

LOOKS = 400
GROWTH, GROWTH_BYTES = 1.05, 10_000_000
"""Resident memory of the last tenth: at most so much of the second tenth, and so much on top."""
LASTING = (
    "rig.source.bleaching_tau_s=1e9",
    "experiment.task.session_s=1000000",
    # a day of drops stays below the cap, at which a session ends
    "experiment.task.reward_ul=1",
    "experiment.task.daily_cap_ul=20000",
)
AT_SPEED = (
    "rig.stream.delivery=lossless",
    "rig.screen.backend=null",
    "experiment.decoder.f0_window_s=30",
    "experiment.baseline.duration_s=300",
)


class Look(NamedTuple):
    """One process at one moment of its session."""

    session_s: float
    name: str
    pid: int
    rss_bytes: int
    n_descriptors: int
    n_threads: int


class Stage(NamedTuple):
    """One session."""

    name: str
    hours: float
    settings: tuple[str, ...]


def report(text: str) -> None:
    sys.stdout.write(text + "\n")


def look_at(session_s: float, name: str, pid: int) -> Look:
    process = psutil.Process(pid)
    descriptors = process.num_handles() if sys.platform == "win32" else process.num_fds()
    return Look(session_s, name, pid, process.memory_info().rss, descriptors, process.num_threads())


def run_stage(stage: Stage, folder: Path) -> dict[str, object]:
    """Run one session to its end; what was seen of it."""
    shutil.rmtree(folder, ignore_errors=True)
    duration_s = 3600.0 * stage.hours
    arguments = ("run", DEMO, f"--duration={duration_s}", *sets((*LASTING, *stage.settings)))
    looks: list[Look] = []
    latencies: list[tuple[float, dict[str, tuple[float, float]]]] = []
    with RunningSession(*arguments, out=folder, files=True) as session:
        # read along: a session does not wait for who reads its terminal, and lines would be lost
        words: deque[str] = deque(maxlen=3)
        assert session.process.stdout is not None
        reader = threading.Thread(target=words.extend, args=(session.process.stdout,), daemon=True)
        reader.start()
        pids: dict[str, int] = {}
        due_s = 0.0
        over = session.process.poll
        while over() is None:
            newest = session.telemetry() if any(folder.glob("*/[0-9]*/")) else None
            if newest is None or newest.session_s < due_s:
                psutil.wait_procs([psutil.Process(session.process.pid)], timeout=0.05)
                continue
            if not pids:
                # every process is there; a lossless session has its board within control
                names = ("control", "acquisition", "stimulus")
                names += () if "lossless" in " ".join(stage.settings) else ("board",)
                pids = {name: session.pid_of(name) for name in names}
                pids["supervisor"] = session.process.pid
            try:
                looks += [look_at(newest.session_s, *of) for of in pids.items()]
            except psutil.NoSuchProcess:
                break
            latencies.append((newest.session_s, newest.latency_ms))
            due_s += duration_s / LOOKS
            done = newest.session_s / duration_s
            sys.stderr.write(
                f"\r{stage.name}: {100 * done:5.1f} %, {newest.hits} hits, "
                f"{newest.lost_frames} frames lost "
            )
        code = session.process.wait(3600.0)
        reader.join(60.0)
        if not pids:
            raise SystemExit("".join(words))
        sys.stderr.write("\n")
    return {
        "stage": stage.name,
        "hours": stage.hours,
        "exit_code": code,
        "last_words": [line.rstrip() for line in words],
        "looks": looks,
        "latencies_ms": latencies,
    }


def tenth(looks: Iterable[Look], number: int, duration_s: float) -> list[Look]:
    """Looks of the n-th tenth of a session, from 1."""
    first, last = (number - 1) / 10 * duration_s, number / 10 * duration_s
    return [look for look in looks if first <= look.session_s < last]


def judge(seen: dict[str, object]) -> list[str]:
    """What of a session breaks a promise; reports its figures."""
    duration_s = 3600.0 * float(seen["hours"])
    looks = [Look(*look) for look in seen["looks"]]
    faults = [] if seen["exit_code"] == 0 else [f"{seen['stage']}: exit code {seen['exit_code']}"]
    report(f"\n{seen['stage']}, {seen['hours']} h of session time: {seen['last_words'][-1]}")
    report("| process | memory, 2nd tenth | last tenth | descriptors | threads |")
    report("| --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(look.name for look in looks):
        early, late = (
            tenth([look for look in looks if look.name == name], number, duration_s)
            for number in (2, 10)
        )
        if not early or not late:
            faults.append(f"{seen['stage']}: {name} was not seen in the second and last tenth")
            continue
        before, after = (statistics.median(one.rss_bytes for one in some) for some in (early, late))
        counts = [
            tuple(
                int(statistics.median(getattr(one, what) for one in some)) for some in (early, late)
            )
            for what in ("n_descriptors", "n_threads")
        ]
        report(
            f"| {name} | {before / 1e6:.1f} MB | {after / 1e6:.1f} MB |"
            + "".join(f" {first} → {last} |" for first, last in counts)
        )
        if after > GROWTH * before + GROWTH_BYTES:
            faults.append(f"{seen['stage']}: {name} grew from {before:.0f} to {after:.0f} bytes")
        if any(first != last for first, last in counts):
            faults.append(f"{seen['stage']}: {name} has other descriptors or threads: {counts}")
    for number, words in ((1, "first"), (10, "last")):
        in_tenth = [
            of
            for at_s, of in seen["latencies_ms"]
            if (number - 1) / 10 * duration_s <= at_s < number / 10 * duration_s
        ]
        for stage in in_tenth[-1] if in_tenth else ():
            p50, p99 = (
                statistics.median(of[stage][which] for of in in_tenth if stage in of)
                for which in (0, 1)
            )
            report(f"{words} tenth, {stage}: p50 {p50:.3f} ms, p99 {p99:.3f} ms")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "soak")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--real-hours", type=float, default=1.0)
    chosen = parser.parse_args()
    # ended from outside, it ends its session as well
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("interrupted: run it again to go on"))
    chosen.folder.mkdir(parents=True, exist_ok=True)
    file = chosen.folder / "soak.json"
    seen = json.loads(file.read_text("utf-8")) if file.exists() else []
    stages = (
        Stage("at speed", chosen.hours, AT_SPEED),
        Stage("real time", chosen.real_hours, ()),
    )
    for stage in stages:
        if stage.hours and not any((one["stage"], one["hours"]) == stage[:2] for one in seen):
            seen.append(run_stage(stage, chosen.folder / stage.name.replace(" ", "-")))
            file.write_text(json.dumps(seen), "utf-8")
    faults = [fault for one in seen for fault in judge(one)]
    report("\n".join(faults) if faults else "\nnothing grew, nothing leaked")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
