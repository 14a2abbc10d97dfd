"""When the board sensed something, rather than when the host heard of it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

from bci.core.board_types import BoardEvent
from bci.recording.time_axis import TimeAxis

FEW_EVENTS = 30
"""Below this many events a slope would tell of the line's delays, not of the clocks."""
FIT_POINTS = 500
RESTART_US = 1_000_000
"""A clock that falls back by more than this has been started anew."""


def sensed_at(events: Sequence[BoardEvent], axis: TimeAxis) -> NDArray[np.float64]:
    """Seconds since the session's start of events that carry device times.

    A robust line through the times at which the host heard of them, one line for each start of
    the board, so that the bytes of a busy line, or several events in one read, do not shift or
    merge them.

    Parameters
    ----------
    events
        In the order in which they were heard.
    axis
        Of the session.
    """
    heard_s = np.array([axis.of_board(event.t_host_ns) for event in events])
    device_us = np.array(
        [np.nan if e.t_device_us is None else e.t_device_us for e in events], dtype=np.float64
    )
    times_s = heard_s.copy()
    known = np.flatnonzero(~np.isnan(device_us))
    restarts = np.flatnonzero(np.diff(device_us[known]) < -RESTART_US) + 1
    for rows in np.split(known, restarts):
        if len(rows):
            times_s[rows] = _on_line(device_us[rows] / 1e6, heard_s[rows])
    return times_s


def _on_line(device_s: NDArray[np.float64], heard_s: NDArray[np.float64]) -> NDArray[np.float64]:
    since_s = device_s - device_s[0]
    slope = 1.0
    if len(since_s) >= FEW_EVENTS:
        some = np.unique(np.linspace(0, len(since_s) - 1, FIT_POINTS).astype(np.intp))
        fitted = float(theilslopes(heard_s[some], since_s[some]).slope)
        slope = fitted if 0.99 < fitted < 1.01 else 1.0
    return np.asarray(since_s * slope + np.median(heard_s - since_s * slope))
