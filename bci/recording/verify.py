"""Is a session on file what happened? Every byte checked, every decision computed again."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from bci.config import Session
from bci.core.calibration import BaselineRefused
from bci.core.counted import counted
from bci.core.frame_header import unpack_frame
from bci.core.loop import ClosedLoop
from bci.core.loop_types import CalibrationRefused, Decision, LoopEvent, ThresholdSet
from bci.core.stream_types import RoiFrame, StreamInfo
from bci.recording.contents import FRAME_BYTES, DamagedJournal, RecordReader
from bci.recording.folder import JOURNAL, MANIFEST
from bci.recording.integrity import Defect, Integrity, check_journal
from bci.recording.layout import CRC, FRAME_HEAD, MESSAGE_HEAD
from bci.recording.manifest import Manifest, numerics_here, read_manifest, seal_holds
from bci.recording.recalibrate import Given, recalibrate
from bci.recording.records import Topic
from bci.recording.scan import JournalBytes, Message
from bci.recording.session_record import without_passive_miss

ULP_LIMIT = 16
"""Largest difference, in units in the last place, that another NumPy or CPU may make."""
MOST_APART = 10_000
"""How many inputs or decisions may wait for one that the journal should hold before them."""
_START, _STOP = MESSAGE_HEAD.size, -CRC.size
"""Of the payload, in the content of a record."""
_VALUES = _START + FRAME_BYTES
_FRAME, _DECISION, _EVENT = Topic.FRAME, Topic.DECISION, Topic.EVENT
"""Looked up once: to look a member up in its enum takes longer than to compare it."""
CONTINUOUS = ("s", "s3", "angle_deg", "command.orientation_deg", "command.tone_hz")
"""Fields that may differ in their last bits; everything else is a decision."""


class VerdictKind(StrEnum):
    """What came of it."""

    IDENTICAL = "identical"
    WITHIN_ULP = "decisions identical"
    DIFFERENT = "different"
    DAMAGED = "damaged"
    INCOMPLETE = "incomplete"


class Difference(NamedTuple):
    """The first field in which a computed decision differs from the recorded one."""

    sequence: int
    field: str
    recorded: Any
    computed: Any

    def __str__(self) -> str:
        return (
            f"sequence {self.sequence}, {self.field}: "
            f"recorded {self.recorded!r}, computed {self.computed!r}"
        )


@dataclass(frozen=True)
class Verdict:
    """Result of `verify`.

    Parameters
    ----------
    kind
        What came of it.
    text
        The same in words, with what to do.
    defects
        What is damaged, in the order of the file.
    difference
        The first one; None: no decision differs.
    max_ulp
        Largest difference of s, s3 and angle, in units in the last place.
    n_records, n_inputs, n_compared
        Records whose CRC holds, frames and events, decisions computed again.
    notes
        What a reader should know besides: recovered, another NumPy, records refused.
    """

    kind: VerdictKind
    text: str
    defects: tuple[Defect, ...] = ()
    difference: Difference | None = None
    max_ulp: int = 0
    n_records: int = 0
    n_inputs: int = 0
    n_compared: int = 0
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True where the session is what happened."""
        return self.kind in (VerdictKind.IDENTICAL, VerdictKind.WITHIN_ULP)

    def __str__(self) -> str:
        return "\n".join((self.text, *(f"  {note}" for note in self.notes)))


@dataclass
class Comparison:
    """How far computing the decisions again came.

    Parameters
    ----------
    n_compared, n_calibrations
        Decisions, and calibrations, that were recorded and computed again.
    max_ulp
        Largest difference of s, s3, angle and of what was calibrated, in units in the last place.
    difference
        The one at which it stopped.
    stopped
        Why the rest could not be computed; None: it could.
    """

    n_compared: int = 0
    n_calibrations: int = 0
    max_ulp: int = 0
    difference: Difference | None = None
    stopped: str | None = None


def verify(folder: Path, tell: Callable[[str, float], None] = lambda *_: None) -> Verdict:
    """Check every byte of the journal, compute every decision again and compare its bits.

    The journal is read once, record by record: memory does not grow with its length.

    Parameters
    ----------
    folder
        Folder of a session.
    tell
        Called now and then with what is done and how far it is, 0–1.

    Raises
    ------
    NoManifest
        Where manifest.json is missing or unreadable.
    FileNotFoundError
        Where there is no journal.
    SettingsError
        Where this version of the program does not take the session's settings.
    """
    manifest = read_manifest(folder)
    try:
        return _verify(folder, manifest, tell)
    except DamagedJournal as error:
        return Verdict(VerdictKind.DAMAGED, f"damaged: {error}")


def _verify(folder: Path, manifest: Manifest, tell: Callable[[str, float], None]) -> Verdict:
    with JournalBytes(folder / JOURNAL) as journal:
        same_numerics = manifest.numerics == numerics_here()
        recomputation = _Recomputation(journal, manifest, same_numerics)
        integrity = check_journal(
            journal, partial(tell, "checking every byte and decision"), recomputation.take
        )
        defects = (*integrity.defects, *_check_manifest(folder, manifest, integrity))
        if defects:
            text = "damaged: " + "; ".join(str(defect) for defect in defects[:5])
            if len(defects) > 5:
                text += f"; and {len(defects) - 5} more"
            return Verdict(VerdictKind.DAMAGED, text, defects, n_records=integrity.n_records)
        if integrity.unclosed is not None:
            text = (
                f"incomplete: the journal was not closed, {integrity.unclosed}. If the session is "
                f"over, run bci recover {folder}."
            )
            return Verdict(VerdictKind.INCOMPLETE, text, n_records=integrity.n_records)
        comparison = recomputation.end(integrity)
    return _verdict(comparison, integrity, same_numerics)


class _Recomputation:
    """Every decision computed again from records as they are read and checked.

    Damage that is only found later may be why a record makes no sense. So errors wait until the
    journal has proved whole.

    Parameters
    ----------
    journal, manifest
        Of the session.
    same_numerics
        As in `_Recomputed`.
    """

    def __init__(self, journal: JournalBytes, manifest: Manifest, same_numerics: bool) -> None:
        self._journal = journal
        self._manifest = manifest
        self._same_numerics = same_numerics
        self._begun: tuple[_Recomputed, RecordReader] | None = None
        self._error: Exception | None = None
        self._takes = True

    def take(self, message: Message) -> None:
        """Take in the next record."""
        if not self._takes:
            return
        topic, content = message.topic, message.content
        try:
            recomputed, reader = self._begun or self._begin()
            if topic is _FRAME:
                head = content[_START:_VALUES]
                sequence = reader.check_frame(message, head, len(content) + _STOP - _START)
                frame = unpack_frame(head[FRAME_HEAD.size :], content[_VALUES:_STOP])
                recomputed.take(sequence, frame)
            elif topic is _DECISION:
                payload = content[_START:_STOP]
                if not recomputed.agrees(payload):
                    recomputed.compare(reader.value(message, payload))
            elif topic is _EVENT:
                event = reader.value(message, content[_START:_STOP])
                recomputed.take(event.sequence, event.event)
            self._takes = not recomputed.is_over
        except Exception as error:  # noqa: BLE001 - raised by `end` unless damage explains it
            self._error = error
            self._takes = False

    def end(self, integrity: Integrity) -> Comparison:
        """Return how far it came, once the journal has proved whole; raises what was met."""
        if not integrity.infos:
            stopped = "the description of the stream was lost" if integrity.n_inputs else None
            return Comparison(stopped=stopped)
        recomputed, reader = self._begun or self._begin()
        for message in (*integrity.infos, *integrity.calibrations):
            reader.value(message, message.content[_START:_STOP])
        if self._error is not None:
            raise self._error
        return recomputed.end()

    def _begin(self) -> "tuple[_Recomputed, RecordReader]":
        session = self._manifest.session_settings()
        reader = RecordReader(self._journal.path, session)

        def of_topic(topic: Topic) -> Iterator[Any]:
            for found in self._journal.of_topics((topic,)):
                yield reader.value(found, found.content[_START:_STOP])

        recomputed = _Recomputed(
            session,
            of_topic,
            self._same_numerics,
            has_old_misses=self._manifest.counts_passive_as_misses,
        )
        self._begun = recomputed, reader
        return self._begun


class _Recomputed:
    """The loop again, its decisions beside the recorded ones as both come from the journal.

    Frames and events are applied in the order of their numbers, as they were; records of one
    number lie close to each other in the journal, so that little waits here.

    Parameters
    ----------
    session
        Its settings.
    of_topic
        Gives what all records of a topic hold, wherever they stand in the journal. It leads through
        the whole journal, so it is asked only if something depends on them.
    same_numerics
        True if no bit may differ: recorded with the NumPy, SciPy and CPU features of this computer.
    has_old_misses
        True if the journal calls passive trials misses, as version 0.1.0 did.
    """

    def __init__(
        self,
        session: Session,
        of_topic: Callable[[Topic], Iterator[Any]],
        same_numerics: bool,
        *,
        has_old_misses: bool,
    ) -> None:
        self._session = session
        self._of_topic = of_topic
        self._same_numerics = same_numerics
        self._has_old_misses = has_old_misses
        self._info: StreamInfo = next(of_topic(Topic.INFO))
        self._loop = ClosedLoop(session, self._info)
        self._encode = msgspec.msgpack.Encoder().encode
        self._expected = 1
        self._waiting: dict[int, RoiFrame | LoopEvent] = {}
        self._recorded: dict[int, Decision] = {}
        self._computed: dict[int, Decision] = {}
        self._comparison = Comparison()
        self.is_over = False

    def take(self, sequence: int, item: RoiFrame | LoopEvent) -> None:
        """Take in a frame or event of the journal."""
        if sequence != self._expected:
            if sequence < self._expected or sequence in self._waiting:
                self._stop(f"two inputs have number {sequence}")
            self._waiting[sequence] = item
            if len(self._waiting) > MOST_APART:
                self._stop(f"input {self._expected} is not in the journal")
            return
        self._apply(sequence, item)
        while self._waiting and not self.is_over:
            following = self._waiting.pop(self._expected, None)
            if following is None:
                break
            self._apply(self._expected, following)

    def agrees(self, payload: bytes) -> bool:
        """Take in a decision of the journal, if it is the one that waits, every bit the same."""
        computed = self._computed
        if len(computed) != 1:
            return False
        # nearly always: an input, then its decision
        sequence, decision = computed.popitem()
        if payload == self._encode(decision):
            self._comparison.n_compared += 1
            return True
        computed[sequence] = decision
        return False

    def compare(self, recorded: Decision) -> None:
        """Take in a decision of the journal that does not agree at first sight."""
        computed, sequence = self._computed, recorded.sequence
        if sequence not in computed:
            self._recorded[sequence] = recorded
            if len(self._recorded) > MOST_APART:
                self._lack_inputs()
            return
        self._compare(recorded, computed.pop(sequence))
        if computed and min(computed) < sequence:
            self._lack_decisions(before=sequence)

    def end(self) -> Comparison:
        """Return how far it came, once the journal is over."""
        if not self.is_over and self._waiting:
            self._stop(f"input {self._expected} is not in the journal")
        if not self.is_over and self._computed:
            self._lack_decisions()
        if not self.is_over and self._recorded:
            self._lack_inputs()
        return self._comparison

    def _apply(self, sequence: int, item: RoiFrame | LoopEvent) -> None:
        self._expected = sequence + 1
        if isinstance(item, RoiFrame):
            computed = self._loop.step(item)
        else:
            if self._calibration_differs(item, sequence):
                self.is_over = True
                return
            computed = self._loop.apply(item)
        recorded = self._recorded.pop(sequence, None) if self._recorded else None
        if recorded is not None:
            self._compare(recorded, computed)
            return
        self._computed[sequence] = computed
        if len(self._computed) > MOST_APART:
            self._lack_decisions()

    def _compare(self, recorded: Decision, computed: Decision) -> None:
        comparison = self._comparison
        comparison.n_compared += 1
        # decoded and encoded again: another version may have written the same otherwise
        if self._has_old_misses:
            recorded = without_passive_miss(recorded)
        if self._encode(recorded) == self._encode(computed):
            return
        compared = _compare(recorded, computed)
        comparison.max_ulp = max(comparison.max_ulp, compared.ulp)
        comparison.difference = compared.decisive
        if compared.ulp > ULP_LIMIT or self._same_numerics:
            comparison.difference = compared.decisive or compared.continuous
        self.is_over = comparison.difference is not None

    @cached_property
    def _given(self) -> Given:
        """What a calibration rests on; its chance may be on record much later."""
        return Given(self._session, self._info, tuple(self._of_topic(Topic.CALIBRATION)))

    @cached_property
    def _tail_may_lack(self) -> bool:
        """True for a recovered journal, which may have lost its last decisions or inputs."""
        return any(True for _ in self._of_topic(Topic.RECOVERY))

    def _calibration_differs(self, event: LoopEvent, sequence: int) -> bool:
        """True if an event is of a calibration that comes out otherwise here."""
        comparison = self._comparison
        if isinstance(event, CalibrationRefused) and self._loop.needs_calibration:
            return _was_not_refused(self._loop, event, sequence, comparison)
        if not isinstance(event, ThresholdSet) or event.origin != "calibration":
            return False
        place, comparison.n_calibrations = comparison.n_calibrations, comparison.n_calibrations + 1
        for field, recorded, computed in recalibrate(self._given, self._loop, event, place):
            if _same(recorded, computed):
                continue
            if isinstance(recorded, float) and isinstance(computed, float):
                ulp = ulp_distance(recorded, computed)
                comparison.max_ulp = max(comparison.max_ulp, ulp)
                if not ulp or (ulp <= ULP_LIMIT and not self._same_numerics):
                    continue
            name = field if field == "calibration" else f"calibration.{field}"
            comparison.difference = Difference(sequence, name, recorded, computed)
            return True
        return False

    def _lack_decisions(self, before: int | None = None) -> None:
        """Inputs have no decision: those `before` a number, or all that wait for theirs."""
        lacking = [n for n in self._computed if before is None or n < before]
        if not self._tail_may_lack:
            first = min(lacking)
            self._comparison.difference = Difference(first, "decision", None, self._computed[first])
            self.is_over = True
        for sequence in lacking:
            del self._computed[sequence]

    def _lack_inputs(self) -> None:
        """Decisions were recorded that no input led to."""
        first = min(self._recorded)
        if self._tail_may_lack:
            self._stop(f"input {first} is not in the journal")
            return
        recorded = self._recorded[first]
        self._comparison.difference = Difference(first, "decision", recorded, None)
        self.is_over = True

    def _stop(self, why: str) -> None:
        self._comparison.stopped = why
        self.is_over = True


def ulp_distance(a: float, b: float) -> int:
    """Steps from one float64 to the next that lead from a to b; 0 for two NaNs."""
    if a != a and b != b:
        return 0
    return abs(_ordered(a) - _ordered(b))


def _verdict(comparison: Comparison, integrity: Integrity, same_numerics: bool) -> Verdict:
    notes = []
    if integrity.recoveries:
        n_lost = sum(
            max(span.last - span.first + 1, 0) for r in integrity.recoveries for span in r.lost
        )
        n_mended = sum(len(recovery.mended) for recovery in integrity.recoveries)
        notes.append(
            f"recovered from a journal that had lost {counted(n_lost, 'record')}, "
            f"{counted(n_mended, 'record')} mended"
        )
    if integrity.end is not None and integrity.end.n_refused:
        refused = counted(integrity.end.n_refused, "record was", "records were")
        notes.append(f"{refused} refused: the disk did not keep up")
    if not same_numerics:
        notes.append("recorded with another NumPy, SciPy or CPU than this computer's")
    n = comparison.n_compared
    if comparison.difference is not None:
        kind = VerdictKind.DIFFERENT
        compared = counted(n, "decision was", "decisions were")
        text = f"different: {comparison.difference}. {compared} compared."
    elif comparison.stopped is not None:
        kind = VerdictKind.INCOMPLETE
        text = (
            f"incomplete: {counted(n, 'decision is', 'decisions are')} identical, "
            f"the rest cannot be computed again because {comparison.stopped}."
        )
    elif comparison.max_ulp:
        kind = VerdictKind.WITHIN_ULP
        text = f"decisions identical, s within {comparison.max_ulp} ulp: {counted(n, 'decision')}."
    else:
        kind = VerdictKind.IDENTICAL
        text = f"identical: {integrity.n_records} records whole, {n} decisions computed again."
    return Verdict(
        kind,
        text,
        difference=comparison.difference,
        max_ulp=comparison.max_ulp,
        n_records=integrity.n_records,
        n_inputs=integrity.n_inputs,
        n_compared=n,
        notes=tuple(notes),
    )


def _check_manifest(folder: Path, manifest: Manifest, integrity: Integrity) -> tuple[Defect, ...]:
    """The settings are in the manifest alone; the journal holds their hash, and whose it is."""
    details = []
    if not seal_holds(folder, manifest):
        details.append("it was changed after it was written: its seal does not hold")
    start = integrity.start
    if start is not None and manifest.session != start.session:
        details.append(f"it is of session {manifest.session}, the journal of {start.session}")
    if start is not None and manifest.stored_hash != start.settings_hash:
        details.append("the settings in it are not those that the journal was recorded with")
    return tuple(Defect(str(folder / MANIFEST), detail, None) for detail in details)


def _was_not_refused(
    loop: ClosedLoop, event: CalibrationRefused, sequence: int, comparison: Comparison
) -> bool:
    """True where the baseline that was refused gives a T."""
    try:
        found = loop.calibrate()
    except BaselineRefused:
        return False
    comparison.difference = Difference(sequence, "calibration", event.reason, found.t)
    return True


class _Compared(NamedTuple):
    """How two decisions differ: in what was decided, and in the last bits of what led to it."""

    decisive: Difference | None
    continuous: Difference | None
    ulp: int


def _compare(recorded: Decision, computed: Decision) -> _Compared:
    ours, theirs = _flat(recorded), _flat(computed)
    continuous, largest = None, 0
    for field in {**ours, **theirs}:
        a, b = ours.get(field), theirs.get(field)
        if _same(a, b):
            continue
        difference = Difference(recorded.sequence, field, a, b)
        if field not in CONTINUOUS or not isinstance(a, float) or not isinstance(b, float):
            return _Compared(difference, None, largest)
        continuous = continuous or difference
        # Other bits with no float between them: signs of zero, payloads of NaN.
        largest = max(largest, ulp_distance(a, b), 1)
    return _Compared(None, continuous, largest)


def _flat(decision: Decision) -> dict[str, Any]:
    """Fields of a decision, those of the command by their own names.

    Of the ledger what was met where: another version may put its words otherwise.
    """
    fields = msgspec.structs.asdict(decision)
    fields["ledger"] = [(entry.frame_id, entry.kind, entry.count) for entry in decision.ledger]
    command = fields.pop("command")
    if command is None:
        return {**fields, "command": None}
    return {
        **fields,
        "command": True,
        **{f"command.{name}": value for name, value in msgspec.structs.asdict(command).items()},
    }


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    return msgspec.msgpack.encode(a) == msgspec.msgpack.encode(b)


def _ordered(value: float) -> int:
    """Integers in the order of the floats."""
    bits = int(np.float64(value).view(np.int64))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFFFFFFFFFF)
