"""The baseline of the session, scored once for every page that shows scores."""

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from bci.analysis.baseline.calibration import Calibrated
from bci.gui.background import Background
from bci.gui.baseline_work import BaselineWork, Scored
from bci.gui.choice import Sides
from bci.gui.work_process import WorkProcess


class Scoring(QObject):
    """Scores, calibrates and keeps, in a process beside the window.

    Parameters
    ----------
    root
        Folder of all subjects.
    background
        Waits for the process.
    parent
        What ends it.

    Attributes
    ----------
    scored
        The newest; None: none of this session.
    busy
        Whether the ROIs are being scored.
    trouble
        Why the last attempt came to nothing.

    Signals
    -------
    changed
        One of these is another.
    """

    changed = pyqtSignal()

    def __init__(self, root: Path, background: Background, parent: QObject) -> None:
        super().__init__(parent)
        self._root = root
        self._background = background
        self._folder: Path | None = None
        self._process = WorkProcess(BaselineWork.__module__, BaselineWork.__name__)
        self.scored: Scored | None = None
        self.busy = False
        self.trouble = ""

    def turn_to(self, folder: Path | None) -> None:
        """Be of the session in this folder; of another one, nothing is known any more."""
        if folder != self._folder:
            self._folder, self.scored, self.busy, self.trouble = folder, None, False, ""
            self.changed.emit()

    def score(self) -> None:
        """Run the baseline through the loop, all ROIs at once."""
        folder = self._folder
        if folder is None or self.busy:
            return
        self.busy, self.trouble = True, ""

        def done(scored: Scored | None, error: Exception | None) -> None:
            if self._folder != folder:
                return
            self.busy = False
            self.scored = scored or self.scored
            self.trouble = "" if error is None else str(error)
            self.changed.emit()

        self._background.work(lambda: self._process.call("score", folder, self._root), done)
        self.changed.emit()

    def calibrate(
        self,
        sides: Sides,
        seed: int | None,
        then: Callable[[Calibrated | None, Exception | None], None],
    ) -> None:
        """Find T, lo and chance of a choice from the baseline that was scored last."""
        self._background.work(lambda: self._process.call("calibrate", sides, seed), then)

    def keep(
        self,
        sides: Sides,
        seed: int | None,
        then: Callable[[dict[str, str] | None, Exception | None], None],
    ) -> None:
        """Keep a choice and its calibration for the animal."""
        self._background.work(lambda: self._process.call("keep", sides, seed, self._root), then)

    def close(self) -> None:
        """End what is being worked out."""
        self._process.close()
