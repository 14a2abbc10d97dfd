"""A well-formed journal from one that was cut short or damaged; the damaged one is kept."""

import os
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from bci.core.counted import counted
from bci.recording.exclusive import release, take
from bci.recording.folder import DAMAGED_JOURNAL, JOURNAL, sync_folder
from bci.recording.integrity import Integrity, check_journal
from bci.recording.layout import CHANNEL_IDS, Part, epilogue, pack_message, parts_of, prologue
from bci.recording.manifest import NoManifest, read_manifest
from bci.recording.records import JournalEnd, JournalStart, LostSpan, Recovered, Topic
from bci.recording.scan import Damage, JournalBytes, Message
from bci.recording.session_record import read_frame

_REBUILT = ".journal.recovering"


class StillRecording(RuntimeError):
    """The journal is still being written."""


@dataclass(frozen=True)
class RecoveryReport:
    """What `recover` found and did.

    Parameters
    ----------
    journal
        The whole journal.
    damaged
        Where the journal is kept as it was found; None: it was whole, nothing was done.
    n_kept
        Records carried over, byte for byte.
    lost
        What was left out, in the order of the file.
    last_frame_id, last_sequence
        Of the last frame kept; -1 and 0: none.
    time_lost_s
        Time between the records around each lost stretch; behind the last record, until the file
        was last written to. An upper bound.
    """

    journal: Path
    damaged: Path | None
    n_kept: int
    lost: tuple[LostSpan, ...]
    last_frame_id: int
    last_sequence: int
    time_lost_s: float

    @property
    def n_lost(self) -> int:
        """Records left out or missing, the one that was cut short counted."""
        return sum(max(span.last - span.first + 1, 0) for span in self.lost)

    def __str__(self) -> str:
        if self.damaged is None:
            kept = counted(self.n_kept, "record")
            return f"{self.journal}: whole and closed, nothing to do ({kept})."
        is_empty = self.last_frame_id < 0
        frames = "no frame among them" if is_empty else f"last frame id {self.last_frame_id}"
        lines = [
            f"{self.journal}: {counted(self.n_kept, 'record')} kept, {self.n_lost} lost, "
            f"at most {self.time_lost_s:.3f} s; {frames}."
        ]
        lines += [f"  byte {span.offset}: {span.detail}" for span in self.lost]
        lines.append(f"  as it was found: {self.damaged}")
        return "\n".join(lines)


def recover(folder: Path) -> RecoveryReport:
    """Make the journal of a session whole again.

    Every record whose CRC holds is carried over byte for byte, with its number; the rest is named
    in a record of its own, so that `verify` knows the gaps. The journal as it was found is kept as
    `journal.damaged.mcap` and never overwritten. Interrupted at any moment, a second run ends it;
    on a whole journal it does nothing.

    Parameters
    ----------
    folder
        Folder of a session that is over.

    Raises
    ------
    FileNotFoundError
        Where there is no journal.
    StillRecording
        Where the session still runs.
    OSError
        Where the folder cannot be written to.
    """
    path, damaged = folder / JOURNAL, folder / DAMAGED_JOURNAL
    # Between its two renames an earlier run leaves the damaged journal alone.
    source = path if path.exists() or not damaged.exists() else damaged
    with source.open("rb") as file:
        if not take(file.fileno()):
            raise StillRecording(f"{path}: still being written. End the session first.")
        release(file.fileno())
    rebuilt = folder / _REBUILT
    with JournalBytes(source) as journal:
        integrity = check_journal(journal)
        if not integrity.defects and integrity.unclosed is None and source == path:
            return _nothing_to_do(path, journal, integrity)
        name = damaged.name if source == damaged else _free_name(damaged).name
        report = _rebuild(rebuilt, journal, integrity, name)
    if source == path:
        os.rename(path, folder / name)
    os.replace(rebuilt, path)
    sync_folder(folder)
    return report


def _rebuild(path: Path, journal: JournalBytes, integrity: Integrity, name: str) -> RecoveryReport:
    """Write the whole journal; where the disk has no room for it, nothing of it is left."""
    try:
        with path.open("wb") as out:
            report = _Rebuild(out, journal, integrity, path.parent, name).run()
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        error.filename = error.filename or str(path)
        raise
    return report


class _Rebuild:
    """One pass over the damaged journal, writing the whole one."""

    def __init__(
        self, out: BinaryIO, journal: JournalBytes, integrity: Integrity, folder: Path, name: str
    ) -> None:
        self._out = out
        self._journal = journal
        self._integrity = integrity
        self._folder = folder
        self._name = name
        self._bytes = 0
        self._crc = 0
        self._counts: Counter[int] = Counter()
        self._times_ns: tuple[int, int] | None = None
        self._lost: list[LostSpan] = []
        self._time_lost_ns = 0
        self._next = 0

    def run(self) -> RecoveryReport:
        defects = self._integrity.defects
        details = {one.offset: str(one) for one in defects if one.offset is not None}
        before = self._write_prologue()
        first, last, last_frame = None, None, None
        for found in self._journal.scan():
            if isinstance(found, Damage):
                self._lost.append(self._span(found, details))
                self._next = max(self._next, found.last + 1)
                continue
            if found.topic is Topic.END:
                continue
            if first is None:
                first = found
                if found.topic is not Topic.START:
                    self._write_start(before, found.wall_ns, found.perf_ns)
            if self._lost and last is not None and self._lost[-1].last + 1 == found.number:
                self._time_lost_ns += max(found.perf_ns - last.perf_ns, 0)
            if found.topic is Topic.START and not self._keeps_start(before):
                self._write_start(before, found.wall_ns, found.perf_ns)
            else:
                self._copy(found)
            last = found
            if found.topic is Topic.FRAME:
                last_frame = found
        return self._end(before, last, last_frame)

    def _end(
        self, before: tuple[Part, ...], last: Message | None, last_frame: Message | None
    ) -> RecoveryReport:
        data = self._journal.data
        if last is None:
            self._write_start(before, 0, 0)
        n_kept = sum(self._counts.values())
        if self._integrity.end is None and last is not None:
            written_ns = self._journal.path.stat().st_mtime_ns
            self._time_lost_ns += max(written_ns - last.wall_ns, 0)
        frame = read_frame(bytes(data[last_frame.payload])) if last_frame else None
        frame_id = frame.frame.frame_id if frame else -1
        lost = tuple(self._lost)
        wall_ns, perf_ns = (last.wall_ns, last.perf_ns) if last else (0, 0)
        self._message(
            Topic.RECOVERY, wall_ns, perf_ns, Recovered(n_kept, lost, frame_id, self._name)
        )
        end = self._integrity.end
        reason = f"recovered; {end.reason}" if end else "recovered; the journal was cut short"
        n_refused = end.n_refused if end else 0
        self._message(
            Topic.END,
            wall_ns,
            perf_ns,
            JournalEnd(reason, sum(self._counts.values()), n_refused),
        )
        after = epilogue(before, self._counts, self._times_ns or (0, 0), self._crc, self._bytes)
        self._write(b"".join(part.content for part in after))
        return RecoveryReport(
            self._folder / JOURNAL,
            self._folder / self._name,
            n_kept,
            lost,
            frame_id,
            frame.sequence if frame else 0,
            self._time_lost_ns / 1e9,
        )

    def _write_prologue(self) -> tuple[Part, ...]:
        integrity, start = self._integrity, self._integrity.start
        before = prologue()
        if start is not None and integrity.prologue_whole:
            before = tuple(self._recorded_parts(start))
        self._write(b"".join(part.content for part in before))
        return before

    def _recorded_parts(self, start: JournalStart) -> Iterator[Part]:
        offset = 0
        for length, _ in start.prologue_parts:
            yield Part("as recorded", bytes(self._journal.data[offset : offset + length]))
            offset += length

    def _keeps_start(self, before: tuple[Part, ...]) -> bool:
        start = self._integrity.start
        return start is not None and start.prologue_parts == parts_of(before)

    def _write_start(self, before: tuple[Part, ...], wall_ns: int, perf_ns: int) -> None:
        """The first record again, for a prologue that had to be made anew or lost it."""
        start = self._integrity.start
        if start is None:
            try:
                manifest = read_manifest(self._folder)
                name, settings = manifest.session, manifest.settings_hash
            except NoManifest:
                name, settings = "", ""
            start = JournalStart(name, settings, wall_ns, perf_ns)
        content = b"".join(part.content for part in before)
        start = msgspec.structs.replace(
            start, prologue_crc=zlib.crc32(content), prologue_parts=parts_of(before)
        )
        following, self._next = self._next, 0
        self._message(Topic.START, start.t_wall_ns, start.t_perf_ns, start)
        self._next = max(following, 1)
        self._lost = [
            LostSpan(0, -1, span.offset, span.n_bytes, f"{span.detail}; made again")
            if (span.first, span.last) == (0, 0)
            else span
            for span in self._lost
        ]

    def _span(self, damage: Damage, details: dict[int, str]) -> LostSpan:
        detail = next(
            (
                text
                for offset, text in details.items()
                if damage.offset <= offset < damage.offset + max(damage.size, 1)
            ),
            "",
        )
        if damage.cut_short:
            detail = f"record {damage.first} is cut short, {damage.size} bytes of it are there"
        known = detail or f"record {damage.first} was lost before"
        return LostSpan(damage.first, damage.last, damage.offset, damage.size, known)

    def _copy(self, found: Message) -> None:
        self._count(found.topic, found.wall_ns)
        self._next = found.number + 1
        self._write(bytes(self._journal.data[found.offset : found.offset + found.size]))

    def _message(self, topic: Topic, wall_ns: int, perf_ns: int, value: msgspec.Struct) -> None:
        self._count(topic, wall_ns)
        payload = msgspec.msgpack.encode(value)
        self._write(pack_message(CHANNEL_IDS[topic], self._next, wall_ns, perf_ns, payload))
        self._next += 1

    def _count(self, topic: Topic, wall_ns: int) -> None:
        self._counts[CHANNEL_IDS[topic]] += 1
        first, last = self._times_ns or (wall_ns, wall_ns)
        self._times_ns = (min(first, wall_ns), max(last, wall_ns))

    def _write(self, content: bytes) -> None:
        self._out.write(content)
        self._bytes += len(content)
        self._crc = zlib.crc32(content, self._crc)


def _nothing_to_do(path: Path, journal: JournalBytes, integrity: Integrity) -> RecoveryReport:
    frame_id, sequence = -1, 0
    last = None
    for found in journal.scan():
        if isinstance(found, Message) and found.topic is Topic.FRAME:
            last = found
    if last is not None:
        received = read_frame(bytes(journal.data[last.payload]))
        frame_id, sequence = received.frame.frame_id, received.sequence
    return RecoveryReport(path, None, integrity.n_records, (), frame_id, sequence, 0.0)


def _free_name(path: Path) -> Path:
    """`journal.damaged.mcap`, or the next number where an earlier one is kept there."""
    number = 2
    free = path
    while free.exists():
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return free
