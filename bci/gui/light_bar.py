"""The lights of all processes and devices, below everything."""

from collections.abc import Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from bci.gui.lights import Lamp
from bci.gui.theme import LOOKS


class LightBar(QWidget):
    """A sign, a name and a reason for each; the reason is shown where it is not ok.

    Attributes
    ----------
    shown
        How each light stands.
    message
        What became of the last request.
    sound
        Switch: whether alarms are heard.
    """

    def __init__(self) -> None:
        super().__init__()
        self._labels: dict[str, QLabel] = {}
        self.shown: dict[str, Lamp] = {}
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(4, 0, 4, 0)
        self._row.setSpacing(18)
        self._row.addStretch(1)
        self.message = QLabel()
        self.message.setObjectName("small")
        self._row.addWidget(self.message)
        self.sound = QPushButton("alarms silent")
        self.sound.setObjectName("quiet")
        self.sound.setCheckable(True)
        self.sound.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.sound.setToolTip("whether a new alarm is heard")
        self.sound.toggled.connect(
            lambda on: self.sound.setText("alarms heard" if on else "alarms silent")
        )
        self._row.addWidget(self.sound)

    def show_lamps(self, lamps: Sequence[Lamp]) -> None:
        """Show how they stand."""
        for lamp in lamps:
            if self.shown.get(lamp.name) == lamp:
                continue
            self.shown[lamp.name] = lamp
            if lamp.name not in self._labels:
                label = self._labels[lamp.name] = QLabel()
                self._row.insertWidget(len(self._labels) - 1, label)
            look = LOOKS[lamp.light]
            quiet = lamp.light.value in ("ok", "idle")
            words = lamp.name if quiet else f"{lamp.name}: {lamp.words}"
            label = self._labels[lamp.name]
            label.setText(f"<span style='color:{look.colour}'>{look.sign}</span> {words}")
            label.setToolTip(lamp.words)
