"""The way of the day, from left to right: each step with its light and its reason."""

from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from bci.gui.step import Step, StepStatus
from bci.gui.theme import LOOKS


class Rail(QWidget):
    """A button for each step, and for the other pages behind a line.

    Parameters
    ----------
    steps, pages
        In order.

    Signals
    -------
    chosen(int)
        Place among steps and pages.
    """

    chosen = pyqtSignal(int)

    def __init__(self, steps: Sequence[Step], pages: Sequence[Step]) -> None:
        super().__init__()
        self._pages = [*steps, *pages]
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._buttons: list[QPushButton] = []
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for place, page in enumerate(self._pages):
            if place == len(steps):
                line = QFrame()
                line.setFrameShape(QFrame.Shape.VLine)
                row.addSpacing(6)
                row.addWidget(line)
                row.addSpacing(6)
            elif 0 < place < len(steps):
                row.addWidget(QLabel("›"))
            button = QPushButton(page.title)
            button.setCheckable(True)
            # a page is chosen by Ctrl and its number; space stays with the window
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.setAccessibleName(page.title)
            button.setSizePolicy(
                button.sizePolicy().Policy.Expanding, button.sizePolicy().Policy.Fixed
            )
            self._group.addButton(button, place)
            self._buttons.append(button)
            row.addWidget(button, 1 if place < len(steps) else 0)
        self._group.idClicked.connect(self.chosen)
        self._n_steps = len(steps)

    def show_place(self, place: int) -> None:
        """Mark the page that is shown."""
        self._buttons[place].setChecked(True)

    def refresh(self) -> None:
        """Ask every step how it stands."""
        for page, button in zip(self._pages[: self._n_steps], self._buttons, strict=False):
            self._tell(button, page.title, page.status())

    def _tell(self, button: QPushButton, title: str, status: StepStatus) -> None:
        look = LOOKS[status.light]
        text = f"{look.sign}  {title}"
        if button.text() == text and button.toolTip() == status.reason:
            return
        button.setText(text)
        button.setToolTip(status.reason)
        button.setStyleSheet(f"border-bottom: 3px solid {look.colour};")
