"""dF/F of all ROIs over the last minute, as bytes that are drawn as they are."""

import numpy as np
from numpy.typing import NDArray

from bci.core.stream_types import StreamInfo
from bci.gui.rings import FluorescenceRing

F0_PERCENTILE = 10.0
F0_COLUMNS = 100
"""Columns that F0 is estimated from: enough for a picture."""
F0_EVERY_COLUMNS = 30
FULL_SCALE_DFF = 1.5


class DffImage:
    """A wheel of columns, each ROI's dF/F quantised to 0-255.

    F0 is the 10th percentile of what the ring holds: for the eye, not the decoder's.

    Parameters
    ----------
    ring
        Raw counts.
    info
        Dark level and polarity.
    order
        Places in the ROI table, in the order of the rows; shape (n_rows,).
    """

    def __init__(self, ring: FluorescenceRing, info: StreamInfo, order: NDArray[np.intp]) -> None:
        self._ring = ring
        self._order = order
        self._polarity, self._dark = np.float32(info.polarity), np.float32(info.dark_counts)
        self._f0 = np.full(len(order), np.nan, np.float32)
        self._bytes = np.zeros((len(order), len(ring.t_ns)), np.uint8)
        self._seen = 0
        self._f0_at = 0

    @property
    def n_rows(self) -> int:
        """ROIs shown."""
        return len(self._order)

    def update(self) -> None:
        """Take in the columns that are new."""
        total, n = self._ring.total, len(self._ring.t_ns)
        if total == 0:
            return
        # the newest column may still get planes: it is drawn again next time
        first = max(self._seen - 1, total - n, 0)
        if total - self._f0_at >= F0_EVERY_COLUMNS or self._f0_at == 0:
            self._estimate_f0()
            self._f0_at = total
            first = max(total - n, 0)
        places = np.arange(first, total) % n
        self._bytes[:, places] = self._quantised(self._signal(places))
        self._seen = total

    def image(self) -> NDArray[np.uint8]:
        """Bytes in order of time, newest column last; shape (n_rows, columns held)."""
        return np.take(self._bytes, self._ring.order(), axis=1)

    def dff(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """DF/F of some rows in order of time, shape (len(rows), columns held)."""
        values = self._ring.values[np.ix_(self._order[rows], self._ring.order())]
        f0 = self._f0[rows][:, None]
        return (self._polarity * (values - self._dark) - f0) / f0

    def _signal(self, places: NDArray[np.intp]) -> NDArray[np.float32]:
        return self._polarity * (self._ring.values[np.ix_(self._order, places)] - self._dark)

    def _estimate_f0(self) -> None:
        held = self._ring.order()
        some = held[:: max(1, len(held) // F0_COLUMNS)]
        signal = self._signal(some)
        known = ~np.isnan(signal).all(axis=1)
        f0 = np.full(len(signal), np.nan, np.float32)
        f0[known] = np.nanpercentile(signal[known], F0_PERCENTILE, axis=1)
        self._f0 = np.maximum(f0, np.float32(1.0))

    def _quantised(self, signal: NDArray[np.float32]) -> NDArray[np.uint8]:
        f0 = self._f0[:, None]
        scaled = (signal - f0) * (255 / FULL_SCALE_DFF / f0)
        return np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255).astype(np.uint8)
