"""The tables of the report, as rows of text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bci.analysis.report.html import Rows
from bci.analysis.report.latency import StageTimes
from bci.config.day import KnownThreshold
from bci.config.session_type import SessionType
from bci.core.calibration import CalibrationResult, calibration_of
from bci.core.chance_of_trials import words_of_chance
from bci.core.counted import counted
from bci.core.decoding.registry import s_unit
from bci.core.loop_types import LedgerEntry, LedgerKind, Outcome
from bci.core.performance import Performance
from bci.core.rewards import RewardFate, SessionRewards
from bci.recording.reward_log import REWARDS
from bci.recording.rewards import DayVolumes, RewardHistory
from bci.recording.session_record import SessionRecord, Timed
from bci.recording.time_axis import TimeAxis


def latency_rows(stages: Sequence[StageTimes]) -> Rows:
    """Stage, p50, p95, p99, largest in ms, and how many values."""
    return [
        (stage.name, *(f"{ms:.3g}" for ms in stage.percentiles_ms), str(len(stage.ms)))
        for stage in stages
    ]


def calibration_rows(record: SessionRecord) -> Rows:
    """Quantity and value; empty where T and lo were given by hand or never found."""
    if not record.calibrations:
        given, known = record.session.experiment.threshold, record.session.day.threshold
        if known is not None:
            return known_rows(known, record.session.experiment.session_type)
        return [] if given is None else [("T, lo", f"{given.t:.4f}, {given.lo:.4f} (settings)")]
    experiment, found = record.session.experiment, record.calibrations[-1]
    chance = words_of_chance(found, experiment.session_type)
    unit = s_unit(experiment.decoder)
    return rows_of_calibration(found, record.info.plane_rate_hz, unit, chance)


def known_rows(known: KnownThreshold, session_type: SessionType) -> Rows:
    """T and lo of a baseline that this session did not record, and its predicted chance."""
    return [
        ("T, lo", f"{known.t:.4f}, {known.lo:.4f}"),
        ("from", known.origin),
        ("predicted chance at T", words_of_chance(calibration_of(known), session_type)),
    ]


def rows_of_calibration(
    found: CalibrationResult, rate_hz: float, unit: str, chance: str | None = None
) -> Rows:
    """Quantity and value of a calibration on frames of `rate_hz`, T in `unit`.

    `chance` stands in place of what the calibration tells of it.
    """
    return [
        ("T", f"{found.t:.4f} {unit}"),
        ("lo", f"{found.lo:.4f} {unit}"),
        ("mean, SD (mirrored)", f"{found.mu:.4f}, {found.sigma:.4f} {unit}"),
        ("z of T", f"{found.z_t:.2f}"),
        ("pseudo-trials that reach T", f"{100 * found.success_fraction:.1f} %"),
        ("predicted chance at T", found.chance_words if chance is None else chance),
        ("baseline", f"{found.n_frames} frames, {found.n_frames / rate_hz:.1f} s"),
        ("pseudo-trial", f"{found.run_frames} frames, {found.run_frames / rate_hz:.2f} s"),
        *(("warning", warning) for warning in found.warnings),
    ]


def performance_rows(found: Performance, early_frames: int, unit: str, chance: str) -> Rows:
    """Trials by outcome, accuracy, rewards a minute, time to hit, activity.

    Parameters
    ----------
    early_frames
        `experiment.task.early_hit_frames`.
    unit
        Of the signal.
    chance
        Predicted for the same trials, in words; empty where nothing was calibrated.
    """
    counts = (found.hits, found.misses, found.aborts, found.unscored)
    low, high = 100 * found.accuracy_low, 100 * found.accuracy_high
    accuracy = f"{100 * found.accuracy:.1f} % (95 %: {low:.1f}–{high:.1f} %)"
    rows: Rows = [(name.value, str(n)) for name, n in zip(Outcome, counts, strict=True)]
    rows += [
        (f"hits in the first {early_frames} frames", str(found.early_hits)),
        ("accuracy", accuracy if found.hits + found.misses else "–"),
        *([("predicted chance of these trials", chance)] if chance else []),
        ("rewards a minute", _per_minute(found.rewards_per_min, found.task_s, "trials")),
        ("", _per_minute(found.rewards_per_run_min, found.run_s, "RUN")),
    ]
    if found.hits:
        rows.append(("median time to hit", f"{found.time_to_hit_s:.2f} s"))
    for name, activity in (("P+", found.p_plus), ("P−", found.p_minus)):
        if activity == activity:
            rows.append((f"mean activity of {name}", f"{activity:.4g} {unit}"))
    return rows


def _per_minute(rate: float, seconds: float, of: str) -> str:
    return f"{rate:.2f} over {seconds / 60:.1f} min of {of}" if seconds else "–"


def reward_rows(rewards: SessionRewards, histories: Sequence[RewardHistory]) -> Rows:
    """By origin: asked for, acknowledged, each fate, volume given, time to the acknowledgement."""
    rows: Rows = []
    for origin in ("task", "operator"):
        totals = rewards.totals(origin)
        if origin == "operator" and not totals.requested:
            continue
        of_origin = [one for one in histories if one.reward.origin == origin]
        acknowledged = sum(RewardFate.ACKNOWLEDGED.event in one.events for one in of_origin)
        counts = (totals.done, totals.failed, totals.unknown, totals.open)
        rows.append(
            (
                origin,
                str(totals.requested),
                str(acknowledged),
                *map(str, counts),
                f"{totals.volume_ul:g} µl",
                _answer_time(of_origin),
            )
        )
    return rows


def volume_rows(totals: DayVolumes) -> Rows:
    """Quantity and value: what the session and its day came to, and how far the valve is known."""
    cap = "no cap" if totals.cap_ul is None else f"cap {totals.cap_ul:g} µl"
    day = f"{REWARDS} cannot be read" if totals.day_ul is None else f"{totals.day_ul:g} µl"
    return [
        ("this session", f"{totals.task_ul + totals.operator_ul:g} µl"),
        ("its day, all sessions", f"{day} ({cap})"),
        (
            "valve",
            (f"{totals.dead_ms:g} ms and " if totals.dead_ms else "")
            + f"{totals.ms_per_ul:g} ms for 1 µl, "
            + (f"weighed on {totals.calibrated_on}" if totals.calibrated_on else "never weighed"),
        ),
    ]


def _answer_time(histories: Sequence[RewardHistory]) -> str:
    asked, told = RewardFate.REQUESTED.event, RewardFate.ACKNOWLEDGED.event
    took_ms = [
        (one.events[told].t_host_ns - one.events[asked].t_host_ns) / 1e6
        for one in histories
        if asked in one.events and told in one.events
    ]
    return f"{np.median(took_ms):.2f} / {max(took_ms):.2f} ms" if took_ms else "–"


def ledger_rows(ledger: Sequence[Timed[LedgerEntry]], axis: TimeAxis) -> Rows:
    """Kind, entries, count, reaction, first and last place; the most frequent first."""
    by_kind: dict[LedgerKind, list[Timed[LedgerEntry]]] = {}
    for timed in ledger:
        by_kind.setdefault(timed.value.kind, []).append(timed)
    rows: Rows = []
    for kind, found in sorted(by_kind.items(), key=lambda item: -len(item[1])):
        newest = found[-1].value
        rows.append(
            (
                kind.value.replace("_", " "),
                str(len(found)),
                str(sum(timed.value.count for timed in found)),
                newest.reaction,
                _place(found[0], axis),
                _place(found[-1], axis),
                newest.detail,
            )
        )
    return rows


def _place(timed: Timed[LedgerEntry], axis: TimeAxis) -> str:
    where = f"{axis.of_perf(timed.perf_ns):.2f} s"
    frame_id = timed.value.frame_id
    return where if frame_id < 0 else f"{where}, frame {frame_id}"


def note_rows(record: SessionRecord, axis: TimeAxis) -> Rows:
    """Time and text of the operator's notes."""
    return [(f"{axis.of_perf(note.perf_ns):.1f} s", note.value.text) for note in record.notes]


def process_rows(record: SessionRecord, axis: TimeAxis) -> Rows:
    """Time, process, what it did."""
    return [
        (
            f"{axis.of_perf(timed.perf_ns):.2f} s",
            timed.value.name,
            f"{timed.value.kind} {timed.value.detail}".strip(),
        )
        for timed in record.processes
        if timed.value.kind != "first_frame"
    ]


def file_rows(folder: Path, own_name: str) -> Rows:
    """Name and size of the session's files."""
    return [
        (path.name, _size(path.stat().st_size))
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.name != own_name
    ]


def version_rows(record: SessionRecord) -> Rows:
    """What ran the session."""
    manifest = record.manifest
    program, host = manifest.program, manifest.host
    commit = f", commit {program.commit[:12]}" if program.commit else ""
    changed = " with changes" if program.dirty else ""
    return [
        ("this program", f"{program.version}{commit}{changed}"),
        ("Python", manifest.python),
        *sorted(manifest.packages.items()),
        ("host", f"{host.name}, {host.system}"),
        ("processor", f"{host.cpu}, {counted(host.n_cores, 'core')}, {_size(host.memory_bytes)}"),
    ]


def _size(n_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
