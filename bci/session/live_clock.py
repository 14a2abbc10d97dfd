"""The board's time on the computer's clock, while the session runs."""

from collections import deque

import numpy as np

from bci.core.board_types import BoardEvent
from bci.recording.device_clock import ClockLine, fit_clock

PAIRS = 120
RESTART_S = 1.0


class LiveClock:
    """A line through the newest questions and answers; see `bci.recording.device_clock`."""

    def __init__(self) -> None:
        self._pairs: deque[tuple[float, float, float]] = deque(maxlen=PAIRS)
        self._line: ClockLine | None = None
        self._newest_s = 0.0

    def hear(self, event: BoardEvent) -> None:
        """Take in an answer (`BoardEventKind.CLOCK`)."""
        assert event.t_device_us is not None
        device_s, heard_s = event.t_device_us * 1e-6, event.t_host_ns * 1e-9
        self._see(device_s)
        self._pairs.append((device_s, heard_s - event.value * 1e-6, heard_s))
        device, sent, heard = np.array(self._pairs).T
        self._line = fit_clock(device, sent, heard)

    def host_ns(self, event: BoardEvent) -> int:
        """When an event of the board happened; when it was heard, before the clocks are tied."""
        if event.t_device_us is None:
            return event.t_host_ns
        device_s = event.t_device_us * 1e-6
        self._see(device_s)
        if self._line is None:
            return event.t_host_ns
        return round((self._line.offset_s + (1 + self._line.drift) * device_s) * 1e9)

    def _see(self, device_s: float) -> None:
        """A clock that has fallen back is that of a board that has restarted."""
        if device_s < self._newest_s - RESTART_S:
            self._pairs.clear()
            self._line = None
        self._newest_s = device_s
