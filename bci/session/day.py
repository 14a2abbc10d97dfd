"""What a day brings along, worked out before anything starts: ensembles, T, blocks."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from bci.config import Fault, Override, SettingsError, load_session
from bci.config.check import faults_of
from bci.config.day import Day, KnownThreshold
from bci.config.experiment import Axis
from bci.config.load import Rules
from bci.config.session import Session
from bci.core.blocks import planned_blocks
from bci.core.ensembles import FEWEST
from bci.core.loop_types import BlockKind
from bci.recording.subject import (
    StoredCalibration,
    SubjectDamaged,
    SubjectFolder,
)
from bci.session.resume import what_is_left

PLUS = "experiment.decoder.p_plus"
BLOCKS = tuple(kind.value for kind in BlockKind)


class DayOptions(msgspec.Struct, frozen=True):
    """How `bci run` was asked to begin.

    Parameters
    ----------
    root
        Folder of all subjects.
    block
        This block alone; None: those of the experiment.
    without
        ROIs of the ensembles that are left out today.
    resume
        Folder of an interrupted session to go on with.
    """

    root: Path
    block: str | None = None
    without: tuple[str, ...] = ()
    resume: Path | None = None


def begin_day(session: Session, options: DayOptions) -> Session:
    """The session with everything that the subject's folder and the options bring to it.

    Ensembles come from the subject's folder where the experiment names none; then T is carried
    over from day 1 as well. A session whose first block is the closed loop takes T of today's
    earlier baseline.

    Raises
    ------
    SettingsError
        With every fault found.
    """
    broken_before = set(map(str, faults_of(session)))
    if options.resume is not None:
        session = what_is_left(session, options.resume)
        if options.block is not None:
            todo = "leave one of them out"
            raise SettingsError([Fault("--block", options.block, "not beside --resume", todo)])
    folder = SubjectFolder(options.root, session.subject)
    try:
        session = _with_subject(session, folder)
        if options.block is not None:
            session = _with_day(session, blocks=(options.block,))
        session, faults = _without(session, options.without)
        session, more = _with_threshold(session, folder)
    except SubjectDamaged as error:
        fault = Fault("subject", session.subject, "a subject whose files can be read", str(error))
        raise SettingsError([fault]) from error
    faults += [*more, *_undecided(session, folder)]
    faults += [fault for fault in faults_of(session) if str(fault) not in broken_before]
    if faults:
        raise SettingsError(faults)
    return session


def load_day(
    path: Path,
    overrides: Sequence[Override],
    options: DayOptions,
    outside: Rules,
    recording: Path | None = None,
) -> Session:
    """Read a session file and bring the day to it; everything wrong is reported at once.

    Parameters
    ----------
    path, overrides, recording
        As in `load_session`.
    options
        How the day was asked to begin.
    outside
        What this computer has to say against the session of the day.

    Raises
    ------
    SettingsError
        With every fault found.
    """
    begun: list[Session] = []

    def rules(tried: Session) -> list[Fault]:
        try:
            begun.append(begin_day(tried, options))
        except SettingsError as error:
            return [*error.faults, *outside(tried)]
        return outside(begun[-1])

    load_session(path, overrides, recording, rules)
    return begun[-1]


def _with_subject(session: Session, folder: SubjectFolder) -> Session:
    """Ensembles of the subject's folder and z_T of its day 1, where the experiment names none."""
    experiment, stored = session.experiment, folder.ensembles()
    if experiment.decoder.p_plus or stored is None:
        return session
    decoder = experiment.decoder.model_copy(
        update={
            "p_plus": stored.p_plus,
            "p_minus": stored.p_minus,
            "decode_plane": stored.decode_plane,
            "weights_plus": stored.weights_plus or None,
            "weights_minus": stored.weights_minus or None,
            "axis": Axis(**stored.axis) if stored.axis else experiment.decoder.axis,
        }
    )
    calibration, first = experiment.calibration, folder.first_calibration(stored)
    if first is not None and calibration.z_first is None and first.day < _today():
        calibration = calibration.model_copy(update={"z_first": first.z_t})
    changed = experiment.model_copy(update={"decoder": decoder, "calibration": calibration})
    session = session.model_copy(update={"experiment": changed})
    return _with_day(session, ensembles_from=f"{folder.path.name}, chosen {stored.at[:10]}")


def _without(session: Session, labels: Sequence[str]) -> tuple[Session, list[Fault]]:
    """The rest of the ensembles, weights 1/n; the subject's own stay as they are."""
    if not labels:
        return session, []
    decoder = session.experiment.decoder
    beside = [one for one in labels if one not in (*decoder.p_plus, *decoder.p_minus)]
    rest = {
        "p_plus": tuple(one for one in decoder.p_plus if one not in labels),
        "p_minus": tuple(one for one in decoder.p_minus if one not in labels),
    }
    faults = []
    if beside:
        allowed = "ROIs of the ensembles"
        todo = f"P+ is {_listed(decoder.p_plus)}, P- is {_listed(decoder.p_minus)}"
        faults.append(Fault("--without", beside, allowed, todo))
    short = [name for name, left in rest.items() if getattr(decoder, name) and len(left) < FEWEST]
    if short and not beside:
        faults.append(
            Fault(
                "--without",
                list(labels),
                f"at least {FEWEST} ROIs left a side; {' and '.join(short)} would have fewer",
                "find the neurons again, or choose other ensembles on a baseline of today",
            )
        )
    changes: dict[str, Any] = {**rest, "weights_plus": None, "weights_minus": None}
    changed = session.experiment.model_copy(update={"decoder": decoder.model_copy(update=changes)})
    session = session.model_copy(update={"experiment": changed})
    left_out = (*session.day.without, *(one for one in labels if one not in beside))
    return _with_day(session, without=tuple(dict.fromkeys(left_out))), faults


def _with_threshold(session: Session, folder: SubjectFolder) -> tuple[Session, list[Fault]]:
    """T of today's earlier baseline, where the closed loop comes first and has none."""
    experiment = session.experiment
    first = planned_blocks(session)[:1]
    if first != (BlockKind.CLOSED_LOOP,) or experiment.threshold or session.day.threshold:
        return session, []
    decoder, today = experiment.decoder, _today()
    stored = folder.newest_calibration(decoder.p_plus, decoder.p_minus, today)
    if stored is None:
        return session, [
            Fault(
                "--block",
                "closed_loop",
                f"a T of today, {today}; {folder.path} has none with these ensembles",
                "record a baseline first: bci run SESSION.toml --block baseline",
                ("experiment.baseline", "experiment.threshold", "experiment.blocks"),
            )
        ]
    return _with_day(session, threshold=known_threshold(stored)), []


def known_threshold(stored: StoredCalibration) -> KnownThreshold:
    """T and lo of a stored calibration, for a session that has no baseline of its own."""
    return KnownThreshold(
        t=stored.t,
        lo=stored.lo,
        origin=f"baseline of {stored.session}",
        baseline_median=stored.baseline_median,
        p_minus_max=stored.p_minus_max,
        others_min=stored.others_min,
        chance=stored.chance,
        chance_low=stored.chance_low,
        chance_high=stored.chance_high,
        higher=stored.higher,
    )


def _undecided(session: Session, folder: SubjectFolder) -> list[Fault]:
    """Without ensembles a day can only begin with the baseline that they are chosen on."""
    if session.experiment.decoder.p_plus or planned_blocks(session)[:1] == (BlockKind.BASELINE,):
        return []
    return [
        Fault(
            PLUS,
            [],
            f"ensembles; {folder.path} has none",
            "name them, or record a baseline and choose them on it",
        )
    ]


def _with_day(session: Session, **changes: Any) -> Session:
    day = Day.model_validate({**session.day.model_dump(), **_plain(changes)})
    return session.model_copy(update={"day": day})


def _plain(changes: dict[str, Any]) -> dict[str, Any]:
    return {k: v.model_dump() if hasattr(v, "model_dump") else v for k, v in changes.items()}


def _today() -> str:
    return date.today().isoformat()


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) or "empty"
