"""Fluorescence as it is."""

from collections.abc import Sequence


class Raw:
    """Counts above dark, unchanged."""

    def __init__(self) -> None:
        self.below_floor: frozenset[int] = frozenset()

    def reset(self) -> None:
        """Nothing is remembered."""

    def update(self, fluorescence: Sequence[float]) -> list[float]:
        """Give each ROI's counts above dark."""
        return list(fluorescence)
