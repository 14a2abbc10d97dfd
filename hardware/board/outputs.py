"""Levels of the simulated board's outputs, and every edge of them."""

import msgspec

from bci.hardware.board.codes import Pin


class Edge(msgspec.Struct, frozen=True):
    """One change of an output; request_id is 0 where no reward caused it."""

    t_us: int
    pin: Pin
    level: int
    request_id: int


class Outputs:
    """What each output is now, and its edges until somebody takes them."""

    def __init__(self) -> None:
        self._levels = dict.fromkeys(Pin, 0)
        self._edges: list[Edge] = []

    @property
    def bits(self) -> int:
        """Levels, one bit an output."""
        return sum(level << pin for pin, level in self._levels.items())

    def level(self, pin: Pin) -> int:
        """Level of an output now."""
        return self._levels[pin]

    def set(self, pin: Pin, level: int, t_us: int, request_id: int = 0) -> None:
        """Bring an output to a level."""
        if self._levels[pin] != level:
            self._levels[pin] = level
            self._edges.append(Edge(t_us, pin, level, request_id))

    def take_edges(self) -> list[Edge]:
        """Edges since the last call, in order."""
        edges, self._edges = self._edges, []
        return edges
