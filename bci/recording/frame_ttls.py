"""Which frame a TTL of the microscope belongs to, by its time on the board's clock."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.core.board_types import BoardEvent, BoardEventKind

SPURIOUS = 0.5
"""An edge that follows the one before by less than this part of a period is no frame."""
FOLLOW = 0.02
RESTART_US = 1_000_000


class TtlNumbers:
    """Numbers frame TTLs by the time between them, so that a lost or a stray edge shifts none.

    The board counts edges; the microscope keeps its period. An edge that the board never saw leaves
    a number out, a stray one between two frames takes none.

    Parameters
    ----------
    rate_hz
        Of frames over all planes.

    Attributes
    ----------
    newest
        Number of the last TTL; -1 before the first.
    n_stray
        Edges that were no frame.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_us = 1e6 / rate_hz
        self._t_us = 0
        self._t_host_s = 0.0
        self.newest = -1
        self.n_stray = 0

    def add(self, count: int, t_us: int, t_host_s: float) -> int | None:
        """Number of the next edge, from 0 at the arming; None: a stray one.

        Parameters
        ----------
        count
            As the board counted it.
        t_us
            On the board's clock.
        t_host_s
            On the host's, as well as it is known: counts where the board's clock began anew.
        """
        before_s, self._t_host_s = self._t_host_s, t_host_s
        if self.newest < 0:
            self._t_us, self.newest = t_us, count
            return count
        passed_us = float(t_us - self._t_us)
        if passed_us < -RESTART_US:
            passed_us = max((t_host_s - before_s) * 1e6, self._period_us)
            self._t_us = t_us
            self.newest += round(passed_us / self._period_us)
            return self.newest
        steps = passed_us / self._period_us
        if steps < SPURIOUS:
            self.n_stray += 1
            return None
        whole = max(1, round(steps))
        if whole == 1:
            self._period_us += FOLLOW * (passed_us - self._period_us)
        self._t_us = t_us
        self.newest += whole
        return self.newest


def numbered_ttls(
    events: Sequence[BoardEvent], times_s: NDArray[np.float64], rate_hz: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers and times of the frame TTLs of a session.

    Parameters
    ----------
    events
        Of the board, in the order in which they were heard.
    times_s
        When each was sensed, shape (events,).
    rate_hz
        Of frames over all planes.

    Returns
    -------
    Frame numbers, rising, and times in seconds; both of shape (frames with a TTL,).
    """
    numbers = TtlNumbers(rate_hz)
    ids: list[int] = []
    times: list[float] = []
    armed = False
    for event, t_s in zip(events, times_s.tolist(), strict=True):
        if event.kind is BoardEventKind.ARMED:
            armed, numbers, ids, times = True, TtlNumbers(rate_hz), [], []
        elif event.kind is BoardEventKind.FRAME_TTL and armed and event.t_device_us is not None:
            number = numbers.add(int(event.value), event.t_device_us, t_s)
            if number is not None:
                ids.append(number)
                times.append(t_s)
    return np.array(ids, dtype=np.int64), np.array(times)
