"""What a step of the day, and every other page of the window, is."""

from typing import TYPE_CHECKING, NamedTuple

from PyQt6.QtWidgets import QWidget

from bci.gui.theme import Light

if TYPE_CHECKING:
    from bci.gui.day import Day


class StepStatus(NamedTuple):
    """How a step stands, and why; the reason is read on the rail and in its tooltip."""

    light: Light
    reason: str


class Step(QWidget):
    """One page: a widget that reads `day` and asks things of it.

    A step holds no state of the session. It never waits: what takes time goes through
    `day.ask` (the running session) or `day.work` (a thread), and comes back by a call in the
    window's thread.

    Parameters
    ----------
    day
        Settings, the running session, what it told, and where requests go.

    Attributes
    ----------
    title
        On the rail.
    """

    title = ""

    def __init__(self, day: "Day") -> None:
        super().__init__()
        self.day = day
        self.setObjectName("page")

    def status(self) -> StepStatus:
        """How the step stands; asked once a second, shown or not."""
        return StepStatus(Light.IDLE, "")

    def refresh(self) -> None:
        """Draw what `day.model` holds now; called at most 30 times a second, while shown."""

    def opened(self) -> None:
        """The step is shown from now on."""

    def session_changed(self) -> None:
        """Another session, or none: `day.model` is a new one."""
