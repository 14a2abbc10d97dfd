"""The online signal of every ROI of a plane over a baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from bci.analysis.baseline.recording import Baseline
from bci.core.loop import ClosedLoop
from bci.core.stream_types import Roi, RoiFrame


@dataclass(frozen=True)
class PlaneSignals:
    """What the loop made of every ROI of one plane, in a baseline block.

    The frames are those that calibration uses: without the first F0 window and without flagged
    frames.

    Parameters
    ----------
    rois
        The ROIs that had a value in every frame.
    signal
        In the unit of `experiment.decoder.signal`, shape (n_frames, n_rois).
    fluorescence
        Counts above dark, same shape.
    angle_deg
        Passive grating on the screen at each frame, NaN for none, shape (n_frames,).
    frame_ids
        Shape (n_frames,).
    rate_hz
        Of these frames, Hz.
    """

    rois: tuple[Roi, ...]
    signal: NDArray[np.float64]
    fluorescence: NDArray[np.float32]
    angle_deg: NDArray[np.float64]
    frame_ids: NDArray[np.int64]
    rate_hz: float

    @property
    def duration_s(self) -> float:
        """Time that the frames take, s."""
        return len(self.frame_ids) / self.rate_hz


def plane_signals(baseline: Baseline, plane: int) -> PlaneSignals:
    """Run a baseline through the loop with all ROIs of a plane as its ensemble.

    Parameters
    ----------
    baseline
        The recording.
    plane
        Imaging plane, from 0.
    """
    table = baseline.info.plane_rois(plane)
    finite = baseline.always_finite(plane)
    rois = tuple(roi for roi, whole in zip(table, finite, strict=True) if whole)
    if not rois:
        none = np.zeros((0, 0))
        rate_hz = baseline.info.plane_rate_hz
        empty = np.zeros(0)
        return PlaneSignals(
            (), none, none.astype(np.float32), empty, empty.astype(np.int64), rate_hz
        )
    collected = _Collected(finite, baseline.info.polarity, baseline.info.dark_counts)
    baseline.run(baseline.with_population([roi.label for roi in rois], plane), collected.take)
    shape = (len(collected.frame_ids), len(rois))
    return PlaneSignals(
        rois,
        np.array(collected.signal, dtype=np.float64).reshape(shape),
        np.array(collected.fluorescence, dtype=np.float32).reshape(shape),
        shown_deg(baseline, collected.frame_ids),
        np.array(collected.frame_ids, dtype=np.int64),
        baseline.info.plane_rate_hz,
    )


def shown_deg(baseline: Baseline, frame_ids: Sequence[int]) -> NDArray[np.float64]:
    """Passive grating at each frame, NaN for none, shape (n_frames,)."""
    changes = sorted(baseline.angle_deg)
    angles = np.array([nan, *(baseline.angle_deg[change] for change in changes)])
    shown: NDArray[np.float64] = angles[np.searchsorted(changes, frame_ids, side="right")]
    return shown


class _Collected:
    """Keeps what the loop keeps for its calibration, of every ROI."""

    def __init__(self, finite: NDArray[np.bool_], polarity: int, dark: float) -> None:
        self._finite = finite
        self._polarity, self._dark = np.float32(polarity), np.float32(dark)
        self.signal: list[list[float]] = []
        self.fluorescence: list[NDArray[np.float32]] = []
        self.frame_ids: list[int] = []

    def take(self, loop: ClosedLoop, frame: RoiFrame) -> None:
        if len(loop.baseline_s3) > len(self.frame_ids):
            self.signal.append(loop.decoder.signal)
            counts = frame.fluorescence[self._finite]
            self.fluorescence.append(self._polarity * (counts - self._dark))
            self.frame_ids.append(frame.frame_id)
