"""Pictures of every page for the documentation: `make screenshots`.

A session of a minute is really run, and each page is shown when it has something to show.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6.QtWidgets import QApplication, QPushButton

from bci.core.loop_types import Stop, TaskState
from bci.gui.app import application
from bci.gui.day import Day, Phase
from bci.gui.pages import make_window
from bci.gui.window import OperatorWindow
from bci.stream.operator import OperatorNote, OperatorReward

SESSION = Path("configs/demo.toml")
SETS = (
    "rig.screen.backend=null",
    "rig.source.n_rois=200",
    "experiment.task.trial_s=8",
    "experiment.task.daily_cap_ul=1000",
    "experiment.decoder.f0_window_s=4",
    "experiment.baseline.duration_s=14",
)
SIZE_PX = (1280, 800)
MOST_BYTES = 300_000
TIMEOUT_S = 120.0
TRIALS_S = 45.0
LATER_TRIALS = 4


class Photographer:
    """Takes pictures of a window, one page after the other.

    Parameters
    ----------
    app
        Of this process.
    window
        That is shown.
    folder
        Where pictures go.
    """

    def __init__(self, app: QApplication, window: OperatorWindow, folder: Path) -> None:
        self._app = app
        self._window = window
        self._folder = folder

    def wait(self, seen: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        """Let the window live until something is seen.

        Raises
        ------
        TimeoutError
            Where it is not seen in time.
        """
        deadline = time.monotonic() + timeout_s
        while not seen():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout_s:g} s in vain")
            self._app.processEvents()
            time.sleep(0.005)

    def pause(self, seconds: float) -> None:
        """Let the window live for so long."""
        until = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() >= until)

    def show(self, title: str) -> None:
        """Show this page, and wait until it has drawn what it has."""
        titles = [page.title for page in self._window.pages]
        self._window.show_page(titles.index(title))
        self.pause(1.5)

    def press(self, text: str) -> None:
        """Press the button of the page that is shown, as soon as it may be pressed."""
        buttons = self._window.page.findChildren(QPushButton)
        button = next(one for one in buttons if one.text() == text)
        self.wait(button.isEnabled)
        button.click()
        self.pause(0.3)

    def take(self, title: str) -> None:
        """Take a picture of this page."""
        self.show(title)
        path = self._folder / f"window-{title.lower().replace(' ', '-')}.png"
        self._window.grab().save(str(path))
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ValueError(f"{path}: {size:,} bytes, more than {MOST_BYTES:,}")
        sys.stdout.write(f"{path}  {size:,} bytes\n")


def take_all(folder: Path, root: Path) -> None:
    """Run a session, and take a picture of every page on the way.

    Parameters
    ----------
    folder
        Where pictures go.
    root
        Folder of all subjects of that session.
    """
    app = application()
    day = Day(SESSION, SETS, root)
    window = make_window(day)
    window.resize(*SIZE_PX)
    window.show()
    eye = Photographer(app, window, folder)
    eye.pause(1.0)
    for title in ("Rig", "Settings"):
        eye.take(title)
    day.start_session()
    eye.wait(lambda: day.model.state is TaskState.BASELINE)
    eye.pause(6.0)
    for title in ("Baseline", "Field of view"):
        eye.take(title)
    eye.wait(lambda: day.model.state is TaskState.RUN)
    eye.show("Ensembles")
    for text in ("Score the ROIs  F5", "Propose"):
        eye.press(text)
    eye.pause(2.0)
    eye.take("Ensembles")
    day.ask(OperatorNote("the animal sits well"))
    day.ask(OperatorReward())
    eye.pause(TRIALS_S)
    eye.wait(lambda: day.model.state is TaskState.RUN)
    eye.take("Session")
    day.ask(Stop("stopped by the operator"))
    eye.wait(lambda: day.phase is Phase.ENDED)
    for title in ("End", "Subjects"):
        eye.take(title)
    eye.show("Replay")
    for _ in range(LATER_TRIALS):
        eye.press("trial ▶")
    eye.take("Replay")
    window.close()


def main(arguments: list[str]) -> str | None:
    """Take all pictures, into a folder that is made if it is missing.

    Returns
    -------
    str or None
        What is wrong with the arguments; None: nothing.
    """
    if len(arguments) != 1:
        return "usage: python -m bci.gui.screenshots FOLDER"
    folder = Path(arguments[0])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"{folder}: cannot be made ({error.strerror}). Name another folder for the pictures."
    with tempfile.TemporaryDirectory() as root:
        take_all(folder, Path(root))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
