"""Events of one ROI: how many, how high, how fast they decay."""

from dataclasses import dataclass
from math import inf, nan

import numpy as np
from numpy.typing import NDArray

FEWEST_EVENTS = 3
DECAY_CONSTANTS = 3.0
FIT_FROM, FIT_TO = 0.9, 0.15


@dataclass(frozen=True)
class Events:
    """Transients of one trace.

    Parameters
    ----------
    onsets, peaks
        Frames, shape (n_events,).
    heights
        Peak above the median, unit of the trace, shape (n_events,).
    median, noise
        Of the trace, same unit.
    """

    onsets: NDArray[np.intp]
    peaks: NDArray[np.intp]
    heights: NDArray[np.float64]
    median: float
    noise: float

    @property
    def snr(self) -> float:
        """Height of the median event over the noise; 0 where there is no event."""
        if not len(self.heights):
            return 0.0
        return float(np.median(self.heights)) / self.noise if self.noise > 0 else inf


def trailing_mean(signal: NDArray[np.float64], n_frames: int) -> NDArray[np.float64]:
    """Mean of the last frames, fewer at the start, as the decoder smooths; shape as given.

    Parameters
    ----------
    signal
        Shape (n_frames, n_rois).
    n_frames
        Frames in each mean, the current one included.
    """
    total = signal.copy()
    for shift in range(1, min(n_frames, len(signal))):
        total[shift:] += signal[:-shift]
    counts = np.minimum(np.arange(1, len(signal) + 1), n_frames)
    smoothed: NDArray[np.float64] = total / counts[:, np.newaxis]
    return smoothed


def find_events(trace: NDArray[np.float64], n_sd: float, least: float = 0.0) -> Events:
    """Rises of a trace above n SD of its noise, and above a least height.

    Noise is the SD of the values at or below the median and their mirror about it, so that
    transients do not count: the same mirroring as that of mu and sigma in calibration. An event
    begins where the trace passes median + n SD and ends where it falls to half of that height,
    so that noise on a slope makes no second event.

    Parameters
    ----------
    trace
        Smoothed signal, shape (n_frames,).
    n_sd
        Height of an event's threshold, SD of the noise.
    least
        Its least height, unit of the trace.
    """
    median = float(np.median(trace))
    below = trace[trace <= median] - median
    noise = float(np.sqrt(np.mean(below**2)))
    level = max(n_sd * noise, least)
    high, low = trace > median + level, trace <= median + level / 2
    # +1 from a rise on, −1 from a fall on; between them what was before
    marks = high.astype(np.int8) - low.astype(np.int8)
    last = np.maximum.accumulate(np.where(marks != 0, np.arange(len(trace)), 0))
    active = marks[last] > 0
    edges = np.diff(active.astype(np.int8), prepend=np.int8(0), append=np.int8(0))
    onsets, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    peaks = np.array(
        [on + int(np.argmax(trace[on:end])) for on, end in zip(onsets, ends, strict=True)],
        dtype=np.intp,
    )
    return Events(onsets, peaks, trace[peaks] - median, median, noise)


def decay_s(
    signal: NDArray[np.float64], events: Events, rate_hz: float, indicator_decay_s: float
) -> float:
    """Decay constant of the mean transient, s; NaN where too few stand alone.

    The signal after the peak is averaged over all events that no other follows for 3 of the
    indicator's constants; a line is fitted to the logarithm of the average, weighted by it, from
    0.9 to 0.15 of its peak.

    Parameters
    ----------
    signal
        Not smoothed, shape (n_frames,).
    events
        Of the same trace, smoothed.
    rate_hz
        Of the frames, Hz.
    indicator_decay_s
        What to expect, s.
    """
    n = max(FEWEST_EVENTS, int(np.ceil(DECAY_CONSTANTS * indicator_decay_s * rate_hz)))
    following = np.append(events.onsets[1:], len(signal))
    alone = events.peaks[following - events.peaks > n]
    if len(alone) < FEWEST_EVENTS:
        return nan
    mean = signal[alone[:, np.newaxis] + np.arange(n)].mean(axis=0) - events.median
    top = int(np.argmax(mean))
    relative = mean[top:] / mean[top]
    fallen = relative < FIT_TO
    end = int(np.argmax(fallen)) if fallen.any() else len(relative)
    kept = np.flatnonzero(relative[:end] <= FIT_FROM)
    if len(kept) < 2:
        return nan
    heights = relative[kept]
    slope = np.polyfit(kept / rate_hz, np.log(heights), 1, w=heights)[0]
    return float(-1 / slope) if slope < 0 else nan
