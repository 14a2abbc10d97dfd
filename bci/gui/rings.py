"""Memory that does not grow: the newest rows of a table, the newest columns of an image."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Ring:
    """The newest rows, in order, always in one piece.

    Twice the room is held, so that moving rows to the front is rare.

    Parameters
    ----------
    dtype
        Of a row.
    capacity
        Rows kept.
    """

    def __init__(self, dtype: DTypeLike, capacity: int) -> None:
        self._rows: NDArray[Any] = np.zeros(2 * capacity, dtype)
        self._capacity = capacity
        self._start = self._stop = 0
        self.total = 0
        """Rows ever added."""

    def __len__(self) -> int:
        return self._stop - self._start

    @property
    def rows(self) -> NDArray[Any]:
        """The rows held, oldest first; a view, valid until the next `extend`."""
        return self._rows[self._start : self._stop]

    def extend(self, rows: NDArray[Any]) -> None:
        """Add rows; the oldest go."""
        self.total += len(rows)
        rows = rows[-self._capacity :]
        if self._stop + len(rows) > len(self._rows):
            keep = min(len(self), self._capacity - len(rows))
            self._rows[:keep] = self._rows[self._stop - keep : self._stop]
            self._start, self._stop = 0, keep
        self._rows[self._stop : self._stop + len(rows)] = rows
        self._stop += len(rows)
        self._start = max(self._start, self._stop - self._capacity)

    def since(self, t_ns: int) -> NDArray[Any]:
        """Rows from this time on; their first field, or they themselves, are times in order."""
        rows = self.rows
        times = rows[rows.dtype.names[0]] if rows.dtype.names else rows
        return rows[np.searchsorted(times, t_ns) :]

    def clear(self) -> None:
        """Forget all rows."""
        self._start = self._stop = 0


class FluorescenceRing:
    """The newest columns of fluorescence of all ROIs, and their times.

    Parameters
    ----------
    planes
        Places of each plane's ROIs in the ROI table.
    n_columns
        Columns kept.

    Attributes
    ----------
    values
        float32, shape (n_rois, n_columns), raw counts, a wheel: column `total % n_columns` is the
        next to be written; NaN where nothing was.
    t_ns
        Times of the columns, 0 where nothing was written.
    total
        Columns ever begun.
    """

    def __init__(self, planes: list[NDArray[np.intp]], n_columns: int) -> None:
        self._planes = planes
        n_rois = sum(len(places) for places in planes)
        self.values = np.full((n_rois, n_columns), np.nan, np.float32)
        self.t_ns = np.zeros(n_columns, np.int64)
        self.total = 0
        self._filled: set[int] = set()

    @property
    def newest(self) -> int:
        """Place of the column that is written now."""
        return (self.total - 1) % len(self.t_ns)

    def add(self, plane: int, t_ns: int, values: NDArray[np.float32]) -> None:
        """Take in a plane's fluorescence; a plane that comes again begins a new column."""
        if plane >= len(self._planes) or len(values) != len(self._planes[plane]):
            return
        if self.total == 0 or plane in self._filled:
            self.total += 1
            self._filled.clear()
            self.values[:, self.newest] = np.nan
        self._filled.add(plane)
        place = self.newest
        self.values[self._planes[plane], place] = values
        self.t_ns[place] = t_ns

    def order(self) -> NDArray[np.intp]:
        """Places of the columns held, oldest first."""
        n = len(self.t_ns)
        held = min(self.total, n)
        return np.arange(self.total - held, self.total) % n
