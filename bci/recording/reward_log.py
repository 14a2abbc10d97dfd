"""The reward log: every drop that a subject was given, in one readable file beside its sessions.

A drop has two lines. The first, `sent`, is written before the board is asked for the drop, in one
call that a kill cannot tear; the second says what became of it. A first line without a second is a
drop that was perhaps given, and counts. Program version 0.1.0 wrote second lines alone.
"""

import csv
import errno
import hashlib
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import date, datetime
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import BinaryIO

import msgspec

from bci.config.input_file import open_input
from bci.core.board_types import RewardRequest
from bci.core.rewards import Reward, RewardFate
from bci.recording.folder import sync_data, sync_folder

log = logging.getLogger("bci.rewards")

REWARDS = "rewards.csv"
MOST_BYTES = 256_000_000
"""Of it: more than a million drops."""
REHEARSALS = ("chip", "simulated")
"""Kinds of board that give no drop; what they count is counted apart."""

Clock = Callable[[], datetime]


def local_now() -> datetime:
    """Local time with its offset from UTC, in the time zone that the computer has by now."""
    if sys.platform != "win32":
        # else a process keeps the zone that the computer had when the process began
        time.tzset()
    return datetime.now().astimezone()


class RewardLine(msgspec.Struct, frozen=True):
    """One line of the log.

    Parameters
    ----------
    time
        ISO 8601 with the offset from UTC: of the request in a line `sent`, else of the end.
    session
        Name of the session, or the verb that gave it.
    request_id, trial
        As in the session's journal; trial 0: none earned it.
    origin
        task or operator; flush or calibration: not for an animal.
    volume_ul
        As asked for, microlitres.
    state
        sent, done, failed or unknown.
    board
        `rig.board.kind`.
    """

    time: str
    session: str
    request_id: int
    origin: str
    trial: int
    volume_ul: float
    state: RewardFate
    board: str

    @property
    def day(self) -> date:
        """Local date of the line, in the time zone that the rig had then."""
        return datetime.fromisoformat(self.time).date()

    @property
    def key(self) -> tuple[str, int]:
        """What both lines of a drop have in common."""
        return self.session, self.request_id

    @property
    def reward(self) -> Reward:
        """The reward as this line has it."""
        return Reward(self.request_id, self.origin, self.trial, self.volume_ul, self.state)


FIELDS = RewardLine.__struct_fields__


def reward_log_path(folder: Path, subject: str) -> Path:
    """Where the rewards of a session in `folder` are written.

    Beside the subject's sessions; a session folder that lies in no folder of its subject keeps
    them in itself.
    """
    return (folder.parent if folder.parent.name == subject else folder) / REWARDS


def board_session(session: str) -> int:
    """Number by which a board's memory knows the drops of a session, 1 to 2**32 - 1.

    It follows from the name, so that a later session can ask the board what became of them.
    """
    digest = hashlib.sha256(session.encode()).digest()
    return int.from_bytes(digest[:4], "little") or 1


def read_reward_log(path: Path) -> list[RewardLine]:
    """All lines of a log, in order; none if there is no file.

    A line that a crash cut short, or that somebody damaged by hand, is left out and reported in the
    program's log.

    Raises
    ------
    OSError
        If the file is there and cannot be read.
    """
    reader = RewardLogReader(path)
    return [*reader.read(), *reader.read_torn()]


class RewardLogReader:
    """Follows a log as it grows: each whole line once.

    Parameters
    ----------
    path
        Of the log; need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._n_lines = 0

    def read(self) -> list[RewardLine]:
        """Lines that came since the last call; raises `OSError` if they cannot be read."""
        data = self._rest()
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        return self._parsed(whole.split(b"\n")[:-1])

    def read_torn(self) -> list[RewardLine]:
        """The last line, if no end of line follows it and it can be read all the same."""
        data = self._rest()
        return self._parsed([data]) if data and b"\n" not in data else []

    def _rest(self) -> bytes:
        try:
            with open_input(self._path, MOST_BYTES) as file:
                file.seek(self._position)
                return file.read()
        except FileNotFoundError:
            return b""

    def _parsed(self, rows: Iterable[bytes]) -> list[RewardLine]:
        lines = []
        for row in rows:
            self._n_lines += 1
            try:
                line = _parse(row.decode("utf-8", errors="replace"))
            except (ValueError, OverflowError, csv.Error) as error:
                log.warning("%s, line %d left out: %s", self._path, self._n_lines, error)
            else:
                lines += [] if line is None else [line]
        return lines


def _parse(text: str) -> RewardLine | None:
    """One line; None: empty, or the names of the columns."""
    # each by itself: a quotation mark that is never closed must not swallow the lines behind it
    row = next(csv.reader([text.rstrip("\r")]), [])
    if not row or tuple(row) == FIELDS:
        return None
    if len(row) != len(FIELDS):
        raise ValueError(f"{len(row)} values, {len(FIELDS)} are needed")
    line = msgspec.convert(dict(zip(FIELDS, row, strict=True)), RewardLine, strict=False)
    if not (isfinite(line.volume_ul) and line.volume_ul >= 0):
        raise ValueError(f"a volume of {line.volume_ul} ul")
    datetime.fromisoformat(line.time)
    return line


def unsettled(lines: Iterable[RewardLine]) -> list[RewardLine]:
    """Lines `sent` that no other line says the end of, in order."""
    waiting: dict[tuple[str, int], RewardLine] = {}
    for line in lines:
        if line.state.ended:
            waiting.pop(line.key, None)
        else:
            waiting[line.key] = line
    return list(waiting.values())


class RewardLog:
    """Writes the drops of one session, each before it is sent and again when it has ended.

    Parameters
    ----------
    path
        Of the log; made with the first line, its folder is there.
    session
        Name of the session; no other has it.
    board
        `rig.board.kind`.
    clock
        Local time with its offset.

    Attributes
    ----------
    board_session
        As of `board_session`.
    fault
        Why lines could not be written; None: all are there.
    """

    def __init__(self, path: Path, session: str, board: str, clock: Clock = local_now) -> None:
        self.path = path
        self.session = session
        self.board_session = board_session(session)
        self.fault: str | None = None
        self._board = board
        self._clock = clock
        self._ended: deque[RewardLine] = deque()
        self._news: deque[RewardLine] = deque()
        self._reader = RewardLogReader(path)
        self._writing = threading.Lock()
        self._flushing = threading.Lock()
        self._file: BinaryIO | None = None
        self._is_new = False
        self._is_synced = True

    def read(self) -> list[RewardLine]:
        """Lines that came since the last call, from anybody; raises `OSError`."""
        return self._reader.read()

    def intend(self, request: RewardRequest) -> None:
        """Put a drop on record that is about to be sent to the board.

        One write, which survives the end of the process; the disk is not waited for.

        Raises
        ------
        OSError
            If it cannot be written: the drop must not be sent then.
        """
        reward = Reward(
            request.request_id, request.origin, request.trial, request.volume_ul, RewardFate.SENT
        )
        try:
            self._append([self._line(reward, self._clock())])
        except OSError as error:
            self._fail(error)
            raise

    def end(self, reward: Reward, at: datetime) -> None:
        """Have the end of a drop written by the next `flush`; returns at once."""
        self._ended.append(self._line(reward, at))

    def settle(self, lines: Iterable[RewardLine]) -> None:
        """Write ends of drops of other sessions; raises `OSError`."""
        lines = list(lines)
        if lines:
            self._append(lines)
            self.flush()

    def flush(self) -> None:
        """Write the ends that wait, bring everything to the disk, read what others wrote.

        Never raises: see `fault`.
        """
        with self._flushing:
            try:
                n_lines = len(self._ended)
                if n_lines:
                    self._append([self._ended[place] for place in range(n_lines)])
                for _ in range(n_lines):
                    self._ended.popleft()
                self._sync()
                self._news.extend(self._reader.read())
            except OSError as error:
                self._fail(error)

    def news(self) -> list[RewardLine]:
        """Lines that `flush` found since the last call, from anybody; reads nothing itself."""
        return [self._news.popleft() for _ in range(len(self._news))]

    def close(self) -> None:
        """Write what waits."""
        self.flush()
        with self._writing:
            if self._file is not None:
                self._file.close()
                self._file = None

    def __enter__(self) -> "RewardLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _line(self, reward: Reward, at: datetime) -> RewardLine:
        return RewardLine(
            time=at.isoformat(timespec="milliseconds"),
            session=self.session,
            request_id=reward.request_id,
            origin=reward.origin,
            trial=reward.trial,
            volume_ul=reward.volume_ul,
            state=reward.fate,
            board=self._board,
        )

    def _append(self, lines: Iterable[RewardLine]) -> None:
        """Add lines in one write, so that two writers do not mix theirs."""
        with self._writing:
            if self._file is None:
                self._is_new = not self.path.exists()
                self._file = self.path.open("a+b", buffering=0)
            text = StringIO()
            rows = csv.writer(text, lineterminator="\n")
            if self._file.seek(0, os.SEEK_END) == 0:
                rows.writerow(FIELDS)
            else:
                self._file.seek(-1, os.SEEK_END)
                # behind a line that was cut short a new one begins
                text.write("" if self._file.read(1) == b"\n" else "\n")
            rows.writerows(msgspec.structs.astuple(line) for line in lines)
            content = text.getvalue().encode()
            self._is_synced = False
            if self._file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def _sync(self) -> None:
        if self._is_synced or self._file is None:
            return
        # first, because a line may come while the disk is at work
        self._is_synced = True
        sync_data(self._file.fileno())
        if self._is_new:
            self._is_new = False
            sync_folder(self.path.parent)

    def _fail(self, error: OSError) -> None:
        fault = f"{self.path}: {error.strerror or error}"
        if fault != self.fault:
            self.fault = fault
            log.error("the reward log cannot be written: %s", fault)
