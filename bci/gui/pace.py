"""Drawing no more often than is seen."""

from time import monotonic


class Pace:
    """True at most once in so many seconds.

    Parameters
    ----------
    every_s
        Shortest time between two.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next_s = 0.0

    def hurry(self) -> None:
        """Let it be due at once."""
        self._next_s = 0.0

    def due(self) -> bool:
        """Whether it is time again."""
        now_s = monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._every_s
        return True
