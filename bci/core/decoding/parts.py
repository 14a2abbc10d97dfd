"""What the parts of a decoder promise."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol


class Layout(NamedTuple):
    """What a part knows of the stream.

    Parameters
    ----------
    n_rois, n_plus
        ROIs of both ensembles, and those of P+, which come first.
    window_frames
        Length of the F0 window, decoded frames.
    plane_rate_hz
        Rate of the decoded frames, Hz.
    labels
        Of the ROIs, shape (n_rois,).
    """

    n_rois: int
    n_plus: int
    window_frames: int
    plane_rate_hz: float
    labels: tuple[str, ...] = ()


class F0(Protocol):
    """The resting fluorescence of each ROI."""

    def reset(self) -> None:
        """Forget all frames."""
        ...

    def update(self, fluorescence: Sequence[float]) -> list[float]:
        """Take in one finite value an ROI, counts above dark, and give F0 of every ROI, counts."""
        ...


class Signal(Protocol):
    """What each ROI contributes to the read-out.

    `below_floor` holds the places of the ROIs whose F0 is too small to divide by; it is the same
    object for as long as nothing changes.
    """

    below_floor: frozenset[int]

    def reset(self) -> None:
        """Forget all frames."""
        ...

    def update(self, fluorescence: Sequence[float]) -> list[float]:
        """Take in one finite value an ROI, counts above dark, and give its signal."""
        ...


ReadOut = Callable[[Sequence[float]], float]
"""s of the signals of P+ and then P−."""


class Cursor(Protocol):
    """Where the read-out has brought the grating.

    `angle_deg` is the angle now, 0–90; NaN while T and lo are unknown.
    """

    angle_deg: float

    def update(self, s3: float, t: float, lo: float, *, running: bool) -> bool:
        """Take in one decoded frame; True where the cursor is at its target.

        `running` is True where RUN was entered by an earlier frame and has not ended.
        """
        ...
