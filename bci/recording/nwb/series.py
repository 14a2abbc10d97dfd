"""How values in time, large arrays and text are laid down."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.data_utils import GenericDataChunkIterator
from numpy.typing import DTypeLike, NDArray

from bci.recording.time_axis import TimeAxis

GZIP = 4
CHUNK_ROWS = 2048
CHUNK_COLUMNS = 64
"""float32 chunks of half a megabyte: one ROI's trace and one stretch of time both read fast."""


def packed(data: NDArray[Any]) -> H5DataIO:
    """An array, compressed."""
    if not data.size:
        return H5DataIO(data)
    chunks = (min(len(data), CHUNK_ROWS), *(min(n, CHUNK_COLUMNS) for n in data.shape[1:]))
    return H5DataIO(data, compression="gzip", compression_opts=GZIP, shuffle=True, chunks=chunks)


class RowBlocks(GenericDataChunkIterator):  # type: ignore[misc]
    """A column or matrix that is made block by block while it is written.

    Parameters
    ----------
    make
        Gives rows `start` to `stop`, shape (stop − start,) or (stop − start, columns).
    shape
        Rows, and columns of a matrix.
    dtype
        Of what it gives.
    """

    def __init__(
        self, make: Callable[[int, int], NDArray[Any]], shape: tuple[int, ...], dtype: DTypeLike
    ) -> None:
        self._make = make
        self._shape = shape
        self._of = np.dtype(dtype)
        rows = min(shape[0], CHUNK_ROWS)
        columns = tuple(min(n, CHUNK_COLUMNS) for n in shape[1:])
        super().__init__(chunk_shape=(rows, *columns), buffer_shape=(rows, *shape[1:]))

    def _get_data(self, selection: tuple[slice, ...]) -> NDArray[Any]:
        rows, *columns = selection
        return self._make(rows.start, rows.stop)[:, *columns]

    def _get_maxshape(self) -> tuple[int, ...]:
        return self._shape

    def _get_dtype(self) -> np.dtype[Any]:
        return self._of


def packed_blocks(
    make: Callable[[int, int], NDArray[Any]], shape: tuple[int, ...], dtype: DTypeLike
) -> H5DataIO:
    """A column or matrix made block by block, compressed."""
    if not shape[0]:
        return H5DataIO(np.empty(shape, dtype))
    blocks = RowBlocks(make, shape, dtype)
    return H5DataIO(blocks, compression="gzip", compression_opts=GZIP, shuffle=True)


def storable(text: str) -> str:
    """The text as HDF5 takes it: a NUL, which it does not, shows as a replacement character."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def timing(axis: TimeAxis, frame_ids: NDArray[np.int64]) -> dict[str, Any]:
    """`rate` and `starting_time` of frames without a gap, else `timestamps`."""
    rate_hz = axis.rate_of(frame_ids)
    if rate_hz is None:
        return {
            "timestamps": packed_blocks(
                lambda start, stop: axis.seconds(frame_ids[start:stop]), (len(frame_ids),), "f8"
            )
        }
    return {"rate": rate_hz, "starting_time": float(axis.seconds(frame_ids[0]))}
