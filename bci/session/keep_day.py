"""What a session that is over leaves in the subject's folder."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bci.config.experiment import Experiment
from bci.config.session_type import follows_neurons
from bci.core.loop_types import ThresholdSet
from bci.recording.chosen import experiment_at, experiments
from bci.recording.recalibrate import stored_calibrations
from bci.recording.reward_log import REWARDS
from bci.recording.session_record import SessionRecord
from bci.recording.subject import (
    DayRecord,
    StoredCalibration,
    StoredEnsembles,
    SubjectFolder,
    known,
    stored_calibration,
)


def not_writable(root: Path, subject: str) -> Path | None:
    """What bars a session from leaving anything in the subject's folder; None: nothing does.

    Parameters
    ----------
    root
        Folder of all subjects.
    subject
        Name of the animal; its folder need not be there yet.
    """
    folder = SubjectFolder(root, subject).path
    places = ((root / subject, True), (folder, True), (root / subject / REWARDS, False))
    return next(
        (
            path
            for path, is_folder in places
            if path.exists() and not (path.is_dir() is is_folder and os.access(path, os.W_OK))
        ),
        None,
    )


def keep_day(root: Path, folder: Path, *, ok: bool, reason: str, summary: dict[str, Any]) -> None:
    """Write ensembles that were chosen, every calibration, and the session in numbers.

    Parameters
    ----------
    root
        Folder of all subjects.
    folder
        Of the session.
    ok, reason, summary
        As in `Result`.

    Raises
    ------
    OSError
        Where something cannot be written.
    ValueError
        Where the journal or a file of the subject's folder cannot be read.
    """
    record = SessionRecord.read(folder)
    subject = SubjectFolder(root, record.manifest.subject)
    for chosen in _chosen(record, subject.ensembles()):
        subject.add(chosen)
    calibrations = list(_calibrations(record))
    kept = [one for one in subject.calibrations() if one.session == record.manifest.session]
    for calibration in calibrations[len(kept) :]:
        subject.add(calibration)
    newest, day = calibrations[-1] if calibrations else None, record.session.day
    told = newest or day.threshold
    chance = told if follows_neurons(record.session.experiment.session_type) else None
    subject.add(
        DayRecord(
            at=record.manifest.started,
            session=record.manifest.session,
            experiment=record.session.experiment.name,
            ok=ok,
            reason=reason,
            summary={key: _plain(value) for key, value in summary.items() if _is_number(value)},
            t=told.t if told else None,
            lo=told.lo if told else None,
            chance=chance.chance if chance else None,
            chance_low=chance.chance_low if chance else None,
            chance_high=chance.chance_high if chance else None,
            without=day.without,
            resumed=day.resumed.session if day.resumed else "",
        )
    )


def keep_missing_day(folder: Path) -> bool:
    """Keep a session that was cut short before it could be; True where that was needed.

    One that never began, or that lies in no folder of its subject, leaves nothing.

    Parameters
    ----------
    folder
        Of the session; its journal is whole, or has been recovered.

    Raises
    ------
    OSError, ValueError
        As in `keep_day`.
    """
    folder = folder.resolve()
    record = SessionRecord.read(folder)
    manifest, root = record.manifest, folder.parent.parent
    if folder.parent.name != manifest.subject or not record.decisions:
        return False
    days = SubjectFolder(root, manifest.subject).days()
    if any(day.session == manifest.session for day in days):
        return False
    told = manifest.outcome
    keep_day(
        root,
        folder,
        ok=False,
        reason=str(told.get("reason", "cut short, recovered")),
        summary=told.get("summary") or {},
    )
    return True


def _chosen(record: SessionRecord, stands: StoredEnsembles | None) -> Iterator[StoredEnsembles]:
    """Ensembles that the operator chose in this session, unless they are stored already."""
    for _, experiment, origin in experiments(record)[1:]:
        decoder = experiment.decoder
        stored = StoredEnsembles(
            at=record.manifest.started,
            p_plus=decoder.p_plus,
            p_minus=decoder.p_minus,
            decode_plane=decoder.decode_plane,
            origin=origin,
            session=record.manifest.session,
            axis=decoder.axis.model_dump(mode="json") if decoder.axis else None,
        )
        if stands is None or (stands.p_plus, stands.p_minus) != (stored.p_plus, stored.p_minus):
            yield stored
        stands = stored


def _calibrations(record: SessionRecord) -> Iterator[StoredCalibration]:
    """Every calibration with the ensembles it was made for, the one with its chance where known."""
    manifest, day = record.manifest, record.session.day
    made = [
        timed.value.sequence
        for timed in record.events
        if isinstance(timed.value.event, ThresholdSet) and timed.value.event.origin == "calibration"
    ]
    for sequence, (plain, with_chance) in zip(
        made, stored_calibrations(record.calibrations), strict=False
    ):
        experiment = experiment_at(record, sequence)
        yield stored_calibration(
            with_chance or plain,
            at=manifest.started,
            session=manifest.session,
            settings_hash=manifest.settings_hash,
            program=manifest.program,
            seed=experiment.calibration.seed,
            p_plus=experiment.decoder.p_plus,
            p_minus=experiment.decoder.p_minus,
            without=day.without,
            carry_over=_carried(experiment),
        )


def _carried(experiment: Experiment) -> str:
    calibration = experiment.calibration
    if calibration.z_first is None:
        return ""
    return f"{calibration.carry_over}, z_T of day 1 = {calibration.z_first:.4f}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _plain(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if isinstance(value, int) else known(value)
