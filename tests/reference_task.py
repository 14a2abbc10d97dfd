"""Guards, re-arm, predicted chance and hits per time once more, slowly, from their description.

Nothing here calls the core.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray
from reference_reading import Rules
from scipy.stats import t as student_t

Floats = NDArray[np.float64]


def guards_hold(
    signal: Floats,
    baseline: Floats,
    n_plus: int,
    *,
    below_mean: bool,
    others_sd: float | None,
    max_share: float | None,
) -> NDArray[np.bool_]:
    """Frames at which every guard holds; signal and baseline of shape (frames, ROIs), smoothed."""
    hold = np.ones(len(signal), dtype=np.bool_)
    for k, row in enumerate(signal):
        plus, dominant = row[:n_plus], int(np.argmax(row[:n_plus]))
        if below_mean and row[n_plus:].mean() > baseline[:, n_plus:].mean(axis=1).mean():
            hold[k] = False
        if others_sd is not None:
            others = [i for i in range(n_plus) if i != dominant]
            rest = baseline[:, others].mean(axis=1)
            if plus[others].mean() < rest.mean() + others_sd * rest.std(ddof=1):
                hold[k] = False
        share = plus.max() / plus[plus > 0].sum() if plus.max() > 0 else 0.0
        if max_share is not None and share > max_share:
            hold[k] = False
    return hold


def play_passively(
    s3: Sequence[float],
    t: float,
    rules: Rules,
    may_hit: Sequence[bool],
    rearm: tuple[float, int] | None = None,
) -> list[tuple[int, bool]]:
    """First frame of RUN and whether it was a hit, trial after trial, to the end of s3."""

    def lasts(seconds: str) -> int:
        return ceil(rules.ids_of(seconds) / rules.n_planes)

    trials, grey, last_hit = [], 0, None
    while True:
        run = grey + lasts(rules.grey_s)
        end = run + lasts(rules.trial_s)
        hit = None
        for k in range(run, min(end, len(s3))):
            if s3[k] >= t and may_hit[k] and is_armed(s3, t, last_hit, k, rearm):
                hit = k
                break
        if hit is not None:
            trials.append((run, True))
            last_hit = hit
            grey = hit + lasts(rules.hit_s) + lasts(rules.black_s)
        elif end < len(s3):
            trials.append((run, False))
            grey = end + lasts(rules.miss_s)
        else:
            return trials


def is_armed(
    s3: Sequence[float], t: float, last_hit: int | None, now: int, rearm: tuple[float, int] | None
) -> bool:
    """Whether s3 has come back between a hit and now."""
    if last_hit is None or rearm is None:
        return True
    fraction, n_frames = rearm
    back = [value <= fraction * t for value in s3[last_hit + 1 : now + 1]]
    return any(all(back[k : k + n_frames]) for k in range(len(back) - n_frames + 1))


def interval_slowly(
    trials: Sequence[tuple[int, bool]],
    n_frames: int,
    block_frames: int,
    seed: int,
    session_frames: float,
) -> tuple[float, float]:
    """Student's t about the hit rate, its variance from blocks of one length and of twice that."""
    n_blocks, n = n_frames // block_frames, len(trials)
    variance = variance_slowly(trials, n_frames, block_frames, seed)
    if n_blocks >= 4:
        variance = 2 * variance_slowly(trials, n_frames, 2 * block_frames, seed) - variance
    hits = sum(hit for _, hit in trials)
    independent = (hits + 1) * (n + 1 - hits) / (n + 2) ** 2 / n
    baseline_and_session = max(variance, independent) * (1 + n_frames / session_frames)
    half = student_t.ppf(0.975, n_blocks - 1) * baseline_and_session**0.5
    return max(0.0, hits / n - half), min(1.0, hits / n + half)


def variance_slowly(
    trials: Sequence[tuple[int, bool]], n_frames: int, block_frames: int, seed: int
) -> float:
    """Of the hit rate of as many blocks, drawn with replacement, as fit into the baseline."""
    n_blocks = n_frames // block_frames
    draws = np.random.default_rng(seed).integers(
        0, n_frames - block_frames + 1, size=(2000, n_blocks)
    )
    rates = []
    for begins in draws:
        drawn = [
            hit
            for begin in begins
            for start, hit in trials
            if begin <= start < begin + block_frames
        ]
        if drawn:
            rates.append(sum(drawn) / len(drawn))
    drawn_frames = n_blocks * block_frames
    return float(np.var(rates)) * (drawn_frames / n_frames) / (1 - block_frames / n_frames)


def hits_slowly(
    s3: Sequence[float], t: float, may_hit: Sequence[bool], rearm: tuple[float, int] | None
) -> int:
    """Frames at T or beyond, each after a return since the one before."""
    n, last_hit = 0, None
    for k, value in enumerate(s3):
        if value < t or not may_hit[k]:
            continue
        if rearm is None:
            armed = last_hit is None or min(s3[last_hit : k + 1]) < t
        else:
            armed = is_armed(s3, t, last_hit, k, rearm)
        if armed:
            n, last_hit = n + 1, k
    return n
