"""The page: title, pictures, tables, in one file that needs no network."""

import json
from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from bci.analysis.report.figures import Course, course_figure, latency_figure, outcome_figure
from bci.analysis.report.latency import StageTimes, stage_times
from bci.analysis.report.style import STYLE
from bci.analysis.report.tables import (
    Rows,
    calibration_rows,
    file_rows,
    latency_rows,
    ledger_rows,
    note_rows,
    process_rows,
    reward_rows,
    trial_rows,
    version_rows,
)
from bci.config import dump_session
from bci.core.loop_types import LedgerKind, Outcome
from bci.recording.folder import REPORT, replace_file
from bci.recording.rewards import RewardHistory, reward_histories
from bci.recording.session_record import SessionRecord
from bci.recording.time_axis import TimeAxis
from bci.recording.trial_times import TrialSpan, threshold_changes, trial_spans

K_ORDER = ("reward_done", "reward_acknowledged", "reward_sent", "reward_requested")


def write_report(folder: Path) -> Path:
    """Write a session's report; an earlier one is replaced once the new one is whole.

    Parameters
    ----------
    folder
        Folder of a session; of a running one, the report tells what is there by now.

    Returns
    -------
    Path
        `folder/report.html`.

    Raises
    ------
    bci.recording.manifest.NoManifest
        Where manifest.json is missing or unreadable.
    FileNotFoundError
        Where there is no journal.
    bci.recording.session_record.DamagedJournal
        Where a record is damaged or missing.
    """
    record = SessionRecord.read(folder)
    path = folder / REPORT
    replace_file(path, _page(record).encode())
    return path


def _page(record: SessionRecord) -> str:
    axis = TimeAxis(record)
    spans = trial_spans(record, axis)
    rewards = reward_histories(record)
    stages = stage_times(record)
    name = record.manifest.session
    body = "\n".join(
        [
            _title(record, axis),
            _tiles(record, spans, rewards, stages),
            *_pictures(record, axis, spans, rewards),
            '<div class="columns">',
            _section("Trials", _facts(trial_rows(spans))),
            _section("Calibration", _facts(calibration_rows(record)) or "<p>None.</p>"),
            "</div>",
            _section("Rewards", _table(_REWARD_HEAD, reward_rows(rewards))),
            _latency(record, stages),
            _section(
                "Ledger",
                _table(_LEDGER_HEAD, ledger_rows(record.ledger, axis))
                or "<p>Nothing to report: no frame was lost, late or at fault.</p>",
            ),
            _optional("Notes", ("time", "note"), note_rows(record, axis)),
            _optional("Processes", ("time", "process", "event"), process_rows(record, axis)),
            '<div class="columns">',
            _section("Files", _facts(file_rows(record.folder, REPORT))),
            _section("Versions", _facts(version_rows(record))),
            "</div>",
            _settings(record),
        ]
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


_REWARD_HEAD = (
    "asked by", "requested", "acknowledged", "done", "failed", "unknown", "open", "volume",
    "request → acknowledged (p50 / max)",
)  # fmt: skip
_LEDGER_HEAD = ("fault", "entries", "count", "reaction", "first", "last", "last detail")
_LATENCY_HEAD = ("stage", "p50, ms", "p95, ms", "p99, ms", "max, ms", "n")


def _title(record: SessionRecord, axis: TimeAxis) -> str:
    manifest, session = record.manifest, record.session
    started = datetime.fromisoformat(manifest.started)
    facts = (
        ("subject", manifest.subject),
        ("started", f"{started:%A %d %B %Y, %H:%M:%S %z}"),
        ("experiment", session.experiment.name),
        ("rig", session.rig.name),
        ("source", f"{record.infos[0].source}" if record.infos else "none"),
        ("ended", _ending(record)),
        ("settings", manifest.settings_hash[:16]),
    )
    items = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts)
    return (
        f"<header><h1>{escape(manifest.session)}</h1><dl>{items}</dl>"
        f'<p class="note">{escape(axis.description)}</p></header>'
    )


def _ending(record: SessionRecord) -> str:
    told = record.end.reason if record.end else "the journal was not closed: cut short"
    outcome = record.manifest.outcome.get("reason")
    lost = sum(len(found.lost) for found in record.recoveries)
    texts = [told, *([str(outcome)] if outcome and outcome not in told else [])]
    if lost:
        texts.append(f"recovered, {lost} stretches of records lost")
    return "; ".join(texts)


def _tiles(
    record: SessionRecord,
    spans: Sequence[TrialSpan],
    rewards: Sequence[RewardHistory],
    stages: Sequence[StageTimes],
) -> str:
    outcomes = [span.end.outcome for span in spans]
    hits, misses = outcomes.count(Outcome.HIT), outcomes.count(Outcome.MISS)
    rate = f"{100 * hits / (hits + misses):.0f} %" if hits + misses else "–"
    given = [one for one in rewards if one.given]
    lost = sum(one.value.count for one in record.ledger if one.value.kind is LedgerKind.GAP)
    tiles = [
        (str(len(spans)), "trials"),
        (f"{hits} / {misses}", "hits / misses"),
        (rate, "hit rate"),
        (f"{len(given)} / {len(rewards)}", "rewards given / asked"),
        (f"{sum(one.volume_ul for one in given):g} µl", "volume"),
        (str(lost), "frames lost"),
    ]
    if stages and not _lossless(record):
        tiles.append((f"{stages[-1].percentiles_ms[2]:.3g} ms", f"p99, {stages[-1].name}"))
    items = "".join(
        f"<div><strong>{escape(value)}</strong><span>{escape(name)}</span></div>"
        for value, name in tiles
    )
    return f'<div class="tiles">{items}</div>'


def _pictures(
    record: SessionRecord,
    axis: TimeAxis,
    spans: Sequence[TrialSpan],
    rewards: Sequence[RewardHistory],
) -> list[str]:
    table = record.decision_table
    table = table[table["decoded"]]
    if not len(table):
        return [_section("Read-out", "<p>No frame was decoded.</p>")]
    t_s = axis.seconds(table["frame_id"])
    steps = np.diff(table["frame_id"], prepend=table["frame_id"][0])
    course = Course(
        t_s=t_s,
        s3=table["s3"],
        state=table["state"],
        gaps=steps > record.info.n_planes,
        thresholds=_threshold_course(record, axis),
        end_s=float(t_s[-1]),
    )
    given_s = [_time_of(one, axis) for one in rewards if one.given]
    pictures = [_section("Read-out", _figure(course_figure(course, spans, given_s), first=True))]
    if spans:
        pictures.append(_section("Outcomes", _figure(outcome_figure(spans))))
    return pictures


def _threshold_course(record: SessionRecord, axis: TimeAxis) -> list[tuple[float, float, float]]:
    course = []
    for sequence, t, lo in threshold_changes(record):
        decision = record.decision_of(sequence)
        at = axis.seconds(max(decision.frame_id, 0)) if decision else np.float64(0.0)
        course.append((float(at), t, lo))
    return course


def _time_of(reward: RewardHistory, axis: TimeAxis) -> float:
    kinds = {kind.value: event for kind, event in reward.events.items()}
    event = next(kinds[kind] for kind in K_ORDER if kind in kinds)
    return axis.of_board(event.t_host_ns)


def _latency(record: SessionRecord, stages: Sequence[StageTimes]) -> str:
    if not stages:
        return ""
    note = ""
    if _lossless(record):
        note = (
            '<p class="note">A lossless run waits for nobody: these times are those of its '
            "queues, not of a session.</p>"
        )
    elif _no_blanking(record):
        note = (
            '<p class="note">No screen that blanks: a timer paced the flips, so they tell the '
            "time of drawing, not of light.</p>"
        )
    content = _table(_LATENCY_HEAD, latency_rows(stages)) + _figure(latency_figure(stages))
    return _section("Latency", note + content)


def _lossless(record: SessionRecord) -> bool:
    return record.session.rig.stream.delivery == "lossless"


def _no_blanking(record: SessionRecord) -> bool:
    return any(getattr(report.value, "blanks", True) is False for report in record.screen)


def _settings(record: SessionRecord) -> str:
    text = json.dumps(dump_session(record.session), indent=2)
    return (
        f"<section><details><summary>Settings, {escape(record.manifest.settings_hash)}</summary>"
        f"<pre>{escape(text)}</pre></details></section>"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _optional(title: str, head: tuple[str, ...], rows: Rows) -> str:
    return _section(title, _table(head, rows)) if rows else ""


def _table(head: tuple[str, ...], rows: Rows) -> str:
    if not rows:
        return ""
    heads = "".join(f"<th>{escape(text)}</th>" for text in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _facts(rows: Rows) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows)
    return f'<table class="facts"><tbody>{lines}</tbody></table>'


def _figure(figure: go.Figure, *, first: bool = False) -> str:
    """A picture as HTML; the first one brings plotly's script along."""
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=first,
        config={
            "displaylogo": False,
            "responsive": True,
            "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
        },
    )
    return html
