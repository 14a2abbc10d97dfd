"""Choosing for a subject, and what is kept of it in its folder."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from bci.analysis.baseline.calibration import Calibrated
from bci.analysis.baseline.page import write_page
from bci.analysis.baseline.proposal import Ensembles, chosen_by_hand, propose
from bci.analysis.baseline.recording import Baseline
from bci.analysis.baseline.scores import Scores
from bci.analysis.baseline.split import matched_controls
from bci.config import Fault, Session, SettingsError
from bci.recording.manifest import describe_program
from bci.recording.subject import (
    StoredEnsembles,
    SubjectFolder,
    now_iso,
    stored_calibration,
)

SIDES = {"two_populations": 2, "one_population": 1, "population_dynamics": 1}


class Choice(msgspec.Struct, frozen=True):
    """Ensembles for a subject.

    Parameters
    ----------
    ensembles
        The choice.
    stored
        As they stand in the subject's folder; None: chosen now.
    z_first
        z_T of day 1 with these ensembles; None: this is day 1.
    """

    ensembles: Ensembles
    stored: StoredEnsembles | None = None
    z_first: float | None = None


def choose(
    scores: Scores,
    session: Session,
    subject: SubjectFolder,
    *,
    plus: Sequence[str] = (),
    minus: Sequence[str] = (),
    seed: int | None = None,
    again: bool = False,
) -> Choice:
    """The subject's ensembles where it has some, else those named, else a proposal.

    Parameters
    ----------
    scores
        Of the baseline.
    session
        Settings of today.
    subject
        The subject's folder.
    plus, minus
        Labels chosen by hand; none: propose.
    seed
        Of the split; None: that of the settings.
    again
        Choose anew although the subject has ensembles.

    Raises
    ------
    SettingsError
        Where labels cannot be taken, or where the subject has ensembles already.
    TooFewCandidates
        Where too few ROIs qualify.
    """
    n_sides = SIDES[session.experiment.decoder.read_out]
    stored = None if again else subject.ensembles()
    if stored is None:
        if plus or minus:
            return Choice(chosen_by_hand(scores, plus, minus, n_sides))
        return Choice(propose(scores, session.experiment.ensembles, n_sides, seed))
    if plus or minus or seed is not None:
        option = "--plus" if plus else "--minus" if minus else "--seed"
        allowed = f"nothing: {subject.subject} has had its ensembles since {stored.at[:10]}"
        todo = "they stay the same on all days; to choose anew nevertheless add --again"
        value = ",".join(plus or minus) if plus or minus else seed
        raise SettingsError([Fault(option, value, allowed, todo)])
    known = {roi.label: roi for roi in scores.rois}
    unusable = [
        label for label in stored.labels if label not in known or not known[label].is_scored
    ]
    if unusable:
        allowed = f"ROIs that the baseline has, as {subject.subject}'s ensembles name them"
        todo = "name the recording of this animal, or choose anew with --again"
        raise SettingsError([Fault("BASELINE", unusable, allowed, todo)])
    controls = matched_controls(scores, stored.labels)
    first = subject.first_calibration(stored)
    ensembles = Ensembles(stored.p_plus, stored.p_minus, controls, stored.seed)
    return Choice(ensembles, stored, first.z_t if first is not None else None)


def keep(
    subject: SubjectFolder, choice: Choice, found: Calibrated, scores: Scores, baseline: Baseline
) -> dict[str, str]:
    """Write ensembles chosen now, the calibration and its page into the subject's folder.

    Parameters
    ----------
    subject
        The subject's folder.
    choice, found, scores, baseline
        What was chosen, what came of it, and what from.

    Returns
    -------
    dict
        Kind of file, and its path.
    """
    files = {}
    now, chosen = now_iso(), found.ensembles
    decoder = found.session.experiment.decoder
    if choice.stored is None:
        how = "by hand" if chosen.seed is None else "proposed and split by seed"
        stored = StoredEnsembles(
            at=now,
            p_plus=chosen.p_plus,
            p_minus=chosen.p_minus,
            controls=chosen.controls,
            decode_plane=scores.plane,
            origin=f"{how}, on {baseline.source.resolve()}",
            session=baseline.name,
            seed=chosen.seed,
            axis=found.axis.model_dump(mode="json") if found.axis is not None else None,
        )
        files["ensembles"] = str(subject.add(stored))
    calibration = found.session.experiment.calibration
    path = subject.add(
        stored_calibration(
            found.result,
            at=baseline.started or now,
            session=baseline.name or baseline.source.name,
            settings_hash=baseline.settings_hash,
            program=describe_program(),
            seed=calibration.seed,
            p_plus=decoder.p_plus,
            p_minus=decoder.p_minus,
            carry_over=calibration.carry_over if choice.z_first is not None else "",
        )
    )
    files["calibration"] = str(path)
    plot = path.with_suffix(".html")
    write_page(plot, found, scores, baseline.source, datetime.fromisoformat(now))
    files["plot"] = str(plot)
    return files


def subject_folder(root: Path, session: Session) -> SubjectFolder:
    """Folder of the session's subject."""
    return SubjectFolder(root.resolve(), session.subject)
