"""What the operator can do at any moment: the buttons below every page, and their keys."""

from collections.abc import Callable
from time import monotonic, perf_counter_ns

from PyQt6.QtCore import QObject, Qt, QTimer
from PyQt6.QtGui import QKeyEvent, QKeySequence, QShortcut
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSlider,
    QStackedLayout,
    QWidget,
)

from bci.core.loop_types import (
    BlockBegun,
    BlockKind,
    Finish,
    LightSet,
    Pause,
    Resume,
    Stop,
    TaskState,
)
from bci.gui.day import Day, Phase
from bci.gui.model import SessionModel
from bci.gui.permissions import Action, next_block, refusals
from bci.stream.operator import OperatorNote, OperatorRequest, OperatorReward, Reply

ASKED_MS = 8000
"""How long a stop waits for its second step."""
BY_HAND = "stopped by the operator"
LONGEST_S = 5.0
"""A change of state that does not show by then after its answer is waited for no longer."""
CHANGING = (Action.BEGIN, Action.PAUSE, Action.RESUME, Action.STOP)
BLOCKS = {BlockKind.BASELINE: "the baseline", BlockKind.CLOSED_LOOP: "the trials"}

TYPING = (
    QLineEdit,
    QPlainTextEdit,
    QAbstractSpinBox,
    QComboBox,
    QAbstractItemView,
    QSlider,
)
"""Widgets whose own keys go before those of the window while they have the focus."""


class Controls(QWidget):
    """Start, pause and resume, reward, light, note, stop in two steps.

    A button that the state does not allow is disabled and says why in its tooltip; its key does
    nothing then.

    Parameters
    ----------
    day
        What is asked.

    Attributes
    ----------
    refused
        Requests that control refused: the state had changed on the way.
    """

    def __init__(self, day: Day) -> None:
        super().__init__()
        self._day = day
        self.refused = 0
        self._pending: dict[Action, Pending] = {}
        self.start = _button("Start session", "go", self._start)
        self.begin = _button("Begin  [B]", "go", self._begin)
        self.pause = _button("Pause  [space]", "big", self._pause_or_resume)
        self.reward = _button("Reward  [R]", "big", self._reward)
        self.light = _button("Light on  [L]", "big", self._light)
        self.stop = _button("Stop…  [Esc]", "danger", self._ask_stop)
        self.note = _NoteField(self._write)
        self.stop_now = _button("Stop session  [Enter]", "danger", self._stop_at_once)
        self.stop_after = _button("Stop after this trial  [T]", "big", self._stop_after_trial)
        self.keep_running = _button("Keep running  [Esc]", "big", self._leave_stop)
        self._asking = QTimer(self)
        self._asking.setSingleShot(True)
        self._asking.setInterval(ASKED_MS)
        self._asking.timeout.connect(self._leave_stop)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(
            _row(self.start, self.begin, self.pause, self.reward, self.light, self.note, self.stop)
        )
        question = QLabel("Stop the session?")
        question.setObjectName("title")
        self._stack.addWidget(
            _row(question, None, self.stop_now, self.stop_after, self.keep_running)
        )
        self._keys = [
            self._key("Space", self.pause, self._pause_or_resume),
            self._key("B", self.begin, self._begin),
            self._key("R", self.reward, self._reward),
            self._key("L", self.light, self._light),
            self._key("N", self.note, self.note.setFocus),
            self._key("Esc", self.stop, self._esc),
            self._key("Return", self.stop_now, self._stop_at_once),
            self._key("Enter", self.stop_now, self._stop_at_once),
            self._key("T", self.stop_after, self._stop_after_trial),
        ]
        self._start_key = self._key("Ctrl+Return", self.start, self._start)
        QApplication.instance().focusChanged.connect(self._focus_moved)  # type: ignore[union-attr]
        self.refresh()

    @property
    def is_asking(self) -> bool:
        """Whether the second step of a stop is shown."""
        return self._stack.currentIndex() == 1

    def refresh(self) -> None:
        """Allow what the state allows."""
        no = self._refusals()
        phase = self._day.phase
        self.start.setVisible(not self._day.is_live)
        self.start.setText("New session" if phase is Phase.ENDED else "Start session  [Ctrl Enter]")
        self.begin.setVisible(not no[Action.BEGIN])
        self.begin.setText(f"Begin {BLOCKS[next_block(self._day)]}  [B]")
        held = self._day.model.state is TaskState.PAUSED
        self.pause.setText("Resume  [space]" if held else "Pause  [space]")
        self.light.setText("Light off  [L]" if self._day.model.light_is_on else "Light on  [L]")
        for button, why in (
            (self.start, no[Action.START]),
            (self.begin, no[Action.BEGIN]),
            (self.pause, no[Action.RESUME if held else Action.PAUSE]),
            (self.reward, no[Action.REWARD]),
            (self.light, no[Action.LIGHT]),
            (self.note, no[Action.NOTE]),
            (self.stop, no[Action.STOP]),
        ):
            button.setEnabled(not why)
            button.setToolTip(why)
        if self.is_asking and no[Action.STOP]:
            self._leave_stop()

    def session_changed(self) -> None:
        """Forget what belonged to the session before."""
        self._pending.clear()
        self._leave_stop()
        self.refresh()

    # -- what they do ------------------------------------------------------------------------

    def _start(self) -> None:
        if self._day.phase is Phase.ENDED:
            self._day.new_session()
        else:
            self._day.start_session()

    def _begin(self) -> None:
        self._ask(Action.BEGIN, BlockBegun(next_block(self._day)), "begun")

    def _pause_or_resume(self) -> None:
        if self._day.model.state is TaskState.PAUSED:
            self._ask(Action.RESUME, Resume(), "resumed")
        else:
            self._ask(Action.PAUSE, Pause(), "paused")

    def _reward(self) -> None:
        self._ask(Action.REWARD, OperatorReward(), "reward")

    def _light(self) -> None:
        # what the button says, and that is what the board confirmed last
        on = not self._day.model.light_is_on
        self._ask(Action.LIGHT, LightSet(on), f"light {'on' if on else 'off'}: asked the board")

    def _write(self, text: str) -> None:
        self._ask(Action.NOTE, OperatorNote(text), "noted")

    def _esc(self) -> None:
        if self.is_asking:
            self._leave_stop()
        else:
            self._ask_stop()

    def _ask_stop(self) -> None:
        self._stack.setCurrentIndex(1)
        self._asking.start()

    def _leave_stop(self) -> None:
        self._asking.stop()
        self._stack.setCurrentIndex(0)

    def _stop_at_once(self) -> None:
        if self.is_asking:
            self._leave_stop()
            self._ask(Action.STOP, Stop(BY_HAND), "stopping")

    def _stop_after_trial(self) -> None:
        if self.is_asking:
            self._leave_stop()
            self._ask(Action.STOP, Finish(BY_HAND), "ending after this trial")

    def _ask(self, action: Action, request: OperatorRequest, done: str) -> None:
        """Ask, unless the state forbids it or the same was asked and is not answered yet."""
        if self._refusals()[action]:
            return
        pending = self._pending[action] = Pending(request)

        def answered(reply: Reply) -> None:
            pending.answered_s = monotonic()
            if not reply.accepted:
                self.refused += 1
                self._pending.pop(action, None)
            self._day.said.emit(done if reply.accepted else f"not done: {reply.reason}")
            self.refresh()

        self._day.ask(request, answered)
        self.refresh()

    def _refusals(self) -> dict[Action, str]:
        """What the state forbids, and what was asked for and has not shown yet."""
        no = refusals(self._day)
        for action, pending in list(self._pending.items()):
            if pending.is_over(self._day.model if action in CHANGING else None):
                del self._pending[action]
            else:
                # while a change of state is under way, no other one is asked for
                for other in CHANGING if action in CHANGING else (action,):
                    no[other] = no[other] or "asked for: waiting for control"
        return no

    # -- keys --------------------------------------------------------------------------------

    def _key(self, keys: str, where: QWidget, act: Callable[[], object]) -> QShortcut:
        shortcut = QShortcut(QKeySequence(keys), self)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        # one press, one reward
        shortcut.setAutoRepeat(False)
        shortcut.activated.connect(lambda: act() if where.isEnabled() else None)
        return shortcut

    def _focus_moved(self, _: QObject | None, now: QObject | None) -> None:
        """Leave plain keys to a widget that one types into or chooses with, space to a button."""
        typing = isinstance(now, TYPING)
        for key in self._keys:
            key.setEnabled(not typing)
        self._keys[0].setEnabled(not typing and not isinstance(now, QAbstractButton))


class Pending:
    """A request under way.

    Parameters
    ----------
    request
        As it is asked, now.

    Attributes
    ----------
    answered_s
        `time.monotonic` of control's answer; None before.
    """

    def __init__(self, request: OperatorRequest) -> None:
        self._kind = type(request)
        self._asked_ns = perf_counter_ns()
        self.answered_s: float | None = None

    def is_over(self, model: SessionModel | None) -> bool:
        """Whether it was answered, and what it changed is known.

        Parameters
        ----------
        model
            That the change must show in; None: nothing changes.
        """
        if self.answered_s is None:
            return False
        if model is None or monotonic() - self.answered_s > LONGEST_S:
            return True
        return self._shows_in(model)

    def _shows_in(self, model: SessionModel) -> bool:
        """Whether history and telemetry, which come by ways of their own, are newer than it."""
        for t_ns, event in reversed(model.events):
            if t_ns < self._asked_ns:
                break
            if isinstance(event, self._kind):
                decided = len(model.decisions) and model.decisions.rows[-1]["t_ns"] >= t_ns
                return bool(decided) and model.telemetry is not None and model.telemetry.t_ns > t_ns
        return False


class _NoteField(QLineEdit):
    """A line with a time stamp: Enter sends it, Esc leaves it."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write
        self.setPlaceholderText("Note  [N], Enter writes it with the time")
        self.setMaxLength(1000)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Send or leave."""
        key = event.key() if event is not None else None
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if text := self.text().strip():
                self._write(text)
                self.clear()
            self.clearFocus()
        elif key == Qt.Key.Key_Escape:
            self.clearFocus()
        else:
            super().keyPressEvent(event)


def _button(text: str, kind: str, act: Callable[[], object]) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(kind)
    # the keys of the window do what a focused button would do
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    button.clicked.connect(lambda: act())
    return button


def _row(*widgets: QWidget | None) -> QWidget:
    whole = QWidget()
    row = QHBoxLayout(whole)
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        if widget is None:
            row.addStretch(1)
        else:
            row.addWidget(widget, 1 if isinstance(widget, QLineEdit) else 0)
    return whole
