"""How a choice of ensembles, and what came of it, is told."""

from bci.analysis.baseline.calibration import Calibrated
from bci.gui.baseline_work import Scored
from bci.gui.rich_text import breakable, escaped


def listed(labels: tuple[str, ...]) -> str:
    """Labels in a line."""
    return escaped(", ".join(labels)) or "none yet"


def origin(scored: Scored | None) -> str:
    """Which day's ensembles the animal has."""
    if scored is None:
        return ""
    if scored.stored is None:
        return "day 1: no ensembles are kept for this animal yet"
    day = f"ensembles of {scored.stored.at[:10]}"
    if scored.z_first is None:
        return day
    return f"{day}; T carried over, z of day 1 {scored.z_first:.2f}"


def figures(found: Calibrated) -> str:
    """What came of a choice, as a table, and what to look at."""
    result = found.result
    rows = [
        ("T", f"{result.t:.3f}"),
        ("lo", f"{result.lo:.3f}"),
        ("z of T", f"{result.z_t:.2f}"),
        ("pseudo-trials", f"{result.success_fraction:.0%} reach T"),
        ("predicted chance", result.chance_words),
    ]
    cells = "".join(
        f'<tr><td style="padding-right:12px">{name}</td><td><b>{escaped(value)}</b></td></tr>'
        for name, value in rows
    )
    warnings = "".join(f"<br>! {breakable(text)}" for text in result.warnings)
    return f"<table cellspacing=2>{cells}</table>{warnings}"
