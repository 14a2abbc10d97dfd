"""A recording as the live source."""

import numpy as np
from numpy.typing import NDArray

from bci.core.source import EndOfSource, SourceFrame
from bci.core.stream_types import StreamInfo
from bci.recording.readers.traces import FloatArray, Traces

BLOCK_FRAMES = 256


class RecordingSource:
    """Plays traces frame by frame, once or for ever.

    Parameters
    ----------
    traces
        The recording.
    background_counts
        Added to every value.
    loop
        Begin again at the end, frame ids going on. Only whole turns of the planes are looped: a
        recording that stopped between two planes leaves out its last, incomplete turn, so that
        planes go on taking turns across the join.
    """

    def __init__(
        self, traces: Traces, *, background_counts: float = 0.0, loop: bool = False
    ) -> None:
        self.traces = traces
        self._background = np.float32(background_counts)
        self._loop = loop
        self._ids, self._planes = traces.frame_ids, traces.planes
        self._columns = _columns(traces.planes)
        self._period = int(self._ids[-1] - self._ids[0]) + 1
        if loop:
            self._keep_whole_turns()
        self._position = 0
        self._offset = 0
        self._readers = [_Columns(array) for array in traces.fluorescence]

    @property
    def info(self) -> StreamInfo:
        """The stream's description."""
        return self.traces.info

    @property
    def paced(self) -> bool:
        """False: frames are there as soon as asked for."""
        return False

    def seek(self, frame_id: int) -> None:
        """Let the next frame read be this id, or the first one after it where it was lost.

        Past the end of a recording that does not loop, the next read raises `EndOfSource`.
        """
        first = int(self._ids[0])
        turn = max(0, frame_id - first) // self._period if self._loop else 0
        self._offset = turn * self._period
        # Ids of a damaged recording need not be sorted: the first that is far enough.
        reached = np.flatnonzero(self._ids >= frame_id - self._offset)
        self._position = int(reached[0]) if len(reached) else len(self._ids)

    def read(self, timeout_s: float) -> SourceFrame:
        """Next frame; never waits.

        Raises
        ------
        EndOfSource
            After the last frame, unless it loops.
        """
        if self._position == len(self._ids):
            if not self._loop:
                raise EndOfSource
            self._position = 0
            self._offset += self._period
        position = self._position
        self._position += 1
        plane = int(self._planes[position])
        fluorescence = self._readers[plane].at(int(self._columns[position])) + self._background
        return SourceFrame(int(self._ids[position]) + self._offset, plane, fluorescence)

    def close(self) -> None:
        """Let go of the arrays; memory maps close with their last reader."""
        self._readers = []

    def _keep_whole_turns(self) -> None:
        n_planes = self.traces.info.n_planes
        whole = self._period // n_planes * n_planes
        if not whole:
            return
        self._period = whole
        inside = self._ids < self._ids[0] + whole
        self._ids, self._planes = self._ids[inside], self._planes[inside]
        self._columns = self._columns[inside]


class _Columns:
    """Columns of a matrix that lies row by row: transposed block by block, once per block."""

    def __init__(self, matrix: FloatArray) -> None:
        self._matrix = matrix
        self._block = -1
        self._frames: NDArray[np.float32] = np.zeros((0, 0), np.float32)

    def at(self, column: int) -> NDArray[np.float32]:
        block, row = divmod(column, BLOCK_FRAMES)
        if block != self._block:
            start = block * BLOCK_FRAMES
            part = self._matrix[:, start : start + BLOCK_FRAMES]
            self._frames = np.ascontiguousarray(part.T, np.float32)
            self._block = block
        frame: NDArray[np.float32] = self._frames[row]
        return frame


def _columns(planes: NDArray[np.int16]) -> NDArray[np.int64]:
    columns = np.zeros(len(planes), np.int64)
    for plane in np.unique(planes):
        mine = planes == plane
        columns[mine] = np.arange(np.count_nonzero(mine))
    return columns
