"""dF/F."""

from collections.abc import Sequence

from bci.core.decoding.parts import F0


class DeltaF:
    """(F − F0) / F0, with a floor under the F0 that it divides by.

    Parameters
    ----------
    f0
        Resting fluorescence.
    floor
        Smallest divisor, counts.
    """

    def __init__(self, f0: F0, floor: float) -> None:
        self._f0 = f0
        self._floor = floor
        self.below_floor: frozenset[int] = frozenset()

    def reset(self) -> None:
        """Forget all frames."""
        self._f0.reset()

    def update(self, fluorescence: Sequence[float]) -> list[float]:
        """Take in one finite value an ROI, counts above dark, and give its dF/F."""
        floor = self._floor
        f0 = self._f0.update(fluorescence)
        if min(f0) < floor:
            below = frozenset(i for i, rest in enumerate(f0) if rest < floor)
            if below != self.below_floor:
                self.below_floor = below
            f0 = [rest if rest > floor else floor for rest in f0]
        elif self.below_floor:
            self.below_floor = frozenset()
        return [(f - rest) / rest for f, rest in zip(fluorescence, f0, strict=True)]
