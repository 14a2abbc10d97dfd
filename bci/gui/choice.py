"""Which ROIs the operator has put into P+ and P−, and the way back."""

from collections.abc import Sequence
from typing import NamedTuple

PLUS, MINUS, NONE = "P+", "P−", ""
NEXT = {NONE: PLUS, PLUS: MINUS, MINUS: NONE}


class Sides(NamedTuple):
    """Labels of both ensembles."""

    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """P+ and then P−."""
        return (*self.plus, *self.minus)

    def side_of(self, label: str) -> str:
        """Where an ROI is."""
        if label in self.plus:
            return PLUS
        return MINUS if label in self.minus else NONE

    def with_roi(self, label: str, side: str) -> "Sides":
        """The same with one ROI moved."""
        plus = [each for each in self.plus if each != label]
        minus = [each for each in self.minus if each != label]
        if side == PLUS:
            plus.append(label)
        elif side == MINUS:
            minus.append(label)
        return Sides(tuple(plus), tuple(minus))

    def without(self, labels: Sequence[str]) -> "Sides":
        """The same with ROIs left out."""
        return Sides(
            tuple(each for each in self.plus if each not in labels),
            tuple(each for each in self.minus if each not in labels),
        )


class ChoiceBook:
    """The choice, and every one before it.

    Attributes
    ----------
    sides
        As it stands.
    """

    def __init__(self) -> None:
        self.sides = Sides()
        self._before: list[Sides] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a way back."""
        return bool(self._before)

    def set(self, sides: Sides) -> None:
        """Choose otherwise."""
        if sides != self.sides:
            self._before.append(self.sides)
            self.sides = sides

    def undo(self) -> None:
        """Go back by one."""
        if self._before:
            self.sides = self._before.pop()

    def clear(self) -> None:
        """Begin anew, with no way back."""
        self.sides = Sides()
        self._before.clear()
