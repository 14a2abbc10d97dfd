"""Frames of a baseline, kept for as long as other ensembles may be chosen on it."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Kept(NamedTuple):
    """A frame that was decoded.

    Parameters
    ----------
    fluorescence
        Raw counts of the decoded plane, float32, shape (n_rois,).
    median
        Median F above dark of all ROIs, counts.
    counted
        True where s3 of this frame belongs to the baseline.
    """

    fluorescence: NDArray[np.float32]
    median: float
    counted: bool


class BaselineTape:
    """Plays the decoded frames again, to a decoder that was made after them.

    It holds the frames of the newest baseline, those that s3 knows before it, and the newest that
    s3 knows. Between baseline and now more frames may lie than that: there the new decoder begins
    afresh, which changes nothing for an F0 that knows its window alone.

    Parameters
    ----------
    known_frames
        As far back as s3 knows frames: F0 window and smoothing, decoded frames.
    """

    def __init__(self, known_frames: int) -> None:
        self._recent: deque[Kept] = deque(maxlen=known_frames)
        self._rows: list[Kept | None] = []
        self._running = False
        self._n_since = 0
        self._broken = False

    @property
    def has_baseline(self) -> bool:
        """True where some of it is of a baseline."""
        return bool(self._rows)

    def reset(self) -> None:
        """F0 was forgotten: what came before no longer matters to it."""
        self._recent.clear()
        self._broken = True

    def begin(self) -> None:
        """A baseline begins; what was kept of an earlier one goes."""
        self._rows = []
        self._broken = True

    def add(self, kept: Kept, *, in_baseline: bool) -> None:
        """Keep a decoded frame."""
        if in_baseline:
            if not self._running:
                self._rows.extend(self._since())
            elif self._broken:
                self._rows.append(None)
            self._rows.append(kept)
            self._broken, self._n_since = False, 0
        else:
            self._n_since += 1
        self._running = in_baseline
        self._recent.append(kept)

    def play(self) -> Iterator[Kept | None]:
        """Every frame in order; None: F0 is forgotten here."""
        yield from self._rows
        yield from self._since()

    def _since(self) -> Iterator[Kept | None]:
        """What came after the newest frame of the baseline, as far as F0 knows it."""
        n_known = len(self._recent)
        if self._broken or self._n_since > n_known:
            yield None
            first = 0
        else:
            first = n_known - self._n_since
        for place in range(first, n_known):
            yield self._recent[place]._replace(counted=False)
