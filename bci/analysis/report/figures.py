"""The pictures of the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from bci.analysis.report.latency import StageTimes
from bci.analysis.report.thinning import thin
from bci.core.loop_types import Outcome, TaskState
from bci.recording.trial_times import TrialSpan

# Okabe and Ito's colours, told apart by colour-blind readers; each outcome has a symbol too.
COLOURS = {
    Outcome.HIT: "#0072B2",
    Outcome.MISS: "#E69F00",
    Outcome.ABORT: "#999999",
    Outcome.NONE: "#56B4E9",
}
SYMBOLS = {
    Outcome.HIT: "circle",
    Outcome.MISS: "x",
    Outcome.ABORT: "line-ns-open",
    Outcome.NONE: "line-ns-open",
}
TRACE, THRESHOLD, LOW, REWARD = "#333333", "#D55E00", "#009E73", "#CC79A7"
BASELINE = "#56B4E9"
CHANCE_BAND = "rgba(213, 94, 0, 0.12)"
MOST_POINTS = 8000
RUNNING_TRIALS = 20
NARROWEST = 0.002
"""Of the width of the picture: a trial that was hit at its first frame must still be seen."""
FEW_TRIALS = 60
"""More would hide each other behind their symbols: they are drawn as strokes."""
COUNTED_TRIALS = 20
"""So few have a tick each."""
LONG_S = 600.0
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


@dataclass(frozen=True)
class Course:
    """The read-out over time.

    Parameters
    ----------
    t_s, s3
        Every decoded frame, shape (n,).
    state
        Task state at each.
    gaps
        True where frames before this one are missing.
    thresholds
        Time from which on, T, lo.
    end_s
        Last time of the record.
    unit
        Of s3, T and lo.
    """

    t_s: NDArray[np.float64]
    s3: NDArray[np.float64]
    state: NDArray[np.uint8]
    gaps: NDArray[np.bool_]
    thresholds: Sequence[tuple[float, float, float]]
    end_s: float
    unit: str


def course_figure(
    course: Course, spans: Sequence[TrialSpan], rewards_s: Sequence[float]
) -> go.Figure:
    """s3 with T and lo; bands for the trials, marks for the rewards."""
    scale, unit = _clock(course.end_s)
    figure = go.Figure()
    least_s = NARROWEST * (course.end_s - float(course.t_s[0]))
    bands = [
        _band(course.t_s[start] / scale, course.t_s[stop - 1] / scale, BASELINE, 0.15)
        for start, stop in _stretches(course.state == TaskState.BASELINE)
    ]
    bands += [
        _band(
            span.start_s / scale,
            max(span.stop_s, span.start_s + least_s) / scale,
            COLOURS[span.end.outcome],
            0.22,
        )
        for span in spans
    ]
    figure.update_layout(shapes=bands)
    t, s3 = _with_breaks(course)
    figure.add_trace(
        go.Scatter(
            x=t / scale,
            y=s3,
            mode="lines",
            name="s3",
            line={"color": TRACE, "width": 1},
            hovertemplate=f"%{{x:.2f}} {unit}: %{{y:.3f}}<extra>s3</extra>",
        )
    )
    for place, name, colour, dash in ((1, "T", THRESHOLD, "solid"), (2, "lo", LOW, "dash")):
        x, y = _steps(course, place)
        figure.add_trace(
            go.Scatter(
                x=x / scale, y=y, mode="lines", name=name, connectgaps=False,
                line={"color": colour, "width": 1.5, "dash": dash},
                hovertemplate=f"%{{y:.3f}}<extra>{name}</extra>",
            )
        )  # fmt: skip
    top = float(np.nanmax(course.s3)) if np.isfinite(course.s3).any() else 1.0
    figure.add_trace(
        go.Scatter(
            x=np.array(rewards_s) / scale,
            y=np.full(len(rewards_s), top + 0.06 * (abs(top) + 0.1)),
            mode="markers",
            name="reward",
            marker={"symbol": "triangle-down", "size": 8, "color": REWARD},
            hovertemplate=f"%{{x:.2f}} {unit}<extra>reward</extra>",
        )
    )
    for outcome, colour in COLOURS.items():
        if any(span.end.outcome is outcome for span in spans):
            figure.add_trace(_swatch(outcome.value, colour))
    if (course.state == TaskState.BASELINE).any():
        figure.add_trace(_swatch("baseline", BASELINE))
    figure.update_xaxes(title=f"time, {unit}", range=[course.t_s[0] / scale, course.end_s / scale])
    figure.update_yaxes(title=f"s3, {course.unit}")
    return styled(figure, 380)


def outcome_figure(
    spans: Sequence[TrialSpan], chance: tuple[float, float, float] | None
) -> go.Figure:
    """Outcome of every trial, and the hit rate: of all so far and of the last 20.

    Parameters
    ----------
    spans
        All trials.
    chance
        Predicted accuracy of a passive animal and its interval, drawn behind; None: unknown.
    """
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.04
    )
    ended = [span for span in spans if span.end.outcome in (Outcome.HIT, Outcome.MISS)]
    trials = np.array([span.end.trial for span in ended])
    hits = np.array([span.end.outcome is Outcome.HIT for span in ended], dtype=np.float64)
    if len(hits):
        total = np.cumsum(hits)
        so_far = total / np.arange(1, len(hits) + 1)
        figure.add_trace(
            go.Scatter(x=trials, y=so_far, name="all so far", line={"color": TRACE, "width": 2}),
            row=1,
            col=1,
        )
    if len(hits) > RUNNING_TRIALS:
        running = np.convolve(hits, np.ones(RUNNING_TRIALS) / RUNNING_TRIALS, mode="valid")
        figure.add_trace(
            go.Scatter(
                x=trials[RUNNING_TRIALS - 1 :],
                y=running,
                name=f"last {RUNNING_TRIALS}",
                line={"color": COLOURS[Outcome.HIT], "width": 1.5, "dash": "dot"},
            ),
            row=1,
            col=1,
        )
    if chance is not None and len(hits):
        for trace in _chance_band(chance, (int(trials[0]), int(trials[-1]))):
            figure.add_trace(trace, row=1, col=1)
    for outcome, colour in COLOURS.items():
        of_kind = [span for span in spans if span.end.outcome is outcome]
        symbol = SYMBOLS[outcome] if len(spans) <= FEW_TRIALS else "line-ns-open"
        if of_kind:
            figure.add_trace(
                go.Scatter(
                    x=[span.end.trial for span in of_kind],
                    y=[outcome.value] * len(of_kind),
                    name=outcome.value,
                    mode="markers",
                    marker={
                        "symbol": symbol,
                        "color": colour,
                        "size": 10,
                        "line": {"width": 2, "color": colour},
                    },
                    hovertemplate="trial %{x}: " + outcome.value + "<extra></extra>",
                    showlegend=False,
                ),
                row=2,
                col=1,
            )
    figure.update_yaxes(range=[-0.03, 1.03], title="hit rate", tickformat=".0%", row=1, col=1)
    figure.update_yaxes(
        categoryorder="array", categoryarray=["none", "abort", "miss", "hit"], row=2, col=1
    )
    figure.update_xaxes(title="trial", row=2, col=1)
    if len(spans) <= COUNTED_TRIALS:
        # there is no trial 1.5
        figure.update_xaxes(dtick=1)
    return styled(figure, 300)


def latency_figure(stages: Sequence[StageTimes]) -> go.Figure:
    """One histogram a stage, on a common logarithmic axis."""
    figure = make_subplots(
        rows=len(stages),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.06,
        subplot_titles=[stage.name for stage in stages],
    )
    positive = [stage.ms[stage.ms > 0] for stage in stages]
    low = min((float(ms.min()) for ms in positive if len(ms)), default=0.01)
    high = max((float(ms.max()) for ms in positive if len(ms)), default=10.0)
    edges = np.geomspace(low * 0.9, high * 1.1, 81)
    for row, ms in enumerate(positive, start=1):
        counts, _ = np.histogram(ms, edges)
        figure.add_trace(
            go.Bar(
                x=np.sqrt(edges[:-1] * edges[1:]),
                y=counts,
                width=np.diff(edges),
                marker={"color": COLOURS[Outcome.HIT], "line": {"width": 0}},
                hovertemplate="%{x:.3g} ms: %{y}<extra></extra>",
                showlegend=False,
            ),
            row=row,
            col=1,
        )
        for p, dash in ((50, "solid"), (99, "dot")):
            if len(ms):
                figure.add_vline(
                    x=float(np.percentile(ms, p)),
                    line={"color": THRESHOLD, "width": 1.5, "dash": dash},
                    row=row,
                    col=1,
                )
    figure.update_xaxes(type="log")
    figure.update_xaxes(title="ms (line: p50, dots: p99)", row=len(stages), col=1)
    figure.update_annotations(font={"size": 12}, x=0, xanchor="left")
    return styled(figure, 90 + 95 * len(stages))


def _clock(end_s: float) -> tuple[float, str]:
    return (60.0, "min") if end_s > LONG_S else (1.0, "s")


def _band(x0: float, x1: float, colour: str, opacity: float) -> dict[str, Any]:
    return {
        "type": "rect", "xref": "x", "yref": "paper", "x0": x0, "x1": x1, "y0": 0, "y1": 1,
        "fillcolor": colour, "opacity": opacity, "layer": "below", "line": {"width": 0},
    }  # fmt: skip


def _chance_band(
    chance: tuple[float, float, float], trials: tuple[int, int]
) -> tuple[go.Scatter, go.Scatter]:
    """The interval as a band, and the prediction itself as a line in it."""
    predicted, low, high = chance
    first, last = trials
    band = go.Scatter(
        x=[first, last, last, first], y=[low, low, high, high], fill="toself", mode="lines",
        line={"width": 0}, fillcolor=CHANCE_BAND, hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    line = go.Scatter(
        x=[first, last], y=[predicted, predicted], mode="lines",
        name=f"predicted chance {predicted:.0%} ({low:.0%} to {high:.0%})",
        line={"color": THRESHOLD, "width": 1.5, "dash": "dash"},
        hovertemplate="%{y:.0%}<extra>predicted chance</extra>",
    )  # fmt: skip
    return band, line


def _swatch(name: str, colour: str) -> go.Scatter:
    """A legend entry for bands, which have none of their own."""
    return go.Scatter(
        x=[None],
        y=[None],
        mode="markers",
        name=name,
        marker={"symbol": "square", "size": 12, "color": colour, "opacity": 0.4},
    )


def _with_breaks(course: Course) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Thinned trace, with a NaN before every stretch that follows a gap."""
    kept = thin(course.s3, MOST_POINTS)
    breaks_before = np.cumsum(course.gaps)[kept]
    places = np.flatnonzero(np.diff(breaks_before)) + 1
    t = np.insert(course.t_s[kept], places, course.t_s[kept][places])
    return t, np.insert(course.s3[kept], places, np.nan)


def _steps(course: Course, place: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """T or lo as a line from each time it was set to the next."""
    x: list[float] = []
    y: list[float] = []
    changes = course.thresholds
    for this, start in enumerate(changes):
        stop_s = changes[this + 1][0] if this + 1 < len(changes) else course.end_s
        x += [start[0], stop_s]
        y += [start[place], start[place]]
    return np.array(x), np.array(y)


def _stretches(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and stop of every run of True."""
    padded = np.concatenate([[False], mask, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(padded))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def styled(figure: go.Figure, height: int) -> go.Figure:
    """The figure in the look of all pages, `height` pixels high."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 64, "r": 16, "t": 34, "b": 44},
        font={"family": FONT, "size": 12},
        # on the left, because plotly's buttons come up on the right
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "left", "x": 0.0},
        bargap=0,
    )
    return figure
