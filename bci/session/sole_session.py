"""An animal is in one session at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bci.config import Fault, SettingsError
from bci.recording.exclusive import take

HELD = ".in-session"
"""Beside the subject's sessions; locked while one runs, and of no meaning otherwise."""


@contextmanager
def sole_session(root: Path, subject: str) -> Iterator[None]:
    """Keep every other session of the subject out; the end of the process lets them in again.

    Two sessions of one animal would each count its drops without those of the other, and would
    both be its day. Mostly the second is that of another animal, under the wrong name.

    Parameters
    ----------
    root
        Folder of all subjects.
    subject
        Name of the animal.

    Raises
    ------
    SettingsError
        Where it is in a session already.
    OSError
        Where its folder cannot be made or written to.
    """
    folder = root / subject
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / HELD).open("a+b") as file:
        if not take(file.fileno()):
            file.seek(0)
            holder = file.read().decode(errors="replace")
            todo = "end that one first, or set the name of the animal that is in this rig"
            raise SettingsError([Fault("subject", subject, f"is in a session {holder}", todo)])
        file.truncate(0)
        file.write(f"of process {os.getpid()}, which keeps {folder / HELD} locked".encode())
        file.flush()
        yield
