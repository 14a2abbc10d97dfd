"""Is a session on file what happened? Every byte checked, every decision computed again."""

import struct
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from bci.core.calibration import BaselineRefused
from bci.core.counted import counted
from bci.core.loop import ClosedLoop
from bci.core.loop_types import CalibrationRefused, Decision, LoopEvent, ThresholdSet
from bci.recording.folder import JOURNAL, MANIFEST
from bci.recording.integrity import Defect, Integrity, check_journal
from bci.recording.manifest import (
    Manifest,
    cpu_features,
    package_versions,
    read_manifest,
    seal_holds,
)
from bci.recording.recalibrate import recalibrate
from bci.recording.records import SequencedEvent
from bci.recording.scan import JournalBytes
from bci.recording.session_record import SessionRecord

ULP_LIMIT = 16
"""Largest difference, in units in the last place, that another NumPy or CPU may make."""
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
    """How far `recompute` came.

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


def verify(folder: Path) -> Verdict:
    """Check every byte of the journal, then compute every decision again and compare its bits.

    Parameters
    ----------
    folder
        Folder of a session.

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
    with JournalBytes(folder / JOURNAL) as journal:
        integrity = check_journal(journal)
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
    return _verify_decisions(SessionRecord.read(folder), integrity)


def recompute(record: SessionRecord) -> Comparison:
    """Feed the recorded list to the loop and compare each decision with the recorded one."""
    comparison = Comparison()
    if not record.infos:
        if len(record.inputs):
            comparison.stopped = "the description of the stream was lost"
        return comparison
    loop = ClosedLoop(record.session, record.info)
    encode = msgspec.msgpack.Encoder().encode
    decisions = {decision.sequence: decision for decision in record.decisions}
    tail_may_lack = bool(record.recoveries)
    last_decided = record.decisions[-1].sequence if record.decisions else 0
    for expected, item in enumerate(record.inputs, start=1):
        if item.sequence != expected:
            comparison.stopped = f"input {expected} is not in the journal"
            return comparison
        if isinstance(item, SequencedEvent):
            if _calibration_differs(record, loop, item.event, expected, comparison):
                return comparison
            computed = loop.apply(item.event)
        else:
            computed = loop.step(item.frame)
        recorded = decisions.pop(expected, None)
        if recorded is None:
            if not tail_may_lack:
                comparison.difference = Difference(expected, "decision", None, computed)
                return comparison
            if expected > last_decided:
                break
            continue
        comparison.n_compared += 1
        if encode(recorded) != encode(computed):
            compared = _compare(recorded, computed)
            comparison.max_ulp = max(comparison.max_ulp, compared.ulp)
            comparison.difference = compared.decisive
            if compared.ulp > ULP_LIMIT or _same_numerics(record):
                comparison.difference = compared.decisive or compared.continuous
            if comparison.difference is not None:
                return comparison
    for sequence, decision in decisions.items():
        comparison.difference = Difference(sequence, "decision", decision, None)
        break
    return comparison


def ulp_distance(a: float, b: float) -> int:
    """Steps from one float64 to the next that lead from a to b; 0 for two NaNs."""
    if a != a and b != b:
        return 0
    return abs(_ordered(a) - _ordered(b))


def _verify_decisions(record: SessionRecord, integrity: Integrity) -> Verdict:
    comparison = recompute(record)
    notes = []
    if record.recoveries:
        n_lost = sum(
            max(span.last - span.first + 1, 0) for r in record.recoveries for span in r.lost
        )
        n_mended = sum(len(recovery.mended) for recovery in record.recoveries)
        notes.append(
            f"recovered from a journal that had lost {counted(n_lost, 'record')}, "
            f"{counted(n_mended, 'record')} mended"
        )
    if record.end is not None and record.end.n_refused:
        refused = counted(record.end.n_refused, "record was", "records were")
        notes.append(f"{refused} refused: the disk did not keep up")
    if not _same_numerics(record):
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
        n_inputs=len(record.inputs),
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


def _calibration_differs(
    record: SessionRecord,
    loop: ClosedLoop,
    event: LoopEvent,
    sequence: int,
    comparison: Comparison,
) -> bool:
    if isinstance(event, CalibrationRefused) and loop.needs_calibration:
        return _was_not_refused(loop, event, sequence, comparison)
    if not isinstance(event, ThresholdSet) or event.origin != "calibration":
        return False
    place, comparison.n_calibrations = comparison.n_calibrations, comparison.n_calibrations + 1
    for field, recorded, computed in recalibrate(record, loop, event, place):
        if _same(recorded, computed):
            continue
        if isinstance(recorded, float) and isinstance(computed, float):
            ulp = ulp_distance(recorded, computed)
            comparison.max_ulp = max(comparison.max_ulp, ulp)
            if not ulp or (ulp <= ULP_LIMIT and not _same_numerics(record)):
                continue
        name = field if field == "calibration" else f"calibration.{field}"
        comparison.difference = Difference(sequence, name, recorded, computed)
        return True
    return False


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


def _same_numerics(record: SessionRecord) -> bool:
    here = package_versions()
    versions = tuple(f"{name} {here.get(name)}" for name in ("numpy", "scipy"))
    return record.manifest.numerics == (*versions, *cpu_features())


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
