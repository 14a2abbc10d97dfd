"""A look once a second at whether a running session's folder is still where it was made."""

import os
import shutil
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from bci.recording.folder import JOURNAL, LOG, free_name, sync_folder

LOOK_S = 1.0
BEGUN_S = 0.05
"""Between looks for a journal that is not there yet: only what is open can be saved."""
COMPARED_BYTES = 64 * 1024
_F_GETPATH = 50
"""Of macOS: the path of an open file."""


class FolderWatch:
    """Holds the session's files open, so that what is in them outlives their names.

    Looks from a thread of its own. What it finds counts once two looks in a row find it: a network
    drive may lack a name for a moment. Windows lets nobody remove or move a file that is open.

    Parameters
    ----------
    folder
        Of the session; its journal may come later.
    lost
        Called once, from the thread, with what happened.

    Attributes
    ----------
    trouble
        What happened; empty: the files are where they were made.
    """

    def __init__(self, folder: Path, lost: Callable[[str], object]) -> None:
        self.trouble = ""
        self._folder = folder
        self._lost = lost
        self._files: dict[str, BinaryIO] = {}
        self._before = ""
        self._closing = threading.Event()
        self._look()
        self._thread = threading.Thread(target=self._run, name="folder-watch", daemon=True)
        self._thread.start()

    def __enter__(self) -> "FolderWatch":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        for file in self._files.values():
            file.close()

    def rescue(self) -> Path:
        """Find the session's files once nobody writes them any more, and save those without a name.

        Returns
        -------
        Path
            The folder that holds them now.

        Raises
        ------
        OSError
            If they cannot be saved.
        """
        self._stop()
        self._look()
        journal = self._files.get(JOURNAL)
        if journal is None or _is_at(journal, self._folder / JOURNAL):
            return self._folder
        if os.fstat(journal.fileno()).st_nlink:
            place = _place_of(journal)
            return self._folder if place is None else place.parent
        saved = self._folder
        if (saved / JOURNAL).exists():
            saved = free_name(saved.with_name(f"{saved.name}-saved"))
        saved.mkdir(parents=True, exist_ok=True)
        for name, file in self._files.items():
            if not (saved / name).exists():
                _copy(file, saved / name)
        sync_folder(saved)
        return saved

    def _stop(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(LOOK_S if JOURNAL in self._files else BEGUN_S):
            found = self._look()
            if found and found == self._before:
                self.trouble = found
                self._lost(found)
                return
            self._before = found

    def _home(self) -> Path:
        """The folder by now, as far as an open file of it tells."""
        place = _place_of(self._files[LOG]) if LOG in self._files else None
        return self._folder if place is None else place.parent

    def _look(self) -> str:
        """What is wrong; empty: nothing."""
        for name in (LOG, JOURNAL):
            if name not in self._files:
                with suppress(OSError):
                    self._files[name] = (self._home() / name).open("rb", buffering=0)
        journal = self._files.get(JOURNAL)
        if journal is None:
            return "" if self._folder.is_dir() else f"{self._folder} was removed by another program"
        try:
            if _is_at(journal, self._folder / JOURNAL):
                return ""
            if not os.fstat(journal.fileno()).st_nlink:
                return f"{self._folder / JOURNAL} was removed or replaced by another program"
        except OSError as error:
            return f"{self._folder} cannot be read any more: {error.strerror or error}"
        place = _place_of(journal)
        there = "" if place is None else f" to {place.parent}"
        return f"{self._folder} was moved{there} by another program"


def _is_at(file: BinaryIO, path: Path) -> bool:
    """True if this open file has this name.

    Some network drives give a file another number at each look: one that begins alike and is not
    smaller is taken for it, since the true one grows.
    """
    ours = os.fstat(file.fileno())
    try:
        found = path.stat()
        if os.path.samestat(found, ours):
            return True
        with path.open("rb") as other:
            file.seek(0)
            alike = other.read(COMPARED_BYTES) == file.read(COMPARED_BYTES)
    except FileNotFoundError:
        return False
    return alike and found.st_size >= ours.st_size


def _place_of(file: BinaryIO) -> Path | None:
    """Where an open file is by now; None if the system does not tell."""
    try:
        if sys.platform == "linux":
            return Path(os.readlink(f"/proc/self/fd/{file.fileno()}"))
        if sys.platform == "darwin":
            import fcntl

            told = fcntl.fcntl(file.fileno(), _F_GETPATH, bytes(1024))
            return Path(os.fsdecode(told.rstrip(b"\0")))
    except OSError:
        pass
    return None


def _copy(file: BinaryIO, path: Path) -> None:
    file.seek(0)
    with path.open("xb") as out:
        shutil.copyfileobj(file, out, 1024 * 1024)
        out.flush()
        os.fsync(out.fileno())
