"""The pictures of a calibration."""

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bci.analysis.baseline.calibration import Calibrated
from bci.analysis.baseline.scores import Scores
from bci.analysis.report.figures import COLOURS, LOW, MOST_POINTS, THRESHOLD, TRACE, styled
from bci.analysis.report.thinning import thin
from bci.core.chance import USUAL
from bci.core.decoding.registry import s_unit
from bci.core.loop_types import Outcome

P_PLUS, P_MINUS, P_0 = COLOURS[Outcome.HIT], COLOURS[Outcome.MISS], COLOURS[Outcome.ABORT]
N_BINS = 120
LINE_HEIGHT = 46
MARGIN = 0.03


def unit_of(found: Calibrated) -> str:
    """Unit of s3."""
    return s_unit(found.session.experiment.decoder)


def distribution_figure(found: Calibrated) -> go.Figure:
    """How often s3 had which value, its left half mirrored, and the normal curve of mu, sigma."""
    result, s3 = found.result, found.s3
    median = float(np.median(s3))
    left = s3[s3 <= median]
    mirrored = np.concatenate([left, 2 * median - left])
    low, high = min(float(s3.min()), result.lo), max(float(s3.max()), result.t)
    edges = np.linspace(low, high, N_BINS + 1)
    figure = go.Figure()
    figure.add_trace(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2, y=_density(s3, edges), name="s3",
            marker={"color": P_0, "line": {"width": 0}},
            hovertemplate="%{x:.3f}: %{y:.3g}<extra>s3</extra>",
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=(edges[:-1] + edges[1:]) / 2, y=_density(mirrored, edges), name="left half, mirrored",
            line={"color": TRACE, "width": 1.5, "shape": "hvh"}, hoverinfo="skip",
        )
    )  # fmt: skip
    x = np.linspace(low, high, 400)
    height = np.exp(-(((x - result.mu) / result.sigma) ** 2) / 2)
    figure.add_trace(
        go.Scatter(
            x=x, y=height / (result.sigma * np.sqrt(2 * np.pi)), name="normal with mu, sigma",
            line={"color": P_PLUS, "width": 1.5, "dash": "dot"}, hoverinfo="skip",
        )
    )  # fmt: skip
    _mark(figure, result.t, f"T = {result.t:.3f}", THRESHOLD, "solid")
    _mark(figure, result.lo, f"lo = {result.lo:.3f}", LOW, "dash")
    _mark(figure, result.mu, f"mu = {result.mu:.3f}", P_PLUS, "dot")
    margin = MARGIN * (high - low)
    figure.update_xaxes(title=f"s3, {unit_of(found)}", range=[low - margin, high + margin])
    figure.update_yaxes(title="density")
    return styled(figure, 340)


def success_figure(found: Calibrated) -> go.Figure:
    """Fraction of pseudo-trials that would have succeeded, against the threshold."""
    thresholds, fractions = found.success_curve()
    target = found.session.experiment.calibration.target_fraction
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=thresholds, y=fractions, showlegend=False,
            line={"color": TRACE, "width": 2, "shape": "hv"},
            hovertemplate="T = %{x:.3f}: %{y:.1%}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=[found.result.t], y=[found.result.success_fraction], name="T", mode="markers",
            marker={"color": THRESHOLD, "size": 10},
            hovertemplate="T = %{x:.3f}: %{y:.1%}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_hline(y=target, line={"color": P_0, "dash": "dash", "width": 1})
    # below the least maximum every pseudo-trial succeeds
    low, high = float(found.maxima.min()), float(thresholds[-1])
    margin = 3 * MARGIN * (high - low)
    figure.update_xaxes(title=f"threshold, {unit_of(found)}", range=[low - margin, high + margin])
    figure.update_yaxes(title="pseudo-trials that reach it", range=[-0.03, 1.03], tickformat=".0%")
    return styled(figure, 300)


def chance_figure(found: Calibrated) -> go.Figure:
    """Predicted accuracy of a passive animal with its interval, in the band that is usual."""
    chance, low, high = found.result.told_chance
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=[chance], y=[""], mode="markers", name="predicted chance, interval of 95 %",
            marker={"color": THRESHOLD, "size": 12, "symbol": "diamond"},
            error_x={
                "type": "data", "symmetric": False, "thickness": 2, "width": 8,
                "array": [high - chance], "arrayminus": [chance - low],
            },
            hovertemplate="%{x:.2f}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_vrect(*USUAL, fillcolor=LOW, opacity=0.12, line_width=0, layer="below")
    figure.add_vline(x=0.5, line={"color": P_0, "dash": "dash", "width": 1})
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%", title="accuracy")
    return styled(figure, 170)


def trace_figure(found: Calibrated) -> go.Figure:
    """s3 over the baseline, with T and lo."""
    t_s = _seconds(found)
    kept = thin(found.s3, MOST_POINTS)
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=t_s[kept], y=found.s3[kept], name="s3", line={"color": TRACE, "width": 1},
            hovertemplate="%{x:.1f} s: %{y:.3f}<extra></extra>",
        )
    )  # fmt: skip
    for value, name, colour, dash in (
        (found.result.t, "T", THRESHOLD, "solid"),
        (found.result.lo, "lo", LOW, "dash"),
    ):
        figure.add_trace(
            go.Scatter(
                x=t_s[[0, -1]], y=[value, value], name=name, mode="lines",
                line={"color": colour, "width": 1.5, "dash": dash},
                hovertemplate=f"%{{y:.3f}}<extra>{name}</extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title="time, s", range=[t_s[0], t_s[-1]])
    figure.update_yaxes(title=f"s3, {unit_of(found)}")
    return styled(figure, 280)


def signals_figure(found: Calibrated) -> go.Figure:
    """Signal of every chosen ROI, one above the other."""
    t_s = _seconds(found)
    spacing = float(np.percentile(found.signal, 99.8) - np.percentile(found.signal, 1)) or 1.0
    labels = found.ensembles.labels
    n_plus = len(found.ensembles.p_plus)
    figure = go.Figure()
    for i, label in enumerate(labels):
        kept = thin(found.signal[:, i], MOST_POINTS // 4)
        side, colour = ("P+", P_PLUS) if i < n_plus else ("P−", P_MINUS)
        figure.add_trace(
            go.Scatter(
                x=t_s[kept], y=found.signal[kept, i] / spacing - i, name=side,
                line={"color": colour, "width": 1}, showlegend=i in (0, n_plus),
                hovertemplate="%{x:.1f} s<extra>" + label + "</extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title="time, s", range=[t_s[0], t_s[-1]])
    figure.update_yaxes(
        tickvals=[-i for i in range(len(labels))], ticktext=list(labels), zeroline=False,
        range=[-len(labels) + 0.4, 1.1],
    )  # fmt: skip
    return styled(figure, 100 + LINE_HEIGHT * len(labels))


def map_figure(scores: Scores, found: Calibrated) -> go.Figure | None:
    """Where the ROIs of the decoded plane lie; None where the recording does not tell."""
    rows = [roi for roi in scores.rois if roi.plane == scores.plane and np.isfinite(roi.x_px)]
    if not rows:
        return None
    chosen = found.ensembles
    groups = (
        ("P+", P_PLUS, "circle", [r for r in rows if r.label in chosen.p_plus]),
        ("P−", P_MINUS, "square", [r for r in rows if r.label in chosen.p_minus]),
        ("P0", P_0, "circle-open", [r for r in rows if r.label not in chosen.labels]),
    )
    figure = go.Figure()
    for name, colour, symbol, members in groups:
        named = name != "P0"
        figure.add_trace(
            go.Scatter(
                x=[r.x_px for r in members], y=[r.y_px for r in members], name=name,
                mode="markers+text" if named else "markers",
                text=[r.label for r in members], textposition="top center",
                marker={"color": colour, "symbol": symbol, "size": 13 if named else 9},
                hovertemplate="%{text}<extra>" + name + "</extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(title="x, px", constrain="domain")
    # rows of an image count from the top
    figure.update_yaxes(title="y, px", autorange="reversed", scaleanchor="x")
    return styled(figure, 520)


def _seconds(found: Calibrated) -> NDArray[np.float64]:
    rate_hz = found.rate_hz
    seconds: NDArray[np.float64] = (found.frame_ids - found.frame_ids[0]) / rate_hz
    return seconds


def _density(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts, _ = np.histogram(values, edges)
    density: NDArray[np.float64] = counts / (len(values) * np.diff(edges))
    return density


def _mark(figure: go.Figure, x: float, text: str, colour: str, dash: str) -> None:
    figure.add_vline(x=x, line={"color": colour, "width": 1.5, "dash": dash})
    figure.add_trace(
        go.Scatter(
            x=[None], y=[None], mode="lines", name=text,
            line={"color": colour, "width": 1.5, "dash": dash},
        )
    )  # fmt: skip
