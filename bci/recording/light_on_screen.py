"""Flips matched in order to the photodiode's edges: when a picture was light on the screen."""

from collections import deque
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from bci.core.board_types import BoardEvent, BoardEventKind
from bci.core.stimulus_types import FlipKind, FlipReport

EARLY_NS = 30_000_000
"""Light may come before the flip is told: the clocks are tied to some ms, a scan begins early."""
LATE_NS = 150_000_000
"""The way through a screen's own electronics."""


class Lit(msgspec.Struct, frozen=True, gc=False):
    """A command that was seen.

    Parameters
    ----------
    command_id
        Of the command.
    t_flip_ns, t_light_ns
        `time.perf_counter_ns` of the flip and of the photodiode's edge.
    """

    command_id: int
    t_flip_ns: int
    t_light_ns: int


class LightMatch:
    """Each flip that shows a new command changes the patch, and each change is an edge.

    Both are taken in order. A flip without an edge near it, or an edge without a flip, is left out
    and counted, and those after it are matched as if it had not been.

    Attributes
    ----------
    flips_without_light, lights_without_flip
        So far.
    """

    def __init__(self) -> None:
        self.flips_without_light = 0
        self.lights_without_flip = 0
        self._flips: deque[tuple[int, int]] = deque()
        self._edges: deque[int] = deque()

    def flip(self, command_id: int, t_flip_ns: int) -> None:
        """A command was shown."""
        self._flips.append((command_id, t_flip_ns))

    def edge(self, t_ns: int) -> None:
        """The photodiode changed, on the host's clock."""
        self._edges.append(t_ns)

    def take(self, now_ns: int | None = None) -> list[Lit]:
        """Pairs that are complete.

        Parameters
        ----------
        now_ns
            What is so old by now that nothing can come for it any more is given up; None: nothing
            more will come at all.
        """
        found = []
        while self._flips and self._edges:
            (command_id, t_flip_ns), t_light_ns = self._flips[0], self._edges[0]
            if t_light_ns < t_flip_ns - EARLY_NS:
                self._edges.popleft()
                self.lights_without_flip += 1
            elif t_light_ns > t_flip_ns + LATE_NS:
                self._flips.popleft()
                self.flips_without_light += 1
            else:
                self._flips.popleft()
                self._edges.popleft()
                found.append(Lit(command_id, t_flip_ns, t_light_ns))
        while self._flips and (now_ns is None or now_ns - self._flips[0][1] > 5 * LATE_NS):
            self._flips.popleft()
            self.flips_without_light += 1
        while self._edges and (now_ns is None or now_ns - self._edges[0] > 5 * LATE_NS):
            self._edges.popleft()
            self.lights_without_flip += 1
        return found


def lit_commands(
    flips: Iterable[FlipReport],
    events: Sequence[BoardEvent],
    times_ns: NDArray[np.float64],
) -> tuple[list[Lit], LightMatch]:
    """Commands of a session that were seen, and the match with what it could not pair.

    Parameters
    ----------
    flips
        Reports of the screen.
    events
        Of the board.
    times_ns
        When each was sensed, on the clock of the flips, shape (events,).
    """
    match = LightMatch()
    for flip in flips:
        if flip.kind is FlipKind.SHOWN:
            match.flip(flip.command_id, flip.t_flip_ns)
    for event, t_ns in zip(events, times_ns.tolist(), strict=True):
        if event.kind is BoardEventKind.PHOTODIODE:
            match.edge(round(t_ns))
    return match.take(), match
