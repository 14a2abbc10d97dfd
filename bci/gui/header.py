"""Above everything: whose session it is, how the task stands, how much time is left."""

from PyQt6.QtWidgets import QHBoxLayout, QLabel, QWidget

from bci.core.loop_types import TaskState
from bci.gui.day import Day, Phase
from bci.gui.words import clock, state_words

WAITS = {
    "operator": "you",
    "F0 window": "F0",
    "ensembles": "the ensembles",
    "threshold": "a threshold",
}


class Header(QWidget):
    """One line.

    Parameters
    ----------
    day
        What is told.
    """

    def __init__(self, day: Day) -> None:
        super().__init__()
        self._day = day
        self._subject, self._session = _label("title"), _label("dim")
        self._state, self._trial = _label("title"), _label("dim")
        self._clock, self._left = _label("clock"), _label("dim")
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 0)
        row.setSpacing(12)
        row.addWidget(self._subject)
        row.addWidget(self._session)
        row.addStretch(1)
        row.addWidget(self._state)
        row.addWidget(self._trial)
        row.addStretch(1)
        row.addWidget(self._left)
        row.addWidget(self._clock)
        self._style = ""

    def refresh(self) -> None:
        """Tell how the session stands."""
        day, model = self._day, self._day.model
        session = day.session
        self._subject.setText(session.subject if session is not None else "no session")
        where = day.folder.name if day.folder is not None else day.phase.value
        if day.phase is Phase.ENDED:
            where += ", ended"
        self._session.setText(where)
        word, colour = state_words(model.state)
        if day.phase is Phase.STARTING or (day.is_live and model.state is None):
            word = "starting"
        elif model.state is None:
            word = ""
        waits_for = model.telemetry.waits_for if model.telemetry is not None else ""
        if day.is_live and waits_for:
            word += f" for {WAITS[waits_for]}" if waits_for in WAITS else f" for {waits_for}"
        self._state.setText(word)
        if colour != self._style:
            self._style = colour
            self._state.setStyleSheet(f"color: {colour};")
        trial = model.decisions.rows[-1]["trial"] if len(model.decisions) else 0
        self._trial.setText(f"trial {trial}" if trial else "")
        self._clock.setText(clock(model.session_s))
        left_s = self.left_s()
        self._left.setText(f"{clock(left_s)} left" if left_s == left_s else "")

    def left_s(self) -> float:
        """Of the present block, s; NaN where it is not known."""
        model, session = self._day.model, self._day.session
        if session is None or model.telemetry is None or not self._day.is_live:
            return float("nan")
        whole_s = session.experiment.task.session_s
        if model.state is TaskState.BASELINE and session.experiment.baseline is not None:
            whole_s = session.experiment.baseline.duration_s
        return max(0.0, (1 - model.telemetry.progress) * whole_s)


def _label(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    return label
