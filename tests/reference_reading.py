"""The experiment once more, slowly, in plain NumPy, from the words of its description.

Nothing here calls the core. Times are exact fractions, percentiles are `numpy.percentile`, trials
are laid out one after another instead of being walked through by a state machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rules:
    """The numbers of an experiment; times in seconds, as decimal text."""

    rate_hz: str
    n_planes: int
    window_s: str
    percentile: float
    smoothing: int
    floor: float
    dark: float
    polarity: int
    baseline_s: str
    grey_s: str
    trial_s: str
    hit_s: str
    reward_delay_s: str
    black_s: str
    miss_s: str
    session_s: str
    seed: int
    n_pseudo_trials: int = 200
    step_dff: float = 0.005
    target_fraction: float = 0.5
    early_frames: int = 3
    max_gap_s: str = "5"
    z_first: float | None = None
    carry_over: str = "z"

    @property
    def plane_rate_hz(self) -> Fraction:
        return Fraction(self.rate_hz) / self.n_planes

    @property
    def window_frames(self) -> int:
        return round(Fraction(self.window_s) * self.plane_rate_hz)

    @property
    def run_frames(self) -> int:
        return ceil(Fraction(self.trial_s) * self.plane_rate_hz)

    def ids_of(self, seconds: str) -> Fraction:
        """Frame ids that a time lasts."""
        return Fraction(seconds) * Fraction(self.rate_hz)


@dataclass(frozen=True)
class Frame:
    """A received frame of the plane that is decoded: raw counts of the ensembles, P+ first."""

    frame_id: int
    counts: Sequence[float]
    refilled_at: int | None = None
    """Id of the frame that ended a long gap, where F0 begins anew with this frame."""


@dataclass
class Trial:
    outcome: str
    start_id: int
    stop_id: int
    early: bool = False


@dataclass
class Reading:
    """What the experiment makes of the frames."""

    dff: Floats
    s: Floats
    s3: Floats
    settled: NDArray[np.bool_]
    t: float = float("nan")
    lo: float = float("nan")
    mu: float = float("nan")
    sigma: float = float("nan")
    z_t: float = float("nan")
    fresh_t: float = float("nan")
    baseline: Floats = field(default_factory=lambda: np.empty(0))
    """s3 of the baseline, without the first F0 window."""
    states: list[str] = field(default_factory=list)
    trial_of: list[int] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    rewards: list[tuple[int, int]] = field(default_factory=list)
    angles: Floats = field(default_factory=lambda: np.empty(0))


def read_signal(frames: Sequence[Frame], n_plus: int, rules: Rules) -> Reading:
    """F, F0, dF/F, s, s3 of every frame."""
    counts = np.array([frame.counts for frame in frames], dtype=np.float32).astype(np.float64)
    f = rules.polarity * (counts - rules.dark)
    dff = np.empty_like(f)
    s = np.empty(len(f))
    s3 = np.empty(len(f))
    settled = np.zeros(len(f), dtype=np.bool_)
    begin = 0
    for k, frame in enumerate(frames):
        if frame.refilled_at is not None:
            begin = k
        window = f[max(begin, k + 1 - rules.window_frames) : k + 1]
        f0 = np.percentile(window, rules.percentile, axis=0, method="linear")
        f0 = np.maximum(f0, rules.floor)
        dff[k] = (f[k] - f0) / f0
        s[k] = dff[k, :n_plus].mean() - dff[k, n_plus:].mean()
        s3[k] = s[max(begin, k + 1 - rules.smoothing) : k + 1].mean()
        settled[k] = k - begin >= rules.window_frames
    return Reading(dff, s, s3, settled)


def calibrate_slowly(reading: Reading, baseline: Floats, rules: Rules) -> None:
    """T, lo, mu, sigma, z_T from the s3 of a baseline, by the lines of the reference.

    Day d, where z_T of day 1 is given: T_d = mu_d + sigma_d · z_T, or T anew, or the easier.
    """
    n, length = len(baseline), rules.run_frames
    starts = np.random.default_rng(rules.seed).integers(
        0, n - length + 1, size=rules.n_pseudo_trials
    )
    maxima = np.array([max(baseline[start : start + length]) for start in starts])
    reading.lo = min(baseline)
    k = 0
    while np.mean(maxima >= reading.lo + rules.step_dff * k) > rules.target_fraction:
        k += 1
    reading.fresh_t = reading.t = reading.lo + rules.step_dff * k
    median = np.median(baseline)
    left = [value for value in baseline if value <= median]
    symmetric = np.array(left + [2 * median - value for value in left])
    reading.mu = symmetric.sum() / len(symmetric)
    reading.sigma = np.sqrt(((symmetric - reading.mu) ** 2).sum() / (len(symmetric) - 1))
    if rules.z_first is not None:
        carried_t = reading.mu + reading.sigma * rules.z_first
        by_rule = {"z": carried_t, "fresh": reading.t, "easier": min(carried_t, reading.t)}
        reading.t = by_rule[rules.carry_over]
    reading.z_t = (reading.t - reading.mu) / reading.sigma


def angles_of(reading: Reading, *, continuous: bool) -> Floats:
    """The angle of every frame, degrees."""
    x = np.clip((reading.s3 - reading.lo) / (reading.t - reading.lo), 0, 1)
    return 90 * x if continuous else 15 * np.floor(6 * x)


def read_experiment(
    frames: Sequence[Frame], n_plus: int, rules: Rules, *, continuous: bool = False
) -> Reading:
    """Baseline, calibration, then trial after trial, over one recording."""
    reading = read_signal(frames, n_plus, rules)
    ids = [frame.frame_id for frame in frames]
    n = len(ids)

    def first(begin: int, since_id: int, seconds: str) -> int:
        """First frame from `begin` on at which a time has passed since a frame id."""
        due = since_id + rules.ids_of(seconds)
        return next((k for k in range(begin, n) if ids[k] >= due), n)

    task = first(0, ids[0], rules.baseline_s)
    in_baseline = [k for k in range(task) if reading.settled[k]]
    reading.baseline = reading.s3[in_baseline]
    calibrate_slowly(reading, reading.baseline, rules)
    reading.angles = angles_of(reading, continuous=continuous)
    reading.angles[: task + 1] = np.nan

    states = ["WAITING"] * n
    trial_of = [0] * n
    states[:task] = ["BASELINE"] * task

    def is_over(begin: int, end: int, state: str) -> int:
        states[begin:end] = [state] * (end - begin)
        trial_of[begin:] = [len(reading.trials) + 1] * (n - begin)
        return end

    k = next((k for k in range(task + 1, n) if reading.settled[k]), n)
    first_id = ids[k] if k < n else 0
    while k < n:
        if ids[k] - first_id >= rules.ids_of(rules.session_s):
            states[k:] = ["DONE"] * (n - k)
            break
        begin = k
        run = first(begin, ids[begin], rules.grey_s)
        limit = first(run, ids[run], rules.trial_s) if run < n else n
        hit = next((j for j in range(run, limit) if reading.s3[j] >= reading.t), None)
        end = limit if hit is None else hit
        refill = next(
            (j for j in range(begin + 1, min(end + 1, n)) if frames[j].refilled_at is not None),
            None,
        )
        if refill is not None:
            is_over(begin, min(run, refill), "GREY")
            if run < refill:
                is_over(run, refill, "RUN")
            stop_id = frames[refill].refilled_at
            assert stop_id is not None
            reading.trials.append(Trial("abort", ids[run] if run < refill else stop_id, stop_id))
            k = refill
        else:
            is_over(begin, run, "GREY")
            is_over(run, end, "RUN")
            if end == n:
                break
            number = len(reading.trials) + 1
            if hit is None:
                k = is_over(limit, first(limit, ids[limit], rules.miss_s), "MISS")
                reading.trials.append(Trial("miss", ids[run], ids[limit]))
            else:
                reward = first(hit, ids[hit], rules.reward_delay_s)
                if reward < n:
                    reading.rewards.append((ids[reward], number))
                black = is_over(hit, first(hit, ids[hit], rules.hit_s), "HIT")
                k = black
                if black < n:
                    k = is_over(black, first(black, ids[black], rules.black_s), "BLACK")
                early = hit - run < rules.early_frames
                reading.trials.append(Trial("hit", ids[run], ids[hit], early))
        # the end of the session comes before the wait for F0
        if k < n and ids[k] - first_id >= rules.ids_of(rules.session_s) and refill is None:
            continue
        k = next((j for j in range(k, n) if reading.settled[j]), n)
    reading.states = states
    reading.trial_of = trial_of
    return reading


def frames_that_count(
    received: Sequence[tuple[int, int]], decode_plane: int, rules: Rules
) -> list[tuple[int, int | None]]:
    """Which received (id, plane) are decoded: their place, and the id that made F0 begin anew.

    An id more than `max_gap_s` ahead is not stepped; it is believed once three more have followed.
    """
    counted: list[tuple[int, int | None]] = []
    last_id, doubted, refilled_at = received[0][0] - 1, 0, None
    for place, (frame_id, plane) in enumerate(received):
        if frame_id - last_id - 1 > rules.ids_of(rules.max_gap_s):
            doubted += 1
            if doubted <= 3:
                continue
            refilled_at = frame_id
        doubted, last_id = 0, frame_id
        if plane == decode_plane:
            counted.append((place, refilled_at))
            refilled_at = None
    return counted
