"""A well-formed journal from one that was cut short or damaged; the damaged one is kept."""

import os
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import msgspec

from bci.config.input_file import open_input
from bci.core.counted import counted
from bci.recording.contents import FRAME_BYTES, DamagedJournal, RecordReader
from bci.recording.exclusive import release, take
from bci.recording.folder import DAMAGED_JOURNAL, JOURNAL, MANIFEST, free_name, sync_folder
from bci.recording.integrity import Integrity, check_journal
from bci.recording.layout import (
    CHANNEL_IDS,
    CRC,
    MESSAGE_HEAD,
    Part,
    epilogue,
    pack_message,
    parts_of,
    prologue,
)
from bci.recording.manifest import NoManifest, mend_manifest, read_manifest
from bci.recording.mending import mend
from bci.recording.records import (
    JournalEnd,
    JournalStart,
    LostSpan,
    MendedRecord,
    Recovered,
    Topic,
)
from bci.recording.scan import Damage, JournalBytes, Message
from bci.recording.session_record import ReceivedFrame, read_frame
from bci.recording.single_byte import ChangedByte

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
    mended
        Records with one changed byte, which was put right.
    manifest
        The byte of manifest.json that was put right; None: nothing was done to it.
    """

    journal: Path
    damaged: Path | None
    n_kept: int
    lost: tuple[LostSpan, ...]
    last_frame_id: int
    last_sequence: int
    time_lost_s: float
    mended: tuple[MendedRecord, ...] = ()
    manifest: ChangedByte | None = None

    @property
    def n_lost(self) -> int:
        """Records left out or missing, the one that was cut short counted."""
        return sum(max(span.last - span.first + 1, 0) for span in self.lost)

    def __str__(self) -> str:
        told = self._of_journal()
        if self.manifest is not None:
            place, found, written = self.manifest
            told += (
                f"\n{self.journal.parent / MANIFEST} mended: byte {place} was 0x{found:02x}, "
                f"0x{written:02x} was written."
            )
        return told

    def _of_journal(self) -> str:
        if self.damaged is None:
            kept = counted(self.n_kept, "record")
            return f"{self.journal}: whole and closed, nothing to do ({kept})."
        is_empty = self.last_frame_id < 0
        frames = "no frame among them" if is_empty else f"last frame id {self.last_frame_id}"
        lines = [
            f"{self.journal}: {counted(self.n_kept, 'record')} kept, "
            f"{len(self.mended)} of them mended, {self.n_lost} lost, "
            f"at most {self.time_lost_s:.3f} s; {frames}."
        ]
        lines += [f"  byte {span.offset}: {span.detail}" for span in self.lost]
        lines += [f"  byte {one.offset}: {one}" for one in self.mended]
        lines.append(f"  as it was found: {self.damaged}")
        return "\n".join(lines)


def recover(folder: Path) -> RecoveryReport:
    """Make the journal of a session whole again.

    Every record whose CRC holds is carried over byte for byte, with its number, and so is every
    record of which one byte was changed, once that byte is put right. The rest is named in a record
    of its own, so that `verify` knows the gaps. The journal as it was found is kept as
    `journal.damaged.mcap` and never overwritten. Interrupted at any moment, a second run ends it;
    on a whole journal it does nothing. A changed byte of manifest.json is put right as well.

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
    DamagedJournal
        If a record is whole and not of this program.
    OSError
        Where the folder cannot be written to.
    """
    path, damaged = folder / JOURNAL, folder / DAMAGED_JOURNAL
    # Between its two renames an earlier run leaves the damaged journal alone.
    source = path if path.exists() or not damaged.exists() else damaged
    with open_input(source) as file:
        if not take(file.fileno()):
            raise StillRecording(f"{path}: still being written. End the session first.")
        release(file.fileno())
    changed = mend_manifest(folder)
    rebuilt = folder / _REBUILT
    with JournalBytes(source) as journal:
        integrity = check_journal(journal)
        if not integrity.defects and integrity.unclosed is None and source == path:
            return replace(_nothing_to_do(path, journal, integrity), manifest=changed)
        name = damaged.name if source == damaged else free_name(damaged).name
        report = _rebuild(rebuilt, journal, integrity, name)
    if source == path:
        os.rename(path, folder / name)
    os.replace(rebuilt, path)
    sync_folder(folder)
    return replace(report, manifest=changed)


def _rebuild(path: Path, journal: JournalBytes, integrity: Integrity, name: str) -> RecoveryReport:
    """Write the whole journal; where the disk has no room for it, nothing of it is left."""
    try:
        with path.open("wb") as out:
            report = _Rebuild(out, journal, integrity, path.parent, name).run()
            out.flush()
            os.fsync(out.fileno())
    except DamagedJournal:
        path.unlink(missing_ok=True)
        raise
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
        self._mended: list[MendedRecord] = []
        self._damage: Damage | None = None
        """Behind the record before, of which nothing was mended."""
        self._time_lost_ns = 0
        self._next = 0
        self._reader = RecordReader(journal.path)

    def run(self) -> RecoveryReport:
        before = self._write_prologue()
        last, last_frame = None, None
        for found, content in self._whole_records():
            if found.topic is Topic.END:
                continue
            if last is None and found.topic is not Topic.START:
                self._write_start(before, found.wall_ns, found.perf_ns)
            self._note_lost(found, last)
            if found.topic is Topic.START and not self._keeps_start(before):
                self._write_start(before, found.wall_ns, found.perf_ns)
            else:
                self._copy(found, content)
            last = found
            if found.topic is Topic.FRAME:
                payload = content[MESSAGE_HEAD.size : -CRC.size]
                self._reader.check_frame(found, payload[:FRAME_BYTES], len(payload))
                last_frame = read_frame(payload)
        if last is None:
            self._write_start(before, 0, 0)
        if self._damage is not None:
            self._lost.append(self._span(self._next, self._damage.last, self._damage))
            self._next = max(self._next, self._damage.last + 1)
        return self._end(before, last, last_frame)

    def _whole_records(self) -> Iterator[tuple[Message, bytes]]:
        """Every record with its bytes, the mended ones among them."""
        for found in self._journal.scan():
            if isinstance(found, Message):
                yield found, self._journal[found.offset : found.offset + found.size]
                continue
            rest = found
            for one in mend(self._journal.data, found):
                message, changed = one.message, one.changed
                self._damage = _before(rest, message)
                self._mended.append(
                    MendedRecord(
                        message.number,
                        message.topic,
                        changed.place,
                        changed.found,
                        changed.original,
                    )
                )
                yield message, one.content
                rest = _behind(rest, message)
            self._damage = rest if rest.size or rest.first <= rest.last else None

    def _note_lost(self, found: Message, last: Message | None) -> None:
        """Name what lies between the record before and this one."""
        damage, self._damage = self._damage, None
        if damage is None:
            return
        if found.number > self._next and last is not None:
            self._time_lost_ns += max(found.perf_ns - last.perf_ns, 0)
        self._lost.append(self._span(self._next, found.number - 1, damage))

    def _end(
        self, before: tuple[Part, ...], last: Message | None, last_frame: ReceivedFrame | None
    ) -> RecoveryReport:
        n_kept = sum(self._counts.values())
        if self._integrity.end is None and last is not None:
            written_ns = self._journal.path.stat().st_mtime_ns
            self._time_lost_ns += max(written_ns - last.wall_ns, 0)
        frame_id = last_frame.frame.frame_id if last_frame else -1
        lost, mended = tuple(self._lost), tuple(self._mended)
        wall_ns, perf_ns = (last.wall_ns, last.perf_ns) if last else (0, 0)
        self._message(
            Topic.RECOVERY, wall_ns, perf_ns, Recovered(n_kept, lost, frame_id, self._name, mended)
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
            last_frame.sequence if last_frame else 0,
            self._time_lost_ns / 1e9,
            mended,
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
        self._message(Topic.START, start.t_wall_ns, start.t_perf_ns, start)

    def _span(self, first: int, last: int, damage: Damage) -> LostSpan:
        defects = self._integrity.defects
        end = damage.offset + max(damage.size, 1)
        details = [
            str(one)
            for one in defects
            if one.offset is not None and damage.offset <= one.offset < end
        ]
        detail = details[0] if details else f"record {damage.first} was lost before"
        if damage.cut_short:
            detail = f"record {damage.first} is cut short, {damage.size} bytes of it are there"
        if damage.first < first:
            detail += "; record 0 is made again"
        return LostSpan(first, last, damage.offset, damage.size, detail)

    def _copy(self, found: Message, content: bytes) -> None:
        self._count(found.topic, found.wall_ns)
        self._next = found.number + 1
        self._write(content)

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


def _before(damage: Damage, message: Message) -> Damage | None:
    """The part of a damaged stretch before a record that was mended; None: nothing."""
    size, last = message.offset - damage.offset, message.number - 1
    return damage._replace(size=size, last=last) if size or damage.first <= last else None


def _behind(damage: Damage, message: Message) -> Damage:
    """The part of a damaged stretch behind a record that was mended."""
    offset = message.offset + message.size
    size = damage.offset + damage.size - offset
    return damage._replace(offset=offset, size=size, first=message.number + 1)


def _nothing_to_do(path: Path, journal: JournalBytes, integrity: Integrity) -> RecoveryReport:
    frame_id, sequence = -1, 0
    last = None
    for found in journal.scan():
        if isinstance(found, Message) and found.topic is Topic.FRAME:
            last = found
    if last is not None:
        payload = bytes(journal.data[last.payload])
        RecordReader(path).check_frame(last, payload[:FRAME_BYTES], len(payload))
        received = read_frame(payload)
        frame_id, sequence = received.frame.frame_id, received.sequence
    return RecoveryReport(path, None, integrity.n_records, (), frame_id, sequence, 0.0)
