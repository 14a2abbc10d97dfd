"""The page: title, pictures, tables, in one file that needs no network."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from html import escape
from pathlib import Path

import numpy as np

from bci.analysis.report.day import block_rows, day_rows
from bci.analysis.report.figures import Course, course_figure, latency_figure, outcome_figure
from bci.analysis.report.html import (
    Rows,
    document,
    facts,
    figure_html,
    optional,
    section,
    table,
    tiles,
)
from bci.analysis.report.latency import StageTimes, stage_times
from bci.analysis.report.tables import (
    calibration_rows,
    file_rows,
    latency_rows,
    ledger_rows,
    note_rows,
    performance_rows,
    process_rows,
    reward_rows,
    version_rows,
    volume_rows,
)
from bci.config import dump_session
from bci.config.conditions import conditions_in_words
from bci.core.decoding.registry import SIGNAL_UNITS, s_unit
from bci.core.loop_types import LedgerKind, Outcome
from bci.core.performance import Performance
from bci.core.rewards import SessionRewards
from bci.recording.folder import REPORT, replace_file
from bci.recording.performance import chance_of, predicted_chance
from bci.recording.rewards import RewardHistory, day_volumes, reward_histories, rewards_of
from bci.recording.session_record import SessionRecord
from bci.recording.stepped import step_again
from bci.recording.time_axis import TimeAxis
from bci.recording.trial_times import TrialSpan, threshold_changes, trial_spans


def write_report(folder: Path, tell: Callable[[str, float], None] = lambda *_: None) -> Path:
    """Write a session's report; an earlier one is replaced once the new one is whole.

    Parameters
    ----------
    folder
        Folder of a session; of a running one, the report tells what is there by now.
    tell
        Called now and then with what is done and how far it is, 0–1.

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
    bci.recording.contents.DamagedJournal
        Where a record is damaged or missing.
    """
    record = SessionRecord.read(folder, partial(tell, "reading the journal"))
    path = folder / REPORT
    replace_file(path, _page(record, partial(tell, "computing every decision")).encode())
    return path


def _page(record: SessionRecord, tell: Callable[[float], None]) -> str:
    axis = TimeAxis(record)
    spans = trial_spans(record, axis)
    rewards, histories = rewards_of(record), reward_histories(record)
    stages = stage_times(record)
    name = record.manifest.session
    body = "\n".join(
        [
            _title(record, axis),
            _tiles(record, spans, rewards, stages),
            *_pictures(record, axis, spans, histories),
            section("Day", facts(day_rows(record)) + table(_BLOCK_HEAD, block_rows(record, axis))),
            '<div class="columns">',
            section("Trials", facts(_performance(record, tell))),
            section("Calibration", facts(calibration_rows(record)) or "<p>None.</p>"),
            "</div>",
            section(
                "Rewards",
                table(_REWARD_HEAD, reward_rows(rewards, histories))
                + facts(volume_rows(day_volumes(record))),
            ),
            _latency(record, stages),
            section(
                "Ledger",
                table(_LEDGER_HEAD, ledger_rows(record.ledger, axis))
                or "<p>Nothing to report: no frame was lost, late or at fault.</p>",
            ),
            optional("Notes", ("time", "note"), note_rows(record, axis)),
            optional("Processes", ("time", "process", "event"), process_rows(record, axis)),
            '<div class="columns">',
            section("Files", facts(file_rows(record.folder, REPORT))),
            section("Versions", facts(version_rows(record))),
            "</div>",
            _settings(record),
        ]
    )
    return document(name, body)


_REWARD_HEAD = (
    "asked by", "requested", "acknowledged", "done", "failed", "unknown", "open", "volume",
    "request → acknowledged (p50 / max)",
)  # fmt: skip
_LEDGER_HEAD = ("fault", "entries", "count", "reaction", "first", "last", "last detail")
_BLOCK_HEAD = ("block", "kind", "from", "to", "ended")
_LATENCY_HEAD = ("stage", "p50, ms", "p95, ms", "p99, ms", "max, ms", "n")


def _title(record: SessionRecord, axis: TimeAxis) -> str:
    manifest, session = record.manifest, record.session
    started = datetime.fromisoformat(manifest.started)
    facts = (
        ("subject", manifest.subject),
        ("started", f"{started:%A %d %B %Y, %H:%M:%S %z}"),
        ("experiment", session.experiment.name),
        ("conditions", conditions_in_words(session.experiment)),
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
    texts = [told, *([str(outcome)] if outcome and outcome not in told else [])]
    return "; ".join([*texts, *record.losses])


def _tiles(
    record: SessionRecord,
    spans: Sequence[TrialSpan],
    rewards: SessionRewards,
    stages: Sequence[StageTimes],
) -> str:
    outcomes = [span.end.outcome for span in spans]
    hits, misses = outcomes.count(Outcome.HIT), outcomes.count(Outcome.MISS)
    rate = f"{100 * hits / (hits + misses):.0f} %" if hits + misses else "–"
    totals = rewards.totals()
    lost = sum(one.value.count for one in record.ledger if one.value.kind is LedgerKind.GAP)
    shown = [
        (str(len(spans)), "trials"),
        (f"{hits} / {misses}", "hits / misses"),
        (rate, "hit rate"),
        (f"{totals.given} / {totals.requested}", "rewards given / asked"),
        (f"{totals.volume_ul:g} µl", "volume"),
        (str(lost), "frames lost"),
    ]
    if stages and not _lossless(record):
        shown.append((f"{stages[-1].percentiles_ms[2]:.3g} ms", f"p99, {stages[-1].name}"))
    return tiles(shown)


def _performance(record: SessionRecord, tell: Callable[[float], None]) -> Rows:
    experiment = record.session.experiment
    unit = SIGNAL_UNITS[experiment.decoder.signal]
    found = step_again(record, tell).performance if record.infos else Performance()
    early = experiment.task.early_hit_frames
    rows = performance_rows(found, early, unit, chance_of(record).words)
    if experiment.light.trials != "none":
        parts = Counter(record.lit.of_trial(trial.trial) for trial in record.trials)
        told = ", ".join(f"{part}: {n}" for part, n in sorted(parts.items()))
        rows.append(("trials by light", told or "–"))
    return rows


def _pictures(
    record: SessionRecord,
    axis: TimeAxis,
    spans: Sequence[TrialSpan],
    rewards: Sequence[RewardHistory],
) -> list[str]:
    table = record.decision_table
    rows = np.flatnonzero(table["decoded"])
    if not len(rows):
        return [section("Read-out", "<p>No frame was decoded.</p>")]
    frame_ids = table["frame_id"][rows]
    t_s = axis.seconds(frame_ids)
    steps = np.diff(frame_ids, prepend=frame_ids[0])
    course = Course(
        t_s=t_s,
        s3=table["s3"][rows],
        state=table["state"][rows],
        gaps=steps > record.info.n_planes,
        thresholds=_threshold_course(record, axis),
        end_s=float(t_s[-1]),
        unit=s_unit(record.session.experiment.decoder),
    )
    given_s = [_time_of(one, axis) for one in rewards if one.reward.fate.counts_as_given]
    pictures = [section("Read-out", figure_html(course_figure(course, spans, given_s), first=True))]
    if spans:
        outcomes = outcome_figure(spans, predicted_chance(record))
        pictures.append(section("Outcomes", figure_html(outcomes)))
    return pictures


def _threshold_course(record: SessionRecord, axis: TimeAxis) -> list[tuple[float, float, float]]:
    course = []
    for sequence, t, lo in threshold_changes(record):
        decision = record.decision_of(sequence)
        at_s = 0.0
        if decision is not None and decision.frame_id >= 0:
            at_s = float(axis.seconds(decision.frame_id))
        course.append((at_s, t, lo))
    return course


def _time_of(reward: RewardHistory, axis: TimeAxis) -> float:
    # its end, else the last that was heard of it
    event = max(reward.events.values(), key=lambda event: event.t_host_ns)
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
    content = table(_LATENCY_HEAD, latency_rows(stages)) + figure_html(latency_figure(stages))
    return section("Latency", note + content)


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
