"""The limit on how long the valve is open in any ten seconds."""

from collections import deque

from bci.hardware.board.protocol import DUTY_WINDOW_US

SLOT_US = 500_000
SLOTS = DUTY_WINDOW_US // SLOT_US + 1


class DutyLimit:
    """Open time in slots of half a second, few enough for a microcontroller.

    An opening is booked when it ends, in the slot of its end, and forgotten only when the whole
    slot is older than the window: what is held is never less than what a sliding window would hold.
    """

    def __init__(self) -> None:
        self.permille = 0
        self._slots: deque[int] = deque([0] * SLOTS, maxlen=SLOTS)
        self._newest = 0

    def allows(self, open_us: int, t_us: int) -> bool:
        """Whether a further opening of this length stays within the limit."""
        self._turn_to(t_us)
        return (sum(self._slots) + open_us) * 1000 <= self.permille * DUTY_WINDOW_US

    def book(self, open_us: int, t_us: int) -> None:
        """Remember an opening that ended at t_us."""
        self._turn_to(t_us)
        self._slots[-1] += open_us

    def _turn_to(self, t_us: int) -> None:
        slot = t_us // SLOT_US
        for _ in range(min(slot - self._newest, SLOTS)):
            self._slots.append(0)
        self._newest = max(slot, self._newest)
