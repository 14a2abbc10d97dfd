"""The command line as its user starts it, whose window also tells a test where its buttons are.

usage: window_child.py STATE_FILE ARGUMENTS…
"""

import json
import os
import sys
from pathlib import Path

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QLineEdit, QPushButton, QWidget

import bci.gui.app
from bci.cli import main
from bci.gui.day import Day
from bci.gui.views.grating import GratingView
from bci.gui.window import OperatorWindow

state_file = Path(sys.argv[1])
sys.argv = ["bci", *sys.argv[2:]]
make_window = bci.gui.app.make_window


def centre(widget: QWidget) -> list[int]:
    place = widget.mapToGlobal(widget.rect().center())
    return [place.x(), place.y()]


class Placed:
    """Widgets by what they say: those that stand where they stood at the last look.

    A place that is told while the window is being laid out is not where the mouse will find it.
    """

    def __init__(self) -> None:
        self._before: dict[str, list[int]] = {}

    def of(self, now: dict[str, list[int]]) -> dict[str, list[int]]:
        before, self._before = self._before, now
        return {text: place for text, place in now.items() if before.get(text) == place}


placed_buttons, placed_fields = Placed(), Placed()


def tell(window: OperatorWindow) -> None:
    day, model = window.day, window.day.model
    choice = window.pages[3].book.sides
    buttons = {
        button.text(): centre(button)
        for button in window.findChildren(QPushButton)
        if button.isVisible() and button.isEnabled()
    }
    fields = {
        field.placeholderText(): centre(field)
        for field in window.findChildren(QLineEdit)
        if field.isVisible() and field.isEnabled()
    }
    gratings = [view for view in window.findChildren(GratingView) if view.isVisible()]
    drawn = window.pages[4].view.activity.image
    state = {
        "pid": os.getpid(),
        "active": window.isActiveWindow(),
        "buttons": placed_buttons.of(buttons),
        "fields": placed_fields.of(fields),
        "grating": [*centre(gratings[0]), gratings[0].width(), gratings[0].height()]
        if gratings
        else [],
        "tried": [check.name for check in day.preflight],
        "choice": [choice.plus, choice.minus],
        "ensembles": model.ensembles,
        "calibrated": model.calibration is not None,
        "page": window.page.title,
        "phase": day.phase.value,
        "state": model.state.name if model.state is not None else "",
        "trials": len(model.trials),
        "decisions": model.decisions.total,
        "columns": model.fluorescence.total if model.fluorescence is not None else 0,
        "rows": drawn.n_rows if drawn is not None else 0,
        "notes": [text for _, text in model.notes],
        "alarms": [alarm.key for alarm in window.alarms.alarms],
        "asking": window.controls.is_asking,
    }
    beside = state_file.with_suffix(".new")
    beside.write_text(json.dumps(state))
    os.replace(beside, state_file)


def watched(day: Day) -> OperatorWindow:
    window = make_window(day)
    timer = QTimer(window)
    timer.setInterval(100)
    timer.timeout.connect(lambda: tell(window))
    timer.start()
    return window


bci.gui.app.make_window = watched
main()
