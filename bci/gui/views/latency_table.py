"""The latency budget, stage by stage, with the bars that it is held to."""

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFrame, QGridLayout, QLabel

from bci.gui.latencies import DRAW
from bci.gui.model import SessionModel
from bci.gui.theme import LOOKS, Light
from bci.session.latency import Stage

NAMES = {
    Stage.SENT_TO_RECEIVED: "sent → received",
    Stage.RECEIVED_TO_SENT: "received → command",
    Stage.SENT_TO_ARRIVED: "sent → at the screen",
    DRAW: "draw and flip",
    Stage.SENT_TO_FLIP: "sent → flipped",
    Stage.SENT_TO_LIGHT: "sent → light seen",
}
HEADINGS = ("latency, ms", "p50", "p95", "p99", "")


class LatencyTable(QFrame):
    """One row a stage."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("panel")
        grid = QGridLayout(self)
        grid.setContentsMargins(10, 4, 10, 4)
        grid.setVerticalSpacing(1)
        for column, heading in enumerate(HEADINGS):
            label = QLabel(heading)
            label.setObjectName("heading")
            grid.addWidget(label, 0, column, _side(column))
        grid.setColumnStretch(0, 1)
        self._cells: dict[str, list[QLabel]] = {}
        for row, (stage, name) in enumerate(NAMES.items(), start=1):
            cells = [QLabel(name), *(QLabel("–") for _ in range(4))]
            for column, cell in enumerate(cells):
                grid.addWidget(cell, row, column, _side(column))
            self._cells[stage] = cells[1:]

    def draw(self, model: SessionModel) -> None:
        """Show the last 4096 values of every stage."""
        refresh_hz = model.session.rig.screen.refresh_hz if model.session is not None else 60.0
        figures = model.latencies.figures(refresh_hz)
        if model.telemetry is not None:
            self._show_light(model.telemetry.latency_ms.get(Stage.SENT_TO_LIGHT))
        for stage, cells in self._cells.items():
            found = figures.get(stage)
            if found is None:
                continue
            for cell, value in zip(cells, found[:3], strict=False):
                cell.setText(f"{value:.2f}" if value < 10 else f"{value:.1f}")
            limits = (("p50", found.p50_bar), ("p99", found.p99_bar))
            bars = [f"{name} ≤ {bar:.3g}" for name, bar in limits if bar == bar]
            look = LOOKS[Light.OK if found.is_held else Light.WARN]
            sign = f"<span style='color:{look.colour}'>{look.sign}</span>" if bars else ""
            cells[3].setText(sign)
            cells[3].setToolTip(", ".join(bars))
            cells[2].setToolTip(", ".join(bars))

    def _show_light(self, found: tuple[float, float] | None) -> None:
        """Of the photodiode, which control alone matches to flips; p95 is not told."""
        if found is not None:
            cells = self._cells[Stage.SENT_TO_LIGHT]
            cells[0].setText(f"{found[0]:.1f}")
            cells[2].setText(f"{found[1]:.1f}")


def _side(column: int) -> Qt.AlignmentFlag:
    return Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
