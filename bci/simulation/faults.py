"""A source with faults, at frame ids chosen by the caller: for tests and for training operators."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bci.core.source import EndOfSource, FrameSource, SourceFrame
from bci.core.stream_types import StreamInfo


@dataclass(frozen=True)
class Gap:
    """Frames that never arrive."""

    frame_id: int
    n_frames: int = 1


@dataclass(frozen=True)
class Duplicate:
    """A frame that arrives twice."""

    frame_id: int


@dataclass(frozen=True)
class OutOfOrder:
    """A frame that changes places with the one after it."""

    frame_id: int


@dataclass(frozen=True)
class NotFinite:
    """NaN in some ROIs; `rows` count within the frame's plane."""

    frame_id: int
    rows: tuple[int, ...] = (0,)
    n_frames: int = 1


@dataclass(frozen=True)
class Dark:
    """The shutter is closed: every ROI gives the dark level."""

    frame_id: int
    n_frames: int = 1


@dataclass(frozen=True)
class Saturated:
    """Every ROI gives `counts`, the end of the digitiser's range."""

    frame_id: int
    counts: float = 65535.0
    n_frames: int = 1


@dataclass(frozen=True)
class Unchanged:
    """A stale image: the values of the plane's last good frame again, under new ids."""

    frame_id: int
    n_frames: int = 1


@dataclass(frozen=True)
class FarFuture:
    """One frame under an id far ahead; the next goes on as if nothing had been."""

    frame_id: int
    ahead: int = 1_000_000


@dataclass(frozen=True)
class Stall:
    """The stream stands still before this frame; lost time is caught up."""

    frame_id: int
    seconds: float = 1.0


StreamFault = (
    Gap | Duplicate | OutOfOrder | NotFinite | Dark | Saturated | Unchanged | FarFuture | Stall
)


@dataclass
class _Pending:
    frames: deque[SourceFrame] = field(default_factory=deque)
    swapped: SourceFrame | None = None
    stalled_until: float | None = None
    stall_over: int = -1


class FaultySource:
    """Another source, with faults at given frame ids.

    Parameters
    ----------
    source
        What stands behind it.
    faults
        Each strikes once, at its `frame_id` of that source, and where it has `n_frames` lasts so
        many ids over all planes. Where several meet at one frame, its values change first, then
        its id, then its place in the stream.
    """

    def __init__(self, source: FrameSource, faults: Sequence[StreamFault]) -> None:
        self._source = source
        self._faults = tuple(faults)
        self._pending = _Pending()
        self._last_good: dict[int, NDArray[np.float32]] = {}

    @property
    def info(self) -> StreamInfo:
        """Description of the source behind it."""
        return self._source.info

    @property
    def paced(self) -> bool:
        """As the source behind it."""
        return self._source.paced

    def seek(self, frame_id: int) -> None:
        """Seek in the source behind it; frames held back are dropped."""
        self._pending = _Pending()
        self._last_good.clear()
        self._source.seek(frame_id)

    def read(self, timeout_s: float) -> SourceFrame | None:
        """Next frame, or None during a stall.

        Raises
        ------
        EndOfSource
            After the last frame.
        """
        pending = self._pending
        while not pending.frames:
            try:
                frame = self._source.read(timeout_s)
            except EndOfSource:
                if pending.swapped is None:
                    raise
                pending.frames.append(pending.swapped)
                pending.swapped = None
                break
            if frame is None:
                return None
            self._strike(frame)
        first = pending.frames[0]
        stall = next(
            (f for f in self._faults if isinstance(f, Stall) and f.frame_id == first.frame_id), None
        )
        if stall is not None and pending.stall_over != first.frame_id:
            now = time.perf_counter()
            if pending.stalled_until is None:
                pending.stalled_until = now + stall.seconds
            left_s = pending.stalled_until - now
            if left_s > 0:
                time.sleep(min(left_s, timeout_s))
                return None
            pending.stalled_until, pending.stall_over = None, first.frame_id
        return pending.frames.popleft()

    def close(self) -> None:
        """Close the source behind it."""
        self._source.close()

    def _strike(self, frame: SourceFrame) -> None:
        arriving = [self._changed(frame)]
        pending = self._pending
        for fault in self._faults:
            match fault:
                case Gap() if _lasts(fault.frame_id, fault.n_frames, frame):
                    arriving = []
                case Duplicate(frame_id=struck) if struck == frame.frame_id:
                    arriving = arriving * 2
                case OutOfOrder(frame_id=struck) if struck == frame.frame_id and arriving:
                    pending.swapped, arriving = arriving[0], arriving[1:]
                case OutOfOrder(frame_id=struck) if frame.frame_id > struck and pending.swapped:
                    arriving.append(pending.swapped)
                    pending.swapped = None
                case _:
                    pass
        pending.frames.extend(arriving)

    def _changed(self, frame: SourceFrame) -> SourceFrame:
        fluorescence, frame_id = frame.fluorescence.copy(), frame.frame_id
        stale = False
        for fault in self._faults:
            match fault:
                case NotFinite() if _lasts(fault.frame_id, fault.n_frames, frame):
                    fluorescence[list(fault.rows)] = np.nan
                case Dark() if _lasts(fault.frame_id, fault.n_frames, frame):
                    fluorescence[:] = self.info.dark_counts
                case Saturated() if _lasts(fault.frame_id, fault.n_frames, frame):
                    fluorescence[:] = fault.counts
                case Unchanged() if _lasts(fault.frame_id, fault.n_frames, frame):
                    stale = True
                case FarFuture(frame_id=struck) if struck == frame.frame_id:
                    frame_id += fault.ahead
                case _:
                    pass
        if stale:
            fluorescence = self._last_good.get(frame.plane, fluorescence)
        else:
            self._last_good[frame.plane] = fluorescence
        return SourceFrame(frame_id, frame.plane, fluorescence, frame.t_scope_ns)


def _lasts(first: int, n_frames: int, frame: SourceFrame) -> bool:
    return first <= frame.frame_id < first + n_frames
