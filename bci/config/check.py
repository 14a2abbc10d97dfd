"""Rules between keys, which no single field can hold."""

import math

from bci.config.check_blocks import block_faults
from bci.config.check_board import board_faults
from bci.config.check_decoder import decoder_faults
from bci.config.check_feedback import feedback_faults
from bci.config.check_session_type import session_type_faults
from bci.config.fault import Fault
from bci.config.rig import RecordingSource
from bci.config.session import Session


def faults_of(session: Session) -> list[Fault]:
    """Every rule between keys that the session breaks."""
    rules = (
        decoder_faults,
        block_faults,
        _guards,
        _adaptive,
        _calibration,
        _threshold,
        _cap,
        _times,
        _plane,
        board_faults,
        session_type_faults,
        feedback_faults,
    )
    return [fault for rule in rules for fault in rule(session)]


def _guards(session: Session) -> list[Fault]:
    experiment = session.experiment
    guards, decoder, faults = experiment.guards, experiment.decoder, []
    below, others = "experiment.guards.p_minus_below_mean", "experiment.guards.p_plus_others_sd"
    chosen = bool(decoder.p_plus)
    if guards.p_minus_below_mean and chosen and not decoder.p_minus:
        faults.append(
            Fault(
                below,
                guards.p_minus_below_mean,
                "needs ROIs in experiment.decoder.p_minus",
                f"set {below} = false, or name them",
                ("experiment.decoder.p_minus",),
            )
        )
    if guards.p_plus_others_sd is not None and chosen and len(decoder.p_plus) < 2:
        faults.append(
            Fault(
                others,
                guards.p_plus_others_sd,
                "needs two ROIs or more in experiment.decoder.p_plus",
                "remove it, or name more ROIs",
                ("experiment.decoder.p_plus",),
            )
        )
    if experiment.baseline is None and (
        guards.p_minus_below_mean or guards.p_plus_others_sd is not None
    ):
        faults.append(
            Fault(
                below if guards.p_minus_below_mean else others,
                guards.p_minus_below_mean or guards.p_plus_others_sd,
                "needs a baseline block, which it compares with",
                "replace [threshold] by [baseline] with duration_s, or remove the guard",
                ("experiment.baseline", "experiment.threshold"),
            )
        )
    return faults


def _calibration(session: Session) -> list[Fault]:
    experiment = session.experiment
    calibration, baseline = experiment.calibration, experiment.baseline
    if baseline is None or calibration.rule != "seconds_per_hit":
        return []
    left_s = baseline.duration_s - experiment.decoder.f0_window_s
    if left_s >= calibration.seconds_per_hit:
        return []
    return [
        Fault(
            "experiment.calibration.seconds_per_hit",
            calibration.seconds_per_hit,
            f"must be at most duration_s - f0_window_s = {left_s:g} s of the baseline",
            "record a longer baseline, or ask for a hit more often",
            ("experiment.baseline.duration_s", "experiment.decoder.f0_window_s"),
        )
    ]


def _threshold(session: Session) -> list[Fault]:
    experiment = session.experiment
    key = "experiment.threshold"
    faults = []
    if experiment.threshold is None and experiment.baseline is None:
        faults.append(
            Fault(
                key,
                None,
                "must be there where there is no baseline block",
                "add [baseline] with duration_s, or [threshold] with t and lo",
                ("experiment.baseline",),
            )
        )
    if experiment.threshold is not None and experiment.baseline is not None:
        faults.append(
            Fault(
                key,
                experiment.threshold.t,
                "must not be there beside a baseline block",
                "remove [baseline] or [threshold]",
                ("experiment.baseline",),
            )
        )
    if experiment.threshold is not None and experiment.threshold.t <= experiment.threshold.lo:
        faults.append(
            Fault(
                f"{key}.t",
                experiment.threshold.t,
                f"must be above {key}.lo = {experiment.threshold.lo}",
                "raise t or lower lo",
                (f"{key}.lo", key),
            )
        )
    return faults


def _cap(session: Session) -> list[Fault]:
    task = session.experiment.task
    key = "experiment.task.daily_cap_ul"
    if task.daily_cap_ul is None or task.daily_cap_ul >= task.reward_ul:
        return []
    return [
        Fault(
            key,
            task.daily_cap_ul,
            f"must be at least experiment.task.reward_ul = {task.reward_ul:g}",
            "raise it, or give smaller drops",
            ("experiment.task.reward_ul",),
        )
    ]


def _adaptive(session: Session) -> list[Fault]:
    adaptive, given = session.experiment.adaptive, session.experiment.threshold
    if adaptive is None or adaptive.max_t is None or given is None:
        return []
    if adaptive.max_t >= given.t + adaptive.step:
        return []
    return [
        Fault(
            "experiment.adaptive.max_t",
            adaptive.max_t,
            f"must leave room for a step: at least experiment.threshold.t + step = "
            f"{given.t + adaptive.step:g}",
            "raise it, or remove [experiment.adaptive]",
            ("experiment.adaptive.step", "experiment.threshold.t"),
        )
    ]


def _times(session: Session) -> list[Fault]:
    experiment = session.experiment
    task, faults = experiment.task, []
    if task.reward_delay_s > task.hit_s:
        faults.append(
            Fault(
                "experiment.task.reward_delay_s",
                task.reward_delay_s,
                f"must be at most experiment.task.hit_s = {task.hit_s}",
                "the reward comes while the grating is frozen: shorten the delay",
                ("experiment.task.hit_s",),
            )
        )
    if experiment.baseline is not None:
        needed_s = experiment.decoder.f0_window_s + task.trial_s
        if experiment.baseline.duration_s <= needed_s:
            faults.append(
                Fault(
                    "experiment.baseline.duration_s",
                    experiment.baseline.duration_s,
                    f"must be above f0_window_s + trial_s = {needed_s:g} s",
                    "record a longer baseline, or shorten the F0 window or the trial",
                    ("experiment.decoder.f0_window_s", "experiment.task.trial_s"),
                )
            )
        baseline = experiment.baseline
        if baseline.grating_jitter_s >= baseline.grating_s:
            faults.append(
                Fault(
                    "experiment.baseline.grating_jitter_s",
                    baseline.grating_jitter_s,
                    f"must be below experiment.baseline.grating_s = {baseline.grating_s:g}",
                    "every grating must last: shorten the jitter",
                    ("experiment.baseline.grating_s",),
                )
            )
    rate_hz = session.rig.source.rate_hz
    if rate_hz is not None:
        plane_rate_hz = rate_hz / session.rig.source.n_planes
        if round(experiment.decoder.f0_window_s * plane_rate_hz) < 2:
            faults.append(
                Fault(
                    "experiment.decoder.f0_window_s",
                    experiment.decoder.f0_window_s,
                    f"must be at least 2 frames at {plane_rate_hz:g} Hz a plane",
                    f"set it to {math.ceil(2 / plane_rate_hz * 100) / 100:g} or more",
                    ("rig.source.rate_hz", "rig.source.n_planes"),
                )
            )
    return faults


def _plane(session: Session) -> list[Fault]:
    source, plane = session.rig.source, session.experiment.decoder.decode_plane
    # Other recordings tell their planes themselves.
    told_by_settings = not isinstance(source, RecordingSource) or (
        source.path.suffix in (".npy", ".npz")
    )
    if not told_by_settings or plane < source.n_planes:
        return []
    return [
        Fault(
            "experiment.decoder.decode_plane",
            plane,
            f"must be below rig.source.n_planes = {source.n_planes}",
            "planes are counted from 0",
            ("rig.source.n_planes",),
        )
    ]
