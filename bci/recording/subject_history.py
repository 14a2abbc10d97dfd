"""All that is on file of a subject, session by session: for its history over the days."""

import re
from collections.abc import Mapping
from math import isnan, nan
from pathlib import Path
from typing import Any

import msgspec

from bci.recording.folder import MANIFEST
from bci.recording.manifest import Manifest, NoManifest, read_manifest
from bci.recording.subject import FOLDER, DayNote, SubjectDamaged, SubjectFolder

SESSION_NAME = re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])T\d{6}(-\d+)?")
UNFINISHED = "it runs, or was cut short"
UNKNOWN = (nan, nan, nan)


class PastSession(msgspec.Struct, frozen=True, kw_only=True):
    """One session in numbers; NaN where unknown.

    Parameters
    ----------
    folder
        Of the session.
    at
        Its start, ISO 8601 with the offset from UTC.
    experiment
        Name of the experiment.
    ok, reason
        Whether it ended as asked, and how.
    trials
        That are over.
    accuracy, chance
        Hits over hits and misses, and what the baseline predicts: value, low, high; 0–1.
    rewards_per_min, volume_ul, t
        Of the task, in trials (`bci.core.performance.TaskTime`); of the board; threshold in the
        unit of the signal.
    weight_g
        As the settings tell it.
    """

    folder: Path
    at: str
    experiment: str
    ok: bool
    reason: str
    trials: int
    accuracy: tuple[float, float, float]
    chance: tuple[float, float, float]
    rewards_per_min: float
    volume_ul: float
    t: float
    weight_g: float

    @property
    def date(self) -> str:
        """Local date of the start, ISO 8601."""
        return self.at[:10]


class SubjectHistory(msgspec.Struct, frozen=True):
    """What is on file of one subject, in order of time.

    Parameters
    ----------
    subject
        Its name.
    sessions, notes
        That could be read.
    damaged
        Folders and files that could not, each with the reason.
    training
        Local dates of all sessions, readable or not, ISO 8601, in order.
    """

    subject: str
    sessions: list[PastSession]
    notes: list[DayNote]
    damaged: list[str]
    training: list[str]

    @property
    def dates(self) -> list[str]:
        """Every local date with a session or a note, ISO 8601, in order."""
        return sorted({*self.training, *(note.at[:10] for note in self.notes)})

    def number(self, date: str) -> int | None:
        """Number of a day of training, from 1; None: no session then."""
        return self.training.index(date) + 1 if date in self.training else None

    def next_day(self, today: str) -> int:
        """Number of the day that a session begun today belongs to, from 1."""
        return len(set(self.training) - {today}) + 1

    def weight_g(self, date: str) -> float:
        """Newest weight of a date; a note before the settings of a session; NaN: not weighed."""
        weights = [s.weight_g for s in self.sessions if s.date == date]
        weights += [n.weight_g or nan for n in self.notes if n.at[:10] == date]
        known = [weight for weight in weights if weight == weight]
        return known[-1] if known else nan


def subjects_in(root: Path) -> list[str]:
    """Names of the subjects that have a folder with a session or with notes, sorted."""
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []
    return [path.name for path in folders if (path / FOLDER).is_dir() or _sessions_of(path)]


def read_history(root: Path, subject: str) -> SubjectHistory:
    """Read all that is on file; what cannot be read is told, and the rest is there.

    Parameters
    ----------
    root
        Folder of all subjects.
    subject
        Name of one.
    """
    sessions: list[PastSession] = []
    notes: list[DayNote] = []
    damaged: list[str] = []
    folders = _sessions_of(root / subject)
    for folder in folders:
        try:
            sessions.append(_past(folder, read_manifest(folder)))
        except (NoManifest, ValueError) as error:
            damaged.append(str(error))
    try:
        notes = SubjectFolder(root, subject).notes()
    except (SubjectDamaged, ValueError) as error:
        damaged.append(str(error))
    sessions.sort(key=lambda session: session.at)
    training = {_date(folder) for folder in folders} | {session.date for session in sessions}
    return SubjectHistory(subject, sessions, notes, damaged, sorted(training))


def _sessions_of(subject: Path) -> list[Path]:
    try:
        return sorted(path for path in subject.iterdir() if SESSION_NAME.fullmatch(path.name))
    except OSError:
        return []


def _date(folder: Path) -> str:
    return f"{folder.name[:4]}-{folder.name[4:6]}-{folder.name[6:8]}"


def _past(folder: Path, manifest: Manifest) -> PastSession:
    outcome = manifest.outcome
    summary = _table(outcome.get("summary"))
    performance = _table(summary.get("performance"))
    accuracy = tuple(_number(performance.get(f"accuracy{end}")) for end in ("", "_low", "_high"))
    counts_trials = "task_s" in performance
    trials = _number(summary.get("trials"))
    animal = _table(manifest.settings.get("animal"))
    experiment = _table(manifest.settings.get("experiment"))
    if not isinstance(manifest.started, str) or len(manifest.started) < 10:
        raise ValueError(f"{folder / MANIFEST}: does not tell when the session began")
    return PastSession(
        folder=folder,
        at=manifest.started,
        experiment=str(experiment.get("name", "")),
        ok=outcome.get("ok") is True,
        reason=str(outcome.get("reason", UNFINISHED)),
        trials=0 if isnan(trials) else int(trials),
        accuracy=(accuracy[0], accuracy[1], accuracy[2]),
        chance=_triple(summary.get("chance")),
        # version 0.1.0 divided by waiting and pauses as well: those figures do not compare
        rewards_per_min=_number(performance.get("rewards_per_min") if counts_trials else None),
        volume_ul=_number(summary.get("volume_ul")),
        t=_number(summary.get("t", summary.get("chance_t"))),
        weight_g=_number(animal.get("weight_g")),
    )


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _triple(value: Any) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3:
        return UNKNOWN
    return (_number(value[0]), _number(value[1]), _number(value[2]))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and value is not True else nan
