"""The page of a calibration: what was chosen, and what T came of it."""

from datetime import datetime
from html import escape
from pathlib import Path

from bci.analysis.baseline.calibration import Calibrated
from bci.analysis.baseline.figures import (
    chance_figure,
    distribution_figure,
    map_figure,
    signals_figure,
    success_figure,
    trace_figure,
    unit_of,
)
from bci.analysis.baseline.scores import Scores
from bci.analysis.baseline.tables import HEAD, score_rows
from bci.analysis.report.html import document, facts, figure_html, section, table, tiles
from bci.analysis.report.tables import rows_of_calibration
from bci.recording.folder import replace_file

NO_MAP = "<p>The recording does not tell where its ROIs lie.</p>"


def write_page(path: Path, found: Calibrated, scores: Scores, source: Path, at: datetime) -> None:
    """Write the page of a calibration; a file of that name is replaced.

    Parameters
    ----------
    path
        Where to.
    found, scores
        The calibration and the scores that the choice was made by.
    source
        The baseline.
    at
        When it was calibrated.
    """
    replace_file(path, page(found, scores, source, at).encode())


def page(found: Calibrated, scores: Scores, source: Path, at: datetime) -> str:
    """The page as HTML; parameters as in `write_page`."""
    settings = found.session.experiment.ensembles
    title = f"{found.session.subject}: calibration of {at:%d %B %Y, %H:%M}"
    where = map_figure(scores, found)
    rows = rows_of_calibration(found.result, scores.rate_hz, unit_of(found))
    body = "\n".join(
        [
            _title(title, found, source),
            _tiles(found),
            section("Distribution of s3", figure_html(distribution_figure(found), first=True)),
            '<div class="halves">',
            section("Success of pseudo-trials", figure_html(success_figure(found))),
            section("Predicted chance", _chance_note() + figure_html(chance_figure(found))),
            "</div>",
            section("Read-out of the baseline", figure_html(trace_figure(found))),
            section("Signal of the ensembles", figure_html(signals_figure(found))),
            section("Calibration", facts(rows)),
            section("Field of view", NO_MAP if where is None else figure_html(where)),
            section(
                "Regions of interest",
                _scores_note() + table(HEAD, score_rows(scores, settings, found.ensembles)),
            ),
        ]
    )
    return document(title, body)


def _title(title: str, found: Calibrated, source: Path) -> str:
    chosen = found.ensembles
    how = "by hand" if chosen.seed is None else f"proposed, split with seed {chosen.seed}"
    told = (
        ("P+", ", ".join(chosen.p_plus)),
        ("P−", ", ".join(chosen.p_minus) or "none: one population"),
        ("chosen", how),
        ("controls of P0", ", ".join(chosen.controls) or "none"),
        ("baseline", str(source)),
        ("experiment", found.session.experiment.name),
    )
    items = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in told)
    return f"<header><h1>{escape(title)}</h1><dl>{items}</dl></header>"


def _tiles(found: Calibrated) -> str:
    result, unit = found.result, unit_of(found)
    is_known = result.told_chance[0] == result.told_chance[0]
    return tiles(
        [
            (f"{result.t:.3f}", f"T, {unit}"),
            (f"{result.lo:.3f}", f"lo, {unit}"),
            (f"{result.z_t:.2f}", "z of T"),
            (f"{result.success_fraction:.0%}", "pseudo-trials that reach T"),
            (result.chance_words if is_known else "–", "predicted chance"),
        ]
    )


def _chance_note() -> str:
    return (
        '<p class="note">Accuracy of the whole task run through this baseline in order. Compare '
        "the animal's accuracy with it, not with a half.</p>"
    )


def _scores_note() -> str:
    return (
        '<p class="note">Events rise above the noise of the smoothed signal; SNR is the median '
        "event over that noise; drift is that of F0 over the baseline; r is with the other ROIs "
        "of the plane; 90° − 0° is the response to the target's grating, with its interval.</p>"
    )
