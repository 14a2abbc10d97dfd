"""The parts of a decoder once more, slowly, in plain NumPy, from the words of their description.

Nothing here calls the core.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def read_exponential(f: Floats, n: int) -> Floats:
    """F0 ← F0 (n − 1) / n + F / n; the mean of all frames while fewer than n have come."""
    f0 = np.empty_like(f)
    for k in range(len(f)):
        f0[k] = f[: k + 1].mean(axis=0) if k < n else f0[k - 1] * (n - 1) / n + f[k] / n
    return f0


def density_at(points: Floats, values: Floats, width: float) -> Floats:
    """Kernel density of values, with Epanechnikov's kernel, up to a factor."""
    distance = np.abs(points[:, None] - values[None, :]) / width
    return np.where(distance <= 1, 1 - distance**2, 0).sum(axis=1)


def width_of(values: Floats) -> float:
    """Silverman's width, for Epanechnikov's kernel."""
    ordered, n = np.sort(values), len(values)
    quartiles = (ordered[3 * n // 4] - ordered[n // 4]) / 1.349
    return 0.9 * 2.214 * (min(values.std(), quartiles) or values.std()) * n ** (-1 / 5)


def read_spikes(
    f: Floats, n: int, rate_hz: float, highpass_hz: float, n_sd: float
) -> NDArray[np.bool_]:
    """Frames at which an ROI's high-passed fluorescence rises through n standard deviations."""
    a = 1 - np.exp(-2 * np.pi * highpass_hz / rate_hz)
    slow, fast = f[0].copy(), np.empty_like(f)
    for k in range(len(f)):
        fast[k] = f[k] - slow
        slow = slow + a * fast[k]
    above = np.zeros(f.shape, dtype=np.bool_)
    mean_square = np.zeros(f.shape[1])
    for k in range(len(f)):
        above[k] = fast[k] > n_sd * np.sqrt(mean_square)
        m = min(k + 1, n)
        mean_square = mean_square + (fast[k] ** 2 - mean_square) / m
    return above & ~np.vstack([np.zeros((1, f.shape[1]), dtype=np.bool_), above[:-1]])


def read_velocity(
    s3: Floats, running: NDArray[np.bool_], t: float, lo: float, step_deg: float
) -> Floats:
    """Angle of every frame: the sum of all turns since RUN was entered, at most 90°."""
    speed = np.clip((s3 - lo) / (t - lo), 0, 1)
    angles = np.zeros(len(s3))
    for k in range(len(s3)):
        begin = k + 1
        while begin > 0 and running[begin - 1]:
            begin -= 1
        angles[k] = min(90.0, step_deg * speed[begin : k + 1].sum())
    return angles
