"""When a frame is due."""

MAX_PACED_GAP_S = 5.0


class Schedule:
    """Absolute times of frames by their ids, so that no error adds up and late frames catch up.

    A lost frame takes its time, up to `MAX_PACED_GAP_S`; a longer jump ahead, or one back, is
    followed at once, and the schedule goes on from there. So neither a recording's long pause nor
    a spoilt id makes the stream stand still.

    Parameters
    ----------
    rate_hz
        Frames a second of the computer's clock: the stream's rate times the speed.
    first_id
        Frame that is due at `t_first_ns`.
    t_first_ns
        `time.perf_counter_ns`.
    """

    def __init__(self, rate_hz: float, first_id: int, t_first_ns: int) -> None:
        self._period_ns = 1e9 / rate_hz
        self._max_ahead = max(1, int(MAX_PACED_GAP_S * rate_hz))
        self._anchor_id, self._anchor_ns = first_id, t_first_ns
        self._last_id, self._last_due_ns = first_id, t_first_ns

    def due_ns(self, frame_id: int) -> int:
        """When to send the next frame, `time.perf_counter_ns`; ask once a frame, in order."""
        if not 0 <= frame_id - self._last_id <= self._max_ahead:
            self._anchor_id, self._anchor_ns = frame_id, self._last_due_ns
        due_ns = self._anchor_ns + round((frame_id - self._anchor_id) * self._period_ns)
        self._last_id, self._last_due_ns = frame_id, due_ns
        return due_ns
