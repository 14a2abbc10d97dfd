"""Which pages the window has, in order."""

from pathlib import Path

from bci.gui.day import Day
from bci.gui.step import Step
from bci.gui.steps.baseline import BaselineStep
from bci.gui.steps.end import EndStep
from bci.gui.steps.ensembles import EnsemblesStep
from bci.gui.steps.field_of_view import FieldOfViewStep
from bci.gui.steps.replay import ReplayPage
from bci.gui.steps.rig import RigStep
from bci.gui.steps.session import SessionStep
from bci.gui.steps.settings import SettingsPage
from bci.gui.steps.subjects import SubjectsPage
from bci.gui.window import OperatorWindow

STEPS: tuple[type[Step], ...] = (
    RigStep,
    FieldOfViewStep,
    BaselineStep,
    EnsemblesStep,
    SessionStep,
    EndStep,
)
"""The way of a day."""
PAGES: tuple[type[Step], ...] = (SettingsPage, SubjectsPage, ReplayPage)
"""What stands beside it: settings, subjects, replay."""


def make_window(day: Day) -> OperatorWindow:
    """The window with all its pages."""
    pages = [page(day) for page in PAGES]
    window = OperatorWindow(day, [step(day) for step in STEPS], pages)
    subjects = next(page for page in pages if isinstance(page, SubjectsPage))
    replay = next(page for page in pages if isinstance(page, ReplayPage))

    def show_again(folder: Path) -> None:
        replay.load(folder)
        window.show_page(window.pages.index(replay))

    subjects.replay.connect(show_again)
    return window
