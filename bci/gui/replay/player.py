"""A recorded session, played: the model of the window fed from its journal."""

from pathlib import Path

from bci.gui.model import SHOWN_S, SessionModel
from bci.gui.replay.index import ReplayIndex
from bci.recording.folder import JOURNAL
from bci.recording.history import HistoryReader, HistoryRequest
from bci.recording.manifest import read_manifest
from bci.recording.tail import JournalTail

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
BEFORE_S = SHOWN_S + 5.0
"""Read before the place that is gone to: what the views show of the past, and a little more."""
FAR_S = 20.0
"""Further forward than this is gone to, nearer is played through."""
READS_MOST = 40


class Player:
    """One recorded session at one moment of it; for one thread.

    Parameters
    ----------
    folder
        Of the session.

    Attributes
    ----------
    index
        Of the session; its `read` is for a thread of its own.
    model
        The session as it stood at `model.now_ns`.
    playing, speed
        Whether time goes on, and how much faster than it did.

    Raises
    ------
    NoManifest, SettingsError, OSError
        Where the folder holds no session that can be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._session = read_manifest(folder).session_settings()
        self.index = ReplayIndex(folder)
        self._tail: JournalTail | None = None
        self._reader: HistoryReader | None = None
        self._position = 0
        self.model = SessionModel(self._session, folder)
        self.playing = False
        self.speed = 1.0

    @property
    def now_s(self) -> float:
        """Of the session, since its first record, seconds."""
        return max(0.0, (self.model.now_ns - self.index.start_ns) * 1e-9)

    @property
    def first_frame_s(self) -> float:
        """Where the session's clock is at 0, on the same scale; the beginning until it is known."""
        index = self.index
        return (max(index.first_frame_ns, index.start_ns) - index.start_ns) * 1e-9

    @property
    def length_s(self) -> float:
        """Of the session, as far as it is known, seconds."""
        return (self.index.end_ns - self.index.start_ns) * 1e-9

    def advance(self, seconds: float) -> None:
        """Let so much time of the clock pass; stops at the end."""
        if not self.playing or not self.index.marks:
            return
        wanted_s = self.now_s + seconds * self.speed
        self.go_to(min(wanted_s, self.length_s))
        if wanted_s >= self.length_s and self.index.done:
            self.playing = False

    def go_to(self, now_s: float) -> None:
        """Show the session as it stood then; a long way or back costs a part of a second."""
        index = self.index
        if not index.marks:
            return
        t_ns = index.start_ns + round(max(0.0, min(now_s, self.length_s)) * 1e9)
        step_s = (t_ns - self.model.now_ns) * 1e-9
        if self._reader is None or not 0 <= step_s <= FAR_S:
            self._begin_before(t_ns)
        self._read_until(t_ns)

    def close(self) -> None:
        """Let go of the file, and of the reading of the index."""
        self.index.stop()
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def _begin_before(self, t_ns: int) -> None:
        """A model that knows all that is rare up to a place some time before."""
        index = self.index
        place = index.mark_before(t_ns - round(BEFORE_S * 1e9))
        marks = index.marks[: place + 1]
        self.model = SessionModel(self._session, self.folder)
        for mark in marks:
            self.model.take(mark.before)
        if self._tail is None:
            self._tail = JournalTail(self.folder / JOURNAL)
        self._reader = HistoryReader(self._tail, marks[-1].info)
        self._position = marks[-1].position

    def _read_until(self, t_ns: int) -> None:
        assert self._reader is not None
        shown_since_ns = t_ns - round(BEFORE_S * 1e9)
        for _ in range(READS_MOST):
            chunk = self._reader.read(HistoryRequest(self._position, shown_since_ns), t_ns)
            if chunk.position != self._position:
                self._position = chunk.position
                self.model.take(chunk)
            if chunk.at_end:
                break
        self.model.now_ns = t_ns
