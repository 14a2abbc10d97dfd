"""The figures of a session that are read from afar."""

from PyQt6.QtWidgets import QFrame, QGridLayout, QLabel, QVBoxLayout, QWidget

from bci.core.loop_types import Outcome
from bci.gui.model import SessionModel


class Figure(QFrame):
    """One number with its name above and a remark below.

    Parameters
    ----------
    name
        What it is.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName("panel")
        self._value, self._remark = _label("–", "figure"), _label("", "small")
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 4, 10, 4)
        column.setSpacing(0)
        column.addWidget(_label(name, "heading"))
        column.addWidget(self._value)
        column.addWidget(self._remark)

    def tell(self, value: str, remark: str = "") -> None:
        """Show a value."""
        self._value.setText(value)
        self._remark.setText(remark)


class Figures(QWidget):
    """Hits, rewards, volume, lost frames."""

    def __init__(self) -> None:
        super().__init__()
        self._hits = Figure("hits / trials")
        self._rate = Figure("rewards a minute in trials")
        self._volume = Figure("today")
        self._lost = Figure("frames lost")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        for place, figure in enumerate((self._hits, self._rate, self._volume, self._lost)):
            grid.addWidget(figure, place // 2, place % 2)

    def draw(self, model: SessionModel) -> None:
        """Show how it stands."""
        hits, misses = model.outcomes[Outcome.HIT], model.outcomes[Outcome.MISS]
        cut_off = model.outcomes[Outcome.ABORT]
        remarks = [f"{cut_off} cut off"] if cut_off else []
        if model.has_light:
            remarks.append(f"light in {model.lit.n_trials}")
        self._hits.tell(f"{hits} / {hits + misses}", ", ".join(remarks))
        telemetry = model.telemetry
        per_min, per_run_min = model.rewards_per_min
        remark = f"{per_run_min:.1f} of RUN" if per_run_min == per_run_min else ""
        if telemetry is not None and telemetry.performance.hits:
            remark += f", hit in {telemetry.performance.time_to_hit_s:.1f} s"
        self._rate.tell(f"{per_min:.1f}" if per_min == per_min else "–", remark)
        if telemetry is None:
            self._volume.tell(_drops(model.n_rewards))
        else:
            cap = telemetry.cap_ul
            of_cap = f"of {cap:g} µl" if cap == cap else "no cap is set"
            self._volume.tell(f"{telemetry.today_ul:g} µl", f"{_drops(model.n_rewards)}, {of_cap}")
        self._lost.tell(
            f"{model.lost_frames:,}", f"{sum(model.ledger_counts.values()):,} in ledger"
        )


def _drops(n: int) -> str:
    return f"{n} drop{'s' * (n != 1)}"


def _label(text: str, name: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName(name)
    return label
