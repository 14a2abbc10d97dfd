"""When the board sensed something, rather than when the host heard of it."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from bci.core.board_types import BoardEvent, BoardEventKind
from bci.recording.robust_slope import theil_sen_slope

FEW_EVENTS = 30
"""Below this many events a slope would tell of the line's delays, not of the clocks."""
FIT_POINTS = 500
RESTART_US = 1_000_000
"""A clock that falls back by more than this has been started anew."""
BINS = 60
WIDE = 3.0
"""Pairs this much wider than the narrowest say little."""
SHORT_S = 10.0
"""Over less time than this a drift of some 10 ppm is not to be seen."""
LARGEST_DRIFT = 0.01


class ClockLine(msgspec.Struct, frozen=True):
    """The host's time of a device time: `offset_s + (1 + drift) * device_s`.

    Parameters
    ----------
    offset_s, drift
        Of the line; drift is what the host's clock gains on the device's, per second.
    error_s
        Bound of the line's error within the time of its pairs, for a device clock that runs
        evenly: each answer came between its question and its own arrival. NaN: not known.
    n_pairs
        Questions and answers that it was drawn from.
    """

    offset_s: float
    drift: float
    error_s: float
    n_pairs: int

    def at(self, device_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Host times of device times, seconds."""
        return np.asarray(self.offset_s + (1 + self.drift) * device_s)


class ClockSegment(msgspec.Struct, frozen=True):
    """One start of the board, and the line of its clock.

    Parameters
    ----------
    first_s, last_s
        Host times of its first and last event.
    line
        For device times in seconds.
    """

    first_s: float
    last_s: float
    line: ClockLine


def fit_clock(
    device_s: NDArray[np.float64], sent_s: NDArray[np.float64], heard_s: NDArray[np.float64]
) -> ClockLine:
    """Line through pairs of a question and its answer, on two clocks.

    The device's time of an answer lies between the sending of the question and the arrival of the
    answer. Pairs that waited in a queue are wide, those that did not are narrow: of each stretch
    of time the narrowest is taken, and the line weighs them by their width. What waits in a queue
    can therefore widen the stated error, and hardly move the line.

    Parameters
    ----------
    device_s, sent_s, heard_s
        Ascending, shape (pairs,), one pair at least.
    """
    middle, half = (sent_s + heard_s) / 2, np.maximum((heard_s - sent_s) / 2, 1e-7)
    span_s = float(device_s[-1] - device_s[0])
    which = np.floor((device_s - device_s[0]) / (span_s + 1e-9) * BINS).astype(np.intp)
    order = np.lexsort((half, which))
    best = order[np.concatenate([[True], np.diff(which[order]) > 0])]
    best = best[half[best] <= WIDE * half[best].min()]
    at, m, h = device_s[best], middle[best], half[best]
    drift = 0.0
    if len(best) > 1 and at[-1] - at[0] >= SHORT_S:
        slope = float(np.polyfit(at - at[0], m - at, 1, w=1 / h)[0])
        drift = slope if abs(slope) < LARGEST_DRIFT else 0.0
    left = m - (1 + drift) * at
    offset = float(np.average(left, weights=1 / h**2))
    error = float(np.max(np.abs(left - offset) + h))
    return ClockLine(offset, drift, error, len(device_s))


class DeviceClock:
    """Times of board events on the host's clock, one line for each start of the board.

    A line is drawn through the pairs of questions and answers (`BoardEventKind.CLOCK`). A board
    that answers none has a robust line through the times at which the host heard of its events, so
    that the bytes of a busy line, or several events in one read, do not shift or merge them.

    Parameters
    ----------
    events
        Of the board, in the order in which they were heard.
    of_host
        Seconds of a `time.perf_counter_ns`.
    pairs
        False: that scale is no even one, so pairs say nothing.

    Attributes
    ----------
    segments
        Starts of the board, in order.
    times_s
        When each event was sensed; where it carries no device time, when the host knew. Shape
        (events,).
    """

    def __init__(
        self,
        events: Sequence[BoardEvent],
        of_host: Callable[[int], float],
        *,
        pairs: bool = True,
    ) -> None:
        columns = np.fromiter(
            (
                (
                    of_host(event.t_host_ns),
                    np.nan if event.t_device_us is None else event.t_device_us / 1e6,
                    event.value / 1e6,
                    event.kind is BoardEventKind.CLOCK and pairs,
                )
                for event in events
            ),
            "f8, f8, f8, ?",
        )
        heard_s, device_s, took_s, is_pair = (columns[name] for name in ("f0", "f1", "f2", "f3"))
        self.times_s: NDArray[np.float64] = heard_s.copy()
        found = []
        known = np.flatnonzero(~np.isnan(device_s))
        restarts = np.flatnonzero(np.diff(device_s[known]) < -RESTART_US / 1e6) + 1
        for rows in np.split(known, restarts):
            if not len(rows):
                continue
            asked = rows[is_pair[rows]]
            if len(asked):
                sent_s = heard_s[asked] - took_s[asked]
                line = fit_clock(device_s[asked], sent_s, heard_s[asked])
            else:
                line = _heard_line(device_s[rows], heard_s[rows])
            self.times_s[rows] = line.at(device_s[rows])
            found.append(ClockSegment(float(heard_s[rows[0]]), float(heard_s[rows[-1]]), line))
        self.segments: tuple[ClockSegment, ...] = tuple(found)

    @property
    def description(self) -> str:
        """How far the times are to be trusted, in words; empty where there are none."""
        told = []
        for number, segment in enumerate(self.segments, start=1):
            line = segment.line
            which = f"start {number} of the board: " if len(self.segments) > 1 else ""
            if line.error_s == line.error_s:
                told.append(
                    f"{which}clock drift {1e6 * line.drift:+.1f} ppm, error at most "
                    f"{1e3 * line.error_s:.2f} ms ({line.n_pairs} questions and answers)"
                )
            else:
                told.append(f"{which}times of hearing, error not known")
        return "; ".join(told)


def _heard_line(device_s: NDArray[np.float64], heard_s: NDArray[np.float64]) -> ClockLine:
    since_s = device_s - device_s[0]
    drift = 0.0
    if len(since_s) >= FEW_EVENTS:
        some = np.unique(np.linspace(0, len(since_s) - 1, FIT_POINTS).astype(np.intp))
        fitted = theil_sen_slope(heard_s[some], since_s[some]) - 1
        drift = fitted if abs(fitted) < LARGEST_DRIFT else 0.0
    offset = float(np.median(heard_s - since_s * (1 + drift))) - (1 + drift) * float(device_s[0])
    return ClockLine(offset, drift, float("nan"), 0)
