"""The page of a valve calibration: table, line, residuals."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import plotly.graph_objects as go

from bci.analysis.report.figures import styled
from bci.analysis.report.html import Rows, document, facts, figure_html, section, table
from bci.hardware.board.valve_calibration import ValveFit, WeighedDrops

_HEAD = ("opening", "drops", "weight", "one drop", "off the line")


def valve_page(
    rig: str, day: date, drops: Sequence[WeighedDrops], fit: ValveFit, density_mg_per_ul: float
) -> str:
    """A whole page, HTML, that needs no network."""
    ordered = sorted(drops, key=lambda one: one.open_ms)
    rows: Rows = [
        (
            f"{one.open_ms:g} ms",
            str(one.n),
            f"{one.weight_mg:g} mg",
            f"{ul:.3f} µl",
            f"{100 * off:+.1f} %",
        )
        for one, ul, off in zip(ordered, fit.drop_ul, fit.residuals, strict=True)
    ]
    found: Rows = [
        ("rig", rig),
        ("day", day.isoformat()),
        ("ms_per_ul", f"{fit.ms_per_ul:.4f} ms for 1 µl more"),
        ("dead_ms", f"{fit.dead_ms:.4f} ms, in which nothing comes"),
        ("density", f"{density_mg_per_ul:g} mg for 1 µl"),
        *(("warning", warning) for warning in fit.warnings),
    ]
    title = f"Valve of {rig}, {day.isoformat()}"
    body = "\n".join(
        [
            f"<header><h1>{title}</h1></header>",
            section("Calibration", facts(found)),
            section("Drops", table(_HEAD, rows)),
            section("Volume against opening", figure_html(_line_figure(ordered, fit), first=True)),
            section("Off the line", figure_html(_residual_figure(ordered, fit))),
        ]
    )
    return document(title, body)


def _line_figure(ordered: Sequence[WeighedDrops], fit: ValveFit) -> go.Figure:
    longest_ms = max(one.open_ms for one in ordered)
    open_ms = np.array([max(fit.dead_ms, 0.0), 1.08 * longest_ms])
    figure = go.Figure(
        [
            go.Scatter(
                x=open_ms,
                y=(open_ms - fit.dead_ms) / fit.ms_per_ul,
                mode="lines",
                name="dead_ms + ms_per_ul × volume",
                line={"color": "#0072b2"},
            ),
            go.Scatter(
                x=[one.open_ms for one in ordered],
                y=fit.drop_ul,
                mode="markers",
                name="weighed",
                marker={"color": "#d55e00", "size": 9},
            ),
        ]
    )
    figure.update_xaxes(title="opening, ms", rangemode="tozero")
    figure.update_yaxes(title="one drop, µl", rangemode="tozero")
    return styled(figure, 360)


def _residual_figure(ordered: Sequence[WeighedDrops], fit: ValveFit) -> go.Figure:
    figure = go.Figure(
        go.Bar(
            x=[f"{one.open_ms:g} ms" for one in ordered],
            y=[100 * residual for residual in fit.residuals],
            marker={"color": "#0072b2"},
            name="weighed against the line",
        )
    )
    figure.update_yaxes(title="%", zeroline=True)
    return styled(figure, 220)
