"""The session file of a subject's next day, made like the one of its newest session."""

from datetime import date
from pathlib import Path

from bci.config.draft import Draft
from bci.recording.manifest import NoManifest, read_manifest
from bci.recording.subject_history import SubjectHistory


class NextDayRefused(ValueError):
    """There is nothing to go on from, or nowhere to write it; says why."""


def next_day_file(history: SubjectHistory, root: Path, today: date) -> Path:
    """Write it beside the sessions of the subject; never over another file.

    The weight of the day before does not hold any more and is left out.

    Parameters
    ----------
    history
        Of the subject.
    root
        Folder of all subjects.
    today
        Local date, which numbers the day.

    Raises
    ------
    NextDayRefused
        Where there is no session, or the file cannot be written.
    """
    if not history.sessions:
        raise NextDayRefused(f"{history.subject} has no session that could be gone on from")
    newest = history.sessions[-1]
    try:
        draft = Draft(read_manifest(newest.folder).settings)
    except NoManifest as error:
        raise NextDayRefused(str(error)) from error
    draft.reset("animal.weight_g")
    stem = f"day-{history.next_day(today.isoformat())}"
    folder = root / history.subject
    path = folder / f"{stem}.toml"
    attempt = 1
    while path.exists():
        attempt += 1
        path = folder / f"{stem}-{attempt}.toml"
    try:
        draft.save(path)
    except OSError as error:
        raise NextDayRefused(f"{path}: {error.strerror or error}") from error
    return path
