"""The closed loop as it runs."""

from PyQt6.QtWidgets import QVBoxLayout

from bci.core.counted import counted
from bci.core.loop_types import TaskState
from bci.gui.day import Day, Phase
from bci.gui.step import Step, StepStatus
from bci.gui.theme import Light
from bci.gui.views.session_view import SessionView
from bci.gui.words import state_words


class SessionStep(Step):
    """The session view on the running session."""

    title = "Session"

    def __init__(self, day: Day) -> None:
        super().__init__(day)
        self.view = SessionView()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.view)

    def status(self) -> StepStatus:
        """Green while the loop runs, amber while it is held up."""
        day, state = self.day, self.day.model.state
        match day.phase:
            case Phase.SETTING_UP:
                return StepStatus(Light.IDLE, "no session runs")
            case Phase.STARTING:
                return StepStatus(Light.WARN, "starting: processes, stream, screen")
            case Phase.ENDED:
                return StepStatus(Light.OK, "over")
        if state is TaskState.PAUSED:
            return StepStatus(Light.WARN, "paused: resume with the space bar")
        over = counted(len(day.model.trials), "trial is", "trials are")
        return StepStatus(Light.OK, f"{state_words(state)[0]}, {over} over")

    def refresh(self) -> None:
        """Draw the session."""
        self.view.refresh(self.day.model)
