"""Predicted chance: how a passive animal would score, from the baseline of the day.

docs/decisions/0005 says why trials are resampled and not s3.
"""

from collections.abc import Sequence
from math import ceil, nan, sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray

from bci.config.experiment import Experiment
from bci.config.session import Session
from bci.config.session_type import follows_neurons
from bci.core.adaptive import raised_thresholds
from bci.core.blocks import BaselineClock, BlockPlan, planned_blocks
from bci.core.counted import counted
from bci.core.decoding.parts import Layout
from bci.core.hit_rule import HitRule
from bci.core.loop_types import BlockKind, Outcome, TaskState, ThresholdSet, TrialEnd
from bci.core.session_types import task_settings
from bci.core.stream_types import StreamInfo
from bci.core.task import TaskMachine

N_RESAMPLES = 2000
LEVEL = 0.95
USUAL = (0.35, 0.65)
ENDLESS = 1e12


class Chance(msgspec.Struct, frozen=True):
    """Predicted accuracy of a passive animal.

    Parameters
    ----------
    chance
        Hits over hits and misses, 0–1; NaN where the baseline holds no whole trial.
    low, high
        Where the accuracy of a passive session of `task.session_s` lies in 95 of 100; NaN where the
        baseline is shorter than two blocks.
    n_trials
        Hits and misses in the baseline.
    raised
        Each T that adaptive difficulty may raise T to, and the same at it.
    shortage
        Why there is no interval, with numbers and what to do; empty if there is one.
    """

    chance: float
    low: float
    high: float
    n_trials: int
    raised: "tuple[tuple[float, Chance], ...]" = ()
    shortage: str = ""

    @property
    def is_known(self) -> bool:
        """True where there is an interval: a chance without one is a handful of trials."""
        return self.low == self.low

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should look at, in words."""
        if not self.is_known:
            return (f"chance is not predicted: {self.shortage}",)
        if USUAL[0] <= self.chance <= USUAL[1]:
            return ()
        return (
            f"predicted chance is {self.chance:.2f}, outside {USUAL[0]:g}–{USUAL[1]:g}: "
            "compare accuracy with it, and look at T and at the baseline",
        )


def predict_chance(
    experiment: Experiment,
    info: StreamInfo,
    layout: Layout,
    s3: Sequence[float],
    signals: Sequence[Sequence[float]],
    threshold: ThresholdSet,
) -> Chance:
    """Run the whole task through the baseline in order, and resample its trials by blocks.

    Once for T, and once for every T that adaptive difficulty may raise it to.

    Parameters
    ----------
    experiment, info, layout
        Of the session, the stream and its decoder.
    s3, signals
        Read-out and smoothed signals of the baseline in order, as `ClosedLoop` keeps them.
    threshold
        T, lo and levels of the guards.

    References
    ----------
    Künsch 1989, moving-block bootstrap.
    """
    adaptive = experiment.adaptive
    higher = raised_thresholds(adaptive, threshold.t) if adaptive is not None else ()
    chance, *raised = (
        _chance_at(experiment, info, layout, s3, signals, msgspec.structs.replace(threshold, t=t))
        for t in (threshold.t, *higher)
    )
    shortage = "" if chance.is_known else _shortage(experiment, info, len(s3), chance.n_trials)
    return msgspec.structs.replace(
        chance, raised=tuple(zip(higher, raised, strict=True)), shortage=shortage
    )


def baseline_needed_s(experiment: Experiment) -> float:
    """Return the shortest baseline that chance is predicted from: F0 window and two blocks, s.

    One second more than that, because blocks are whole frames.
    """
    window_s, block_s = experiment.decoder.f0_window_s, experiment.calibration.chance_block_s
    return window_s + 2 * block_s + 1.0


def baseline_note(session: Session) -> str:
    """Return why a session's baseline will give no predicted chance; empty if it will give one."""
    experiment, baseline = session.experiment, session.experiment.baseline
    planned = BlockKind.BASELINE in planned_blocks(session)
    if baseline is None or not planned or not follows_neurons(experiment.session_type):
        return ""
    if baseline.duration_s >= baseline_needed_s(experiment):
        return ""
    return f"experiment.baseline.duration_s = {baseline.duration_s:g}: {_needed(experiment)}"


def _needed(experiment: Experiment) -> str:
    window_s, block_s = experiment.decoder.f0_window_s, experiment.calibration.chance_block_s
    return (
        f"predicted chance needs {baseline_needed_s(experiment):g} s of baseline "
        f"(experiment.decoder.f0_window_s {window_s:g} + 2 x "
        f"experiment.calibration.chance_block_s {block_s:g} + 1)"
    )


def _shortage(experiment: Experiment, info: StreamInfo, n_frames: int, n_trials: int) -> str:
    blocks_s = 2 * experiment.calibration.chance_block_s
    usable_s = n_frames / info.plane_rate_hz
    if usable_s >= blocks_s:
        return f"no trial ended in {usable_s:.1f} s of baseline"
    return (
        f"the baseline has {usable_s:.1f} s with a full F0 window, of {blocks_s:g} s needed, and "
        f"{counted(n_trials, 'trial')}; {_needed(experiment)}"
    )


def _chance_at(
    experiment: Experiment,
    info: StreamInfo,
    layout: Layout,
    s3: Sequence[float],
    signals: Sequence[Sequence[float]],
    threshold: ThresholdSet,
) -> Chance:
    trials = passive_trials(experiment, info, layout, s3, signals, threshold)
    # an id of the frames of one plane, whatever the number of planes
    starts = np.array([end.start_frame_id for end in trials], dtype=np.intp) // info.n_planes
    hits = np.array([end.outcome is Outcome.HIT for end in trials], dtype=np.bool_)
    if not len(trials):
        return Chance(nan, nan, nan, 0)
    settings = experiment.calibration
    block_frames = ceil(settings.chance_block_s * info.plane_rate_hz)
    session_frames = experiment.task.session_s * info.plane_rate_hz
    low, high = interval(starts, hits, len(s3), block_frames, settings.seed, session_frames)
    return Chance(float(hits.mean()), low, high, len(trials))


def passive_trials(
    experiment: Experiment,
    info: StreamInfo,
    layout: Layout,
    s3: Sequence[float],
    signals: Sequence[Sequence[float]],
    threshold: ThresholdSet,
) -> list[TrialEnd]:
    """Hits and misses of the whole task run through a read-out in order.

    Parameters
    ----------
    experiment, info, layout, s3, signals, threshold
        As in `predict_chance`.
    """
    task = task_settings(experiment).model_copy(update={"session_s": ENDLESS})
    blocks = BlockPlan((BlockKind.CLOSED_LOOP,), BaselineClock(info.rate_hz, info.n_planes, 0.0))
    machine = TaskMachine(task, info.rate_hz, blocks)
    rule = HitRule(experiment, layout)
    rule.guards.levels = threshold.guards
    t, lo, stride = threshold.t, threshold.lo, info.n_planes
    trials = []
    for k, (value, signal) in enumerate(zip(s3, signals, strict=True)):
        hit = rule.update(value, signal, t, lo, running=machine.state is TaskState.RUN)
        at_zero = rule.angle_deg == 0.0
        if machine.step(k * stride, hit=hit, at_zero=at_zero, ready=True, settled=True):
            rule.disarm()
        _, end = machine.take_effects()
        if end is not None and end.outcome is not Outcome.ABORT:
            trials.append(end)
    return trials


def interval(
    starts: NDArray[np.intp],
    hits: NDArray[np.bool_],
    n_frames: int,
    block_frames: int,
    seed: int,
    session_frames: float,
) -> tuple[float, float]:
    """Interval of 95 % of the fraction of hits of a session, by blocks that begin at any frame.

    Blocks miss a part of what changes slowly, half as much where they are twice as long: from four
    of them on, the variance is extrapolated from both lengths. It is never less than that of as
    many trials that know nothing of each other, of which one hit and one miss are made up, because
    30 hits of 30 are no certainty. Student's t is that of the number of blocks. What the session
    itself varies is to the baseline's variance as their lengths are the other way round.

    Parameters
    ----------
    starts, hits
        First frame of each trial, rising, and whether it was a hit; shape (n_trials,).
    n_frames
        Length of the baseline.
    block_frames
        Length of a block.
    seed
        Makes the result reproducible.
    session_frames
        Length of the session.

    References
    ----------
    Künsch 1989: the bias of the moving-block bootstrap. Politis & Romano 1995: 2 V(2L) − V(L).
    """
    # half a second of a core, which whoever only reads or checks settings is spared
    from scipy.special import stdtrit

    n_blocks = n_frames // block_frames
    if n_blocks < 2:
        return nan, nan
    variance = block_variance(starts, hits, n_frames, block_frames, seed)
    if n_blocks >= 4:
        twice = block_variance(starts, hits, n_frames, 2 * block_frames, seed)
        variance = 2 * twice - variance
    made_up = (int(hits.sum()) + 1) / (len(hits) + 2)
    variance = max(variance, made_up * (1 - made_up) / len(hits))
    quantile = float(stdtrit(n_blocks - 1, (1 + LEVEL) / 2))
    half = quantile * sqrt(variance * (1 + n_frames / session_frames))
    chance = float(hits.mean())
    return max(0.0, chance - half), min(1.0, chance + half)


def block_variance(
    starts: NDArray[np.intp], hits: NDArray[np.bool_], n_frames: int, block_frames: int, seed: int
) -> float:
    """Variance of the fraction of hits of a baseline, by moving blocks of one length.

    Two factors make up for whole blocks being shorter than the baseline, and for their being
    compared with the mean of that same baseline.

    Parameters
    ----------
    starts, hits, n_frames, block_frames, seed
        As in `interval`; at least two blocks.
    """
    n_blocks = n_frames // block_frames
    begins = np.random.default_rng(seed).integers(
        0, n_frames - block_frames + 1, size=(N_RESAMPLES, n_blocks)
    )
    first, last = (starts.searchsorted(begins + shift) for shift in (0, block_frames))
    cumulative = np.concatenate([[0], np.cumsum(hits)])
    n_trials = (last - first).sum(axis=1)
    n_hits = (cumulative[last] - cumulative[first]).sum(axis=1)
    resampled = n_hits[n_trials > 0] / n_trials[n_trials > 0]
    if not len(resampled):
        return 0.0
    part = block_frames / n_frames
    return float(resampled.var()) * n_blocks * part / (1 - part)
