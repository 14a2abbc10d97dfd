"""Scores as rows of text, for the terminal and for the page."""

from collections.abc import Sequence
from math import isfinite

from bci.analysis.baseline.proposal import Ensembles, shortcomings
from bci.analysis.baseline.scores import RoiScore, Scores
from bci.config.ensembles import EnsembleChoice

HEAD = (
    "ROI", "", "events/s", "SNR", "drift", "decay, s", "r max", "like", "r mean", "90° − 0°",
    "not a candidate",
)  # fmt: skip
LARGEST = 999
"""Of signal to noise: a denoised trace has any."""


def score_rows(
    scores: Scores, settings: EnsembleChoice, ensembles: Ensembles | None
) -> list[tuple[str, ...]]:
    """One row an ROI: the ensembles first, then candidates, then the rest, by signal to noise.

    Parameters
    ----------
    scores, settings
        Of the baseline, and what a candidate must be like.
    ensembles
        The choice; None: there is none.
    """
    ranked = []
    for roi in scores.rois:
        faults = shortcomings(roi, scores.plane, settings)
        side = side_of(roi.label, ensembles)
        rank = {"P+": 0, "P−": 1}.get(side, 3 if faults else 2)
        ranked.append((rank, -roi.snr if roi.is_scored else 0.0, roi, side, faults))
    ranked.sort(key=lambda entry: (entry[0], entry[1], entry[2].label))
    return [_row(roi, side, faults) for _, _, roi, side, faults in ranked]


def side_of(label: str, ensembles: Ensembles | None) -> str:
    """P+, P−, control, or nothing."""
    if ensembles is None:
        return ""
    if label in ensembles.p_plus:
        return "P+"
    if label in ensembles.p_minus:
        return "P−"
    return "control" if label in ensembles.controls else ""


def _row(roi: RoiScore, side: str, faults: Sequence[str]) -> tuple[str, ...]:
    interval = ""
    if isfinite(roi.tuning_low):
        half = (roi.tuning_high - roi.tuning_low) / 2
        interval = f"{roi.tuning:+.3f} ± {half:.3f}"
    return (
        roi.label,
        side,
        _number(roi.event_rate_hz, "{:.3f}"),
        _number(roi.snr, "{:.1f}") if not roi.snr > LARGEST else f"> {LARGEST}",
        _number(roi.drift, "{:+.0%}"),
        _number(roi.decay_s, "{:.2f}"),
        _number(roi.correlation_max, "{:.2f}"),
        roi.most_like,
        _number(roi.correlation_mean, "{:.2f}"),
        interval or "–",
        ", ".join(faults),
    )


def _number(value: float, form: str) -> str:
    return form.format(value) if value == value else "–"
