"""Whether light of the animal's screen reaches the PMT: black against white, by turns."""

import time
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from bci.config.session import Session
from bci.core.frame_header import NotAFrame
from bci.core.source import EndOfSource, FrameSource
from bci.core.stimulus_types import ScreenKind, StimulusCommand
from bci.hardware.imaging.open import open_source
from bci.session.screen_trial import OpenScreen, open_screen
from bci.session.stream_trial import WAIT_S, StreamTrialFailed, fault_of_frame

TURNS = 4
TURN_S = 0.75
SETTLE_S = 0.25
DEVIATIONS = 4.0
SMALL_FRACTION = 0.002
"""A leak below this part of the fluorescence matters to nobody."""
SPOT_DEG = 0.1


class LightLeak(msgspec.Struct, frozen=True):
    """Fluorescence with a white screen over that with a black one.

    Parameters
    ----------
    difference_counts, error_counts
        Mean over the pairs of turns, and its standard error.
    level_counts
        Fluorescence with a black screen, above dark.
    n_frames
        Frames that were read.
    """

    difference_counts: float
    error_counts: float
    level_counts: float
    n_frames: int

    @property
    def fraction(self) -> float:
        """Difference as a part of the level; NaN where there is none."""
        return self.difference_counts / self.level_counts if self.level_counts else float("nan")

    @property
    def found(self) -> bool:
        """True where the difference is none of chance and large enough to matter."""
        return abs(self.difference_counts) > DEVIATIONS * self.error_counts and abs(
            self.difference_counts
        ) > SMALL_FRACTION * abs(self.level_counts)


def try_light_leak(session: Session) -> LightLeak:
    """Show black and white by turns in a real window while frames come in.

    For a source whose frames arrive from a microscope; another one sees no screen.

    Raises
    ------
    StreamTrialFailed
        Where too few frames came.
    bci.session.screen_trial.ScreenTrialFailed
        Where the screen does not open.
    """
    source = open_source(session.rig.source, session.rig.insecure_peers)
    try:
        with open_screen(_white_behind(session)) as screen:
            return measure_leak(source, lambda white: _show(screen, white))
    finally:
        source.close()


def measure_leak(source: FrameSource, show: Callable[[bool], None]) -> LightLeak:
    """Read the source while the screen is black and white by turns.

    Parameters
    ----------
    source
        Frames that arrive by themselves.
    show
        Makes the screen white (True) or black.
    """
    medians: dict[bool, list[float]] = {False: [], True: []}
    n_frames = 0
    for turn in range(2 * TURNS):
        white = turn % 2 == 1
        show(white)
        _read(source, SETTLE_S)
        values = _read(source, TURN_S)
        n_frames += len(values)
        if values:
            medians[white].append(float(np.mean(values)))
    return leak_of(medians[False], medians[True], source.info.dark_counts, n_frames)


def leak_of(black: ArrayLike, white: ArrayLike, dark_counts: float, n_frames: int = 0) -> LightLeak:
    """Compare turns in pairs, so that a slow drift of the fluorescence does not count.

    Parameters
    ----------
    black, white
        Mean fluorescence of each turn, counts, shape (turns,).
    dark_counts
        Of the digitiser.
    n_frames
        That they come from.

    Raises
    ------
    StreamTrialFailed
        Where there are fewer than two pairs.
    """
    dark, bright = np.asarray(black, float), np.asarray(white, float)
    if len(dark) != len(bright) or len(dark) < 2:
        raise StreamTrialFailed("too few frames came while the screen was black and white")
    # each white turn against the mean of the black ones around it
    around = dark.copy()
    around[:-1] = (dark[:-1] + dark[1:]) / 2
    pairs = bright - around
    error = float(np.std(pairs, ddof=1) / np.sqrt(len(pairs)))
    return LightLeak(float(pairs.mean()), error, float(dark.mean() - dark_counts), n_frames)


def _read(source: FrameSource, seconds: float) -> list[float]:
    """Median over the ROIs of each good frame that comes within a time."""
    values = []
    end_s = time.perf_counter() + seconds
    while (left_s := end_s - time.perf_counter()) > 0:
        try:
            frame = source.read(min(left_s, WAIT_S))
        except NotAFrame:
            continue
        except EndOfSource as error:
            raise StreamTrialFailed("the microscope program ended its stream") from error
        if frame is not None and not fault_of_frame(frame, source.info):
            values.append(float(np.median(frame.fluorescence)))
    return values


def _white_behind(session: Session) -> Session:
    """The session with a white background, and a grating too small to be seen on it."""
    screen = session.rig.screen.model_copy(update={"background": 1.0})
    stimulus = session.experiment.stimulus.model_copy(
        update={"mask": "circle", "circle_diameter_deg": SPOT_DEG}
    )
    return session.model_copy(
        update={
            "rig": session.rig.model_copy(update={"screen": screen}),
            "experiment": session.experiment.model_copy(update={"stimulus": stimulus}),
        }
    )


def _show(screen: OpenScreen, white: bool) -> None:
    kind = ScreenKind.GRATING if white else ScreenKind.BLACK
    command = StimulusCommand(screen.next_id(), -1, kind, 0.0, 0.0, 0.0)
    screen.show(command)
