"""What is left of a day whose session was interrupted."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bci.config import Fault, SettingsError
from bci.config.day import Day, KnownThreshold, Resumed
from bci.config.experiment import Experiment
from bci.config.session import Session
from bci.core.loop import ClosedLoop
from bci.core.loop_types import BlockKind
from bci.recording.contents import DamagedJournal
from bci.recording.folder import JOURNAL
from bci.recording.integrity import check_journal
from bci.recording.manifest import NoManifest
from bci.recording.performance import chance_of
from bci.recording.recover import StillRecording, recover
from bci.recording.rewards import rewards_of
from bci.recording.scan import JournalBytes
from bci.recording.session_record import ReceivedFrame, SessionRecord
from bci.recording.subject import known

KEY = "--resume"
SAME_DAY = timedelta(hours=12)
"""Field of view and bleaching are another thing tomorrow, and so is T."""
CHOSEN = frozenset(
    f"decoder.{name}" for name in ("p_plus", "p_minus", "weights_plus", "weights_minus", "axis")
) | {"calibration.z_first"}
"""Keys of the experiment that a day works out by itself."""


def what_is_left(session: Session, folder: Path) -> Session:
    """The session that goes on where an interrupted one stopped.

    It takes over ensembles, T and lo, the number of trials, the time that is left of session_s and
    the rewards of the day; a baseline that was not over is recorded again from its beginning. A
    journal that was cut short is recovered first.

    Parameters
    ----------
    session
        As its file has it: the rig may be another one, the experiment must be the same.
    folder
        Of the interrupted session.

    Raises
    ------
    SettingsError
        Where there is nothing to go on with, or where the experiment is another one.
    """
    record = _read(folder)
    name = record.manifest.session
    if record.manifest.subject != session.subject:
        raise _refused(
            folder, f"a session of {session.subject}", f"this is one of {record.manifest.subject}"
        )
    began = datetime.fromisoformat(record.manifest.started)
    if datetime.now().astimezone() - began > SAME_DAY:
        raise _refused(
            folder,
            f"a session that began within the last {SAME_DAY.total_seconds() / 3600:g} hours",
            f"T of {began:%Y-%m-%d %H:%M} is not today's: record a baseline in a new session",
        )
    others = list(_differences(session.experiment, record.session.experiment))
    if others:
        raise SettingsError(
            [
                Fault(
                    f"experiment.{key}",
                    ours,
                    f"{theirs}, as in {name}, which is resumed",
                    "set it back: a day is one experiment",
                )
                for key, ours, theirs in others
            ]
        )
    loop = ClosedLoop(record.session, record.info)
    for item in record.inputs:
        if isinstance(item, ReceivedFrame):
            loop.step(item.frame)
        else:
            loop.apply(item.event)
    left = loop.blocks.left
    if not left:
        raise _refused(folder, "an interrupted session", "nothing is left of it: begin a new one")
    of_task = rewards_of(record).totals("task")
    before = record.session.day.resumed or Resumed(session=name)
    in_task = left[0] is BlockKind.CLOSED_LOOP
    day = Day(
        blocks=tuple(kind.value for kind in left),
        ensembles_from=record.session.day.ensembles_from,
        without=record.session.day.without,
        threshold=_threshold(record, loop) if in_task and loop.t == loop.t else None,
        resumed=Resumed(
            session=name,
            trials=loop.trial,
            session_spent_s=max(0.0, loop.session_s) if in_task else 0.0,
            rewards=before.rewards + of_task.given,
            volume_ul=before.volume_ul + of_task.volume_ul,
        ),
    )
    return session.model_copy(update={"experiment": loop.experiment, "day": day})


def _read(folder: Path) -> SessionRecord:
    """The interrupted session, made whole where its journal was cut short."""
    path = folder / JOURNAL
    if not path.is_file():
        raise _refused(folder, "the folder of a session", f"no {JOURNAL} in it")
    try:
        with JournalBytes(path) as journal:
            cut_short = check_journal(journal).unclosed is not None
        if cut_short:
            recover(folder)
        record = SessionRecord.read(folder)
        _ = record.info
    except StillRecording as error:
        raise _refused(folder, "a session that is over", str(error)) from error
    except (NoManifest, DamagedJournal, OSError) as error:
        raise _refused(folder, "a session that can be read", f"this cannot: {error}") from error
    return record


def _threshold(record: SessionRecord, loop: ClosedLoop) -> KnownThreshold:
    levels = loop.hit_rule.guards.levels
    predicted = chance_of(record)
    chance, low, high = map(known, predicted.at(loop.t))
    first_t = loop.adaptive.first_t
    return KnownThreshold(
        t=loop.t,
        lo=loop.lo,
        origin=f"resumed from {record.manifest.session}",
        baseline_median=known(loop.dark_reference),
        p_minus_max=known(levels.p_minus_max) if levels else None,
        others_min=levels.others_min if levels else (),
        chance=chance,
        chance_low=low,
        chance_high=high,
        raised_from=None if first_t == loop.t else first_t,
        higher=predicted.above(loop.t),
    )


def _differences(ours: Experiment, theirs: Experiment) -> Iterator[tuple[str, Any, Any]]:
    """Keys in which two experiments differ, but for those that a day works out by itself."""
    a, b = (dict(_flat(one.model_dump(mode="json"))) for one in (ours, theirs))
    for key in {**a, **b}:
        if a.get(key) != b.get(key) and not _is_chosen(key, a):
            yield key, a.get(key), b.get(key)


def _is_chosen(key: str, ours: dict[str, Any]) -> bool:
    free = not ours.get("decoder.p_plus") or key.startswith(("decoder.axis", "calibration."))
    return free and any(key == one or key.startswith(f"{one}.") for one in CHOSEN)


def _flat(table: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _refused(folder: Path, allowed: str, todo: str) -> SettingsError:
    return SettingsError([Fault(KEY, str(folder), allowed, todo)])
