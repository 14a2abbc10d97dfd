"""Where frames come from: the contract of every source."""

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from bci.core.stream_types import StreamInfo


class SourceFrame(msgspec.Struct, frozen=True, gc=False):
    """One frame as a source gives it, before it is stamped and sent.

    Parameters
    ----------
    frame_id
        Up by one over all planes; a jump is a lost frame.
    plane
        Imaging plane.
    fluorescence
        float32, shape (ROIs of the plane,), raw counts.
    t_scope_ns
        Microscope time; None: the acquisition thread stamps the nominal time.
    roi_hash, session_hash
        As the sender tells them; 0: it does not, and the description's and ours stand.
    """

    frame_id: int
    plane: int
    fluorescence: NDArray[np.float32]
    t_scope_ns: int | None = None
    roi_hash: int = 0
    session_hash: int = 0


class FrameSource(Protocol):
    """A microscope, or what stands for one.

    `info` is complete but for `session` ("") and `epoch` (0), which the acquisition thread fills
    in. `paced` says who keeps time: True where frames arrive by themselves (a microscope program),
    False where the acquisition thread must pace them.
    """

    @property
    def info(self) -> StreamInfo:
        """The stream's description."""
        ...

    @property
    def paced(self) -> bool:
        """True where the source itself waits for the next frame."""
        ...

    def seek(self, frame_id: int) -> None:
        """Let the next frame read be this id; only for sources that are not paced."""
        ...

    def read(self, timeout_s: float) -> SourceFrame | None:
        """Next frame, or None where none came within `timeout_s` (paced sources).

        Raises
        ------
        EndOfSource
            After the last frame.
        NotAFrame
            Where what came from outside was none (`bci.core.frame_header`); the next read goes on.
        """
        ...

    def close(self) -> None:
        """Give back files and sockets; a second call does nothing."""
        ...


class EndOfSource(Exception):
    """The source has no further frame."""
