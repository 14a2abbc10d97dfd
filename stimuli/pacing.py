"""When to take the newest command, when it will be seen, and which refreshes were missed."""

import itertools
import math
import statistics
import time
from collections.abc import Callable

MISSED_FACTOR = 1.5
_WARM_UP_FLIPS = 5
_MEASURED_FLIPS = 10
_FASTEST_REFRESH_S = 1 / 500


class FlipPacer:
    """Plan of the flips.

    With a screen that blanks, a picture is seen at the blank after the last one, and the newest
    command is taken shortly before it. Without one, a timer with the nominal refresh says when to
    take the command, and the picture is seen as soon as it is drawn.

    Parameters
    ----------
    refresh_s
        Time between two blanks, or of the timer.
    blanks
        True where the flip returns at the blank.
    pre_blank_s
        How long before the blank the newest command is taken.
    t_start_s
        Now.
    """

    def __init__(
        self, refresh_s: float, *, blanks: bool, pre_blank_s: float, t_start_s: float
    ) -> None:
        self._refresh_s = refresh_s
        self._blanks = blanks
        self._lead_s = min(pre_blank_s, refresh_s) if blanks else 0.0
        self._t_seen_s = t_start_s
        self._t_last_flip_s: float | None = None

    def plan(self, now_s: float) -> tuple[float, float]:
        """When to take the command and when the picture will be seen, s."""
        # a flip that came early or a tick that was overslept never makes two flips in one refresh
        behind = max(math.floor((now_s - self._t_seen_s) / self._refresh_s), 0)
        steps = behind + 1 if self._blanks else max(behind, 1)
        self._t_seen_s += steps * self._refresh_s
        return self._t_seen_s - self._lead_s, self._t_seen_s

    def flipped(self, t_flip_s: float) -> int:
        """Note a flip; how many refreshes were missed since the one before."""
        missed = 0
        if self._t_last_flip_s is not None:
            interval_s = t_flip_s - self._t_last_flip_s
            if interval_s > MISSED_FACTOR * self._refresh_s:
                missed = round(interval_s / self._refresh_s) - 1
        self._t_last_flip_s = t_flip_s
        if self._blanks:
            self._t_seen_s = t_flip_s
        return missed


def measure_blanking(
    flip: Callable[[], int], sleep: Callable[[float], None] = time.sleep
) -> tuple[bool, float]:
    """Find out whether `flip` waits for a blank, and how often the screen blanks.

    Flips that wait for a blank take up work done between them: their interval stays the same.
    Flips that do not get later by just that work.

    Parameters
    ----------
    flip
        Shows a picture and returns `time.perf_counter_ns`.
    sleep
        Waits so many seconds.

    Returns
    -------
    blanks
        True where the flip waits.
    interval_s
        Median interval of bare flips, s.
    """
    for _ in range(_WARM_UP_FLIPS):
        flip()
    bare_s = _median_interval_s(flip, lambda: None)
    working_s = _median_interval_s(flip, lambda: sleep(bare_s / 2))
    blanks = bare_s > _FASTEST_REFRESH_S and abs(working_s - bare_s) < 0.15 * bare_s
    return blanks, bare_s


def _median_interval_s(flip: Callable[[], int], work: Callable[[], None]) -> float:
    times_ns = [flip()]
    for _ in range(_MEASURED_FLIPS):
        work()
        times_ns.append(flip())
    intervals = [after - before for before, after in itertools.pairwise(times_ns)]
    return statistics.median(intervals) * 1e-9
