"""Pre-flight of the stream: its rate, its ROI table, its dark level, tried on real frames."""

from collections.abc import Callable
from functools import cache

from bci.config.rig import DoorSource
from bci.config.session import Session
from bci.core.counted import counted
from bci.session.check import Check, Status, Trial
from bci.session.stream_trial import StreamTrial, StreamTrialFailed, try_stream

RATE_TOLERANCE = 0.02
ANY_PORT = "rig.source.port = 0 is another port in every session"
FIX_PORT = "set rig.source.port, and let the microscope program send to it"


def stream_trials(session: Session) -> list[Trial]:
    """The checks of the stream, which share one reading of it."""

    @cache
    def trial() -> StreamTrial | Check:
        return _try(session)

    return [
        Trial("stream", lambda: _of(trial(), "stream", stream_check)),
        Trial("rate", lambda: _of(trial(), "rate", rate_check)),
        Trial("dark level", lambda: _of(trial(), "dark level", dark_check)),
    ]


def _try(session: Session) -> StreamTrial | Check:
    source = session.rig.source
    if isinstance(source, DoorSource) and source.port == 0:
        return Check("stream", Status.WARN, f"not tried: {ANY_PORT}", FIX_PORT)
    try:
        return try_stream(source, peers=session.rig.insecure_peers)
    except StreamTrialFailed as error:
        todo = "see rig.source"
        if isinstance(source, DoorSource):
            todo = f"let the microscope program send to {source.host}:{source.port}"
        return Check("stream", Status.FAIL, str(error), todo)
    except (OSError, ValueError) as error:
        return Check("stream", Status.FAIL, str(error), "see rig.source")


def _of(found: StreamTrial | Check, name: str, judge: Callable[[StreamTrial], Check]) -> Check:
    if isinstance(found, StreamTrial):
        return judge(found)
    if name == found.name:
        return found
    return Check(name, found.status, "not measured, see stream")


def stream_check(trial: StreamTrial) -> Check:
    """ROIs, their order, frames lost and frames that a session would refuse."""
    info = trial.info
    message = (
        f"{info.source}: {counted(len(info.rois), 'ROI')}, {counted(info.n_planes, 'plane')}, "
        f"ROI hash {info.roi_hash:016x}, "
        f"{counted(trial.n_frames, 'frame')} read, {trial.lost} lost"
    )
    if trial.wrong:
        told = "; ".join(f"{count} × {why}" for why, count in trial.wrong.items())
        return Check("stream", Status.FAIL, f"{message}; {told}", "see rig.source and its table")
    if trial.lost:
        return Check(
            "stream", Status.WARN, message, "look at the network and the microscope's load"
        )
    return Check("stream", Status.OK, message)


def rate_check(trial: StreamTrial) -> Check:
    """The rate of frame_id against the one that the settings tell."""
    declared = trial.info.rate_hz
    if not trial.arrives:
        message = f"{declared:g} Hz; it could give {trial.rate_hz:,.0f} frames a second"
        if trial.rate_hz > declared:
            return Check("rate", Status.OK, message)
        return Check("rate", Status.FAIL, message, "too slow for its own rate: fewer ROIs")
    message = f"{trial.rate_hz:.2f} Hz measured, rig.source.rate_hz = {declared:g}"
    if abs(trial.rate_hz / declared - 1) <= RATE_TOLERANCE:
        return Check("rate", Status.OK, message)
    return Check("rate", Status.FAIL, message, "set rig.source.rate_hz to the rate over all planes")


def dark_check(trial: StreamTrial) -> Check:
    """The dark level, and whether there is light above it."""
    dark = trial.info.dark_counts
    message = f"{dark:g} counts; median F {trial.above_dark_counts:.0f} counts above it"
    if trial.above_dark_counts <= 0:
        todo = "open the shutter; measure the dark level anew with it closed"
        return Check("dark level", Status.FAIL, message, todo)
    if trial.arrives and dark == 0:
        todo = "measure it with the shutter closed and set rig.source.dark_counts"
        return Check("dark level", Status.WARN, f"never measured: {message}", todo)
    return Check("dark level", Status.OK, message)
