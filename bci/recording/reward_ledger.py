"""Every drop that a subject was given, in one readable file beside its sessions."""

import csv
import logging
import os
import threading
from collections.abc import Iterable
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from queue import SimpleQueue

import msgspec

log = logging.getLogger("bci.rewards")

REWARDS = "rewards.csv"
GIVEN = ("done", "unknown")
REHEARSALS = ("chip", "simulated")
"""Kinds of board that give no drop; what they count is counted apart."""


class RewardLine(msgspec.Struct, frozen=True):
    """One reward that has ended.

    Parameters
    ----------
    time
        ISO 8601 with the offset to UTC, of its end; the day is that of the rig.
    session
        Name of the session, or the verb that gave it.
    request_id, trial
        As in the session's journal; trial 0: none earned it.
    origin
        task or operator.
    volume_ul
        As asked for, microlitres.
    state
        done, failed, or unknown: begun and never known to have ended, counted as given.
    board
        `rig.board.kind`.
    """

    time: str
    session: str
    request_id: int
    origin: str
    trial: int
    volume_ul: float
    state: str
    board: str

    @property
    def day(self) -> date:
        """Day on which it ended, where the rig is."""
        return datetime.fromisoformat(self.time).date()


FIELDS = RewardLine.__struct_fields__


def ledger_path(folder: Path, subject: str) -> Path:
    """Where the rewards of a session in `folder` are written.

    Beside the subject's sessions; a session folder that lies in no folder of its subject keeps
    them in itself.
    """
    return (folder.parent if folder.parent.name == subject else folder) / REWARDS


def volume_today(root: Path, subject: str, board: str) -> float:
    """Microlitres that a subject was given today, over all its sessions below `root`."""
    path = ledger_path(root / subject / "session", subject)
    return volume_on(read_ledger(path), date.today(), board)


def read_ledger(path: Path) -> list[RewardLine]:
    """All lines of a ledger; none where there is no file.

    A line that a crash cut short, or that somebody spoiled by hand, is left out and told in the
    log.
    """
    try:
        text = path.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    lines = []
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        if not row or tuple(row) == FIELDS:
            continue
        try:
            if len(row) != len(FIELDS):
                raise ValueError(f"{len(row)} values, {len(FIELDS)} are needed")
            line = msgspec.convert(dict(zip(FIELDS, row, strict=True)), RewardLine, strict=False)
            datetime.fromisoformat(line.time)
        except ValueError as error:
            log.warning("%s, line %d left out: %s", path, number, error)
        else:
            lines.append(line)
    return lines


def volume_on(lines: Iterable[RewardLine], day: date, board: str) -> float:
    """Microlitres given on a day, unknown ones counted; rehearsals and real drops apart."""
    rehearsal = board in REHEARSALS
    return sum(
        line.volume_ul
        for line in lines
        if line.state in GIVEN and line.day == day and (line.board in REHEARSALS) == rehearsal
    )


def append_lines(path: Path, lines: Iterable[RewardLine]) -> None:
    """Add lines, and bring them to the disk; nothing that stands there is ever changed."""
    text = StringIO()
    rows = csv.writer(text, lineterminator="\n")
    with path.open("a+b") as file:
        if file.tell() == 0:
            rows.writerow(FIELDS)
        else:
            file.seek(-1, os.SEEK_END)
            # behind a line that was cut short a new one begins
            text.write("" if file.read(1) == b"\n" else "\n")
        rows.writerows(msgspec.structs.astuple(line) for line in lines)
        # in one write, so that two writers do not mix their lines
        file.write(text.getvalue().encode())
        file.flush()
        os.fsync(file.fileno())


class RewardLedger:
    """Writes lines from a thread of its own: a slow disk holds nobody up.

    Parameters
    ----------
    path
        Of the ledger; made with the first line.

    Attributes
    ----------
    fault
        Why lines could not be written; None: all are there.
    """

    def __init__(self, path: Path) -> None:
        self.fault: str | None = None
        self._path = path
        self._queue: SimpleQueue[RewardLine | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="reward-ledger", daemon=True)
        self._thread.start()

    def add(self, line: RewardLine) -> None:
        """Have a line written; returns at once."""
        self._queue.put(line)

    def close(self) -> None:
        """Wait until all is written."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            try:
                append_lines(self._path, [line])
            except OSError as error:
                self.fault = f"{self._path}: {error.strerror or error}"
                log.error("the reward ledger cannot be written: %s", self.fault)
