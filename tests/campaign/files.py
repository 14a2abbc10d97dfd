"""Damaged and hostile files, each kind read in one process that must survive all of them."""

import json
import random
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from recorded_formats import write_nwb, write_suite2p
from support.command_line import run_here
from support.hostile_journals import read_every_way, spoil_journal, write_rich_session
from support.hostile_messages import FRAGMENTS
from unit.recorded_session import record_session

from bci.config.load import load_session
from bci.core.board_types import RewardRequest
from bci.recording.folder import read_endpoints, write_endpoints
from bci.recording.manifest import read_manifest
from bci.recording.readers.registry import read_traces
from bci.recording.recover import recover
from bci.recording.reward_log import REWARDS, RewardLog, read_reward_log
from bci.recording.subject import StoredEnsembles, SubjectFolder, now_iso
from bci.recording.verify import verify
from campaign.sessions import written_to

SUBJECT, SESSION = "mouse", "session"
START_S = 120.0
MOST_MEMORY = 8_000_000_000
READ_S = 20.0
"""How long one file may take on the average, on a busy machine."""
Change = Callable[[bytes, random.Random], bytes]


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Some bytes changed."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 20)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def truncated(content: bytes, rng: random.Random) -> bytes:
    """The beginning alone."""
    return content[: rng.randint(0, len(content))]


def spliced(content: bytes, rng: random.Random) -> bytes:
    """A stretch of it repeated, left out or replaced by garbage."""
    a, b = sorted(rng.randint(0, len(content)) for _ in range(2))
    fill = rng.choice([b"", content[a:b] * 2, rng.randbytes(rng.randint(1, 1000))])
    return content[:a] + fill + content[b:]


def nested(content: bytes, rng: random.Random) -> bytes:
    """Something deep, huge or of another kind put into it."""
    others = [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000, b"\xff\xfe", *FRAGMENTS.values()]
    at = rng.randint(0, len(content))
    return content[:at] + rng.choice(others) + content[at:]


def numbers(content: bytes, rng: random.Random) -> bytes:
    """Digits of it changed, so that lengths and shapes lie."""
    places = [place for place, byte in enumerate(content[:5000]) if 48 <= byte <= 57]
    changed = bytearray(content)
    for place in rng.sample(places, min(len(places), rng.randint(1, 8))):
        changed[place : place + 1] = rng.choice([b"-1", b"9", b"0", b"9" * 20])
    return bytes(changed)


class WrongEnd(AssertionError):
    """A verb ended with an exit code that is not for wrong input."""


CHANGES: tuple[Change, ...] = (flipped, truncated, spliced, nested, numbers)


def read_toml(path: Path) -> None:
    """As `bci check` does."""
    load_session(path / "session.toml")


def read_recording(path: Path) -> None:
    """As a source of frames."""
    (inside,) = path.iterdir()
    read_traces(inside, 30.0)


def read_journal(path: Path) -> None:
    """As `bci verify` and `bci recover` do, and what the recovered one holds."""
    verify(path)
    recover(path)
    verify(path)


def read_contradictory(path: Path) -> None:
    """As the verbs do that read a session, and the window."""
    read_every_way(path / SUBJECT / SESSION, with_files=True)
    for verb in ("verify", "export", "report", "recover"):
        ended = run_here(verb, path / SUBJECT / SESSION)
        if ended.code not in (0, 2) and (verb, ended.code) != ("verify", 1):
            raise WrongEnd(f"bci {verb}: exit code {ended.code}: {ended.err}")


def read_subject(path: Path) -> None:
    """As a session does before it starts."""
    read_reward_log(path / SUBJECT / REWARDS)
    folder = SubjectFolder(path, SUBJECT)
    folder.ensembles()
    folder.calibrations()
    folder.days()
    folder.notes()


def read_manifest_file(path: Path) -> None:
    """As everything that opens a session's folder does."""
    read_manifest(path).session_settings()


READERS: dict[str, Callable[[Path], object]] = {
    "config TOML": read_toml,
    "suite2p": read_recording,
    "npy": read_recording,
    "npz": read_recording,
    "NWB": read_recording,
    "journal": read_journal,
    "contradictory journal": read_contradictory,
    "manifest": read_manifest_file,
    "subject": read_subject,
    "endpoints": read_endpoints,
}
"""Kind of file -> how the program reads it, from the folder that holds it."""


def write_valid(kind: str, folder: Path) -> None:
    """Write a valid file, or folder, of a kind."""
    folder.mkdir(parents=True)
    traces = np.random.default_rng(1).random((6, 40), np.float32)
    match kind:
        case "config TOML":
            written_to(folder)
        case "suite2p":
            write_suite2p(folder, traces, 15.0)
        case "npy":
            np.save(folder / "traces.npy", traces)
        case "npz":
            np.savez(folder / "traces.npz", traces=traces, rate_hz=30.0)
        case "NWB":
            write_nwb(folder / "nwb", traces, 30.0).rename(folder / "recording.nwb")
            (folder / "nwb").rmdir()
        case "contradictory journal":
            write_rich_session(folder / SUBJECT / SESSION)
        case "journal" | "manifest":
            record_session(folder)
        case "subject":
            (folder / SUBJECT).mkdir()
            with RewardLog(folder / SUBJECT / REWARDS, "session", "simulated") as log:
                for number in range(3):
                    log.intend(RewardRequest(number, 4.0, 1))
            SubjectFolder(folder, SUBJECT).add(
                StoredEnsembles(at=now_iso(), p_plus=("roi0000",), p_minus=("roi0001",))
            )
        case "endpoints":
            write_endpoints(folder, {"frames": "tcp://127.0.0.1:5"}, "token")


def damaged_copy(kind: str, valid: Path, folder: Path, rng: random.Random) -> str:
    """Write a copy of which one file is damaged; what was done, in words."""
    shutil.copytree(valid, folder)
    if kind == "contradictory journal":
        return spoil_journal(folder / SUBJECT / SESSION, rng)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if kind in ("journal", "manifest"):
        suffix = ".mcap" if kind == "journal" else ".json"
        files = [path for path in files if path.suffix == suffix]
    path, change = rng.choice(files), rng.choice(CHANGES)
    path.write_bytes(change(path.read_bytes(), rng))
    return f"{change.__name__} {path.name}"


def fault_of(error: BaseException | None) -> str:
    """Why an error is none that a user can be told; empty if it is, or if there is none."""
    foreseen = error is None or isinstance(error, OSError)
    if foreseen or type(error).__module__.partition(".")[0] == "bci":
        return ""
    place = traceback.extract_tb(error.__traceback__)[-1] if error is not None else None
    return f"{type(error).__name__}: {str(error)[:100]} ({place.name if place else '?'})"


def read_all(kind: str, n_files: int, seed: int, folder: Path) -> None:
    """Damage and read so many files of a kind in this process; a line of JSON about each."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    valid = folder / "valid"
    write_valid(kind, valid)
    READERS[kind](valid)
    for number in range(n_files):
        rng, copy = random.Random(f"{seed} {kind} {number}"), folder / "damaged"
        did = damaged_copy(kind, valid, copy, rng)
        started, error = time.monotonic(), None
        try:
            READERS[kind](copy)
        # what it raised is what is looked for here
        except Exception as raised:  # noqa: BLE001
            error = raised
        seconds = time.monotonic() - started
        told = {"did": did, "error": type(error).__name__ if error else "", "seconds": seconds}
        sys.stdout.write(json.dumps({**told, "fault": fault_of(error)}) + "\n")
        sys.stdout.flush()
        shutil.rmtree(copy)


@dataclass(frozen=True)
class FilesOutcome:
    """What became of a process that read damaged files of one kind.

    Parameters
    ----------
    kind, n_files
        What it was to read.
    n_read, n_refused
        Files read, and refused with an error that a user can be told.
    slowest_s
        Longest time for one file, s.
    exit_code
        Of the process; negative for a signal.
    faults
        Errors that nobody foresaw, or its end.
    """

    kind: str
    n_files: int
    n_read: int
    n_refused: int
    slowest_s: float
    exit_code: int
    faults: tuple[str, ...]


def survived(kind: str, n_files: int, seed: int, folder: Path) -> FilesOutcome:
    """Read damaged files of a kind in one process of its own."""
    arguments = [kind, str(n_files), str(seed), str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "campaign.files", *arguments],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    faults = []
    try:
        output, said = process.communicate(timeout=START_S + READ_S * n_files)
    except subprocess.TimeoutExpired:
        process.kill()
        output, said = process.communicate()
        faults.append("hangs")
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    if len(lines) < n_files:
        last = (said.splitlines() or [""])[-1]
        faults.append(f"ended after {len(lines)} files, exit code {process.returncode}: {last}")
    faults += [f"{line['did']}: {line['fault']}" for line in lines if line["fault"]]
    return FilesOutcome(
        kind,
        n_files,
        sum(not line["error"] for line in lines),
        sum(bool(line["error"]) and not line["fault"] for line in lines),
        round(max((line["seconds"] for line in lines), default=0.0), 3),
        process.returncode,
        tuple(faults),
    )


if __name__ == "__main__":
    read_all(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
