"""A few seconds of the frames that a session would get, without a session."""

import time
from collections.abc import Collection

import msgspec
import numpy as np

from bci.config.rig import Source
from bci.core.frame_header import NotAFrame
from bci.core.source import EndOfSource, FrameSource, SourceFrame
from bci.core.stream_types import StreamInfo
from bci.hardware.imaging.open import open_source

TRIAL_S = 2.0
FIRST_FRAME_S = 5.0
WAIT_S = 0.05
LEAST_FRAMES = 20
"""So many tell how fast a source could be, though the computer stands still for a moment."""


class StreamTrialFailed(RuntimeError):
    """No frame came; says why."""


class StreamTrial(msgspec.Struct, frozen=True):
    """What a source gave.

    Parameters
    ----------
    info
        What it says of itself.
    arrives
        True where frames came by themselves, so that `rate_hz` is the microscope's.
    n_frames, lost
        Frames that were good, and ids that never came between them.
    rate_hz
        Ids a second of the clock; of a source that waits for nobody, what it could give.
    wrong
        Frames that a session would refuse, by the reason.
    above_dark_counts
        Median over all ROIs and frames, above the dark level.
    """

    info: StreamInfo
    arrives: bool
    n_frames: int
    lost: int
    rate_hz: float
    wrong: dict[str, int]
    above_dark_counts: float


def try_stream(
    settings: Source, seconds: float = TRIAL_S, peers: Collection[str] = ()
) -> StreamTrial:
    """Open the source and read it for a while, its own recording or simulation for an instant.

    Parameters
    ----------
    settings, peers
        As in `open_source`.
    seconds
        How long frames that arrive are read.

    Raises
    ------
    StreamTrialFailed
        Where no frame came.
    OSError, ValueError
        Where the source cannot be opened, as of `open_source`.
    """
    source = open_source(settings, peers)
    try:
        return _read(source, seconds)
    finally:
        source.close()


def fault_of_frame(frame: SourceFrame, info: StreamInfo) -> str:
    """Why a session would refuse this frame; empty: it would not."""
    if frame.plane >= info.n_planes:
        return f"plane {frame.plane} of {info.n_planes}"
    expected = len(info.plane_rois(frame.plane))
    if len(frame.fluorescence) != expected:
        return f"{len(frame.fluorescence)} ROIs in plane {frame.plane}, not {expected}"
    if frame.roi_hash not in (0, info.roi_hash):
        return f"ROI hash {frame.roi_hash:016x}, not {info.roi_hash:016x}"
    return ""


def _read(source: FrameSource, seconds: float) -> StreamTrial:
    info, arrives = source.info, source.paced
    wrong: dict[str, int] = {}
    ids: list[int] = []
    times_s: list[float] = []
    medians: list[float] = []
    began, end_s = False, time.perf_counter() + FIRST_FRAME_S
    least, at_last_s = 0 if arrives else LEAST_FRAMES, end_s
    while (now_s := time.perf_counter()) < end_s or (len(ids) < least and now_s < at_last_s):
        try:
            frame = source.read(WAIT_S)
        except NotAFrame as error:
            wrong[str(error)] = wrong.get(str(error), 0) + 1
            continue
        except EndOfSource:
            break
        if frame is None:
            continue
        if not began:
            began = True
            end_s = time.perf_counter() + (seconds if arrives else seconds / 10)
        fault = fault_of_frame(frame, info)
        if fault:
            wrong[fault] = wrong.get(fault, 0) + 1
            continue
        ids.append(frame.frame_id)
        times_s.append(time.perf_counter())
        medians.append(float(np.median(frame.fluorescence)))
    if not ids:
        told = "; ".join(f"{count} × {why}" for why, count in wrong.items())
        raise StreamTrialFailed(told or f"no frame came within {FIRST_FRAME_S:g} s")
    gone = ids[-1] - ids[0]
    return StreamTrial(
        info,
        arrives,
        len(ids),
        max(0, gone + 1 - len(set(ids))),
        _rate_hz(ids, times_s, arrives=arrives),
        wrong,
        info.polarity * (float(np.median(medians)) - info.dark_counts),
    )


def _rate_hz(ids: list[int], times_s: list[float], *, arrives: bool) -> float:
    """Ids a second; of a source that waits for nobody without moments in which we stood still."""
    if times_s[-1] <= times_s[0]:
        return float("nan")
    if arrives:
        return (ids[-1] - ids[0]) / (times_s[-1] - times_s[0])
    return float(np.median(np.diff(ids)) / np.median(np.diff(times_s)))
