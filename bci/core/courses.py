"""Courses of the grating that no neuron has a part in."""

from bisect import bisect_right
from typing import Protocol

import numpy as np

from bci.config.session_type import Course as CourseSettings
from bci.core.decoding.angle import TARGET_DEG
from bci.core.loop_types import PlaybackSet, PlayedTrial

STEP_DEG = 15.0
PLACES_AT_ONCE = 64


class Course(Protocol):
    """Angle of the grating in RUN, from the trial's number and frame time alone."""

    def at(self, trial: int, run_s: float) -> tuple[float, bool]:
        """Angle in degrees, and whether the trial ends here in a hit.

        Parameters
        ----------
        trial
            From 1.
        run_s
            Frame time since the first frame of RUN, seconds.
        """
        ...

    def pays_after_s(self, trial: int) -> float | None:
        """Time from the hit of a trial to its reward, seconds; None: there is none."""
        ...

    def is_last(self, trial: int) -> bool:
        """True where the course knows no trial after this one."""
        ...


class Angles(Protocol):
    """Angles of the grating from one trial to the next, without an end."""

    def angle_deg(self, trial: int, run_s: float) -> float:
        """Angle in degrees; trial and time as in `Course.at`."""
        ...


class SeededWalk:
    """From 0° up or down by 15° with equal chance, never below 0°, until the target.

    Every trial has a walk of its own, which depends on the seed and on the trial's number alone.

    Parameters
    ----------
    settings
        `step_s` and `seed`.
    """

    def __init__(self, settings: CourseSettings) -> None:
        self._step_s = settings.step_s
        self._seed = settings.seed
        self._begin(0)

    def angle_deg(self, trial: int, run_s: float) -> float:
        """See `Angles.angle_deg`."""
        if trial != self._trial:
            self._begin(trial)
        place = int(run_s / self._step_s)
        angles_deg = self._angles_deg
        while place >= len(angles_deg) and angles_deg[-1] < TARGET_DEG:
            self._walk_on()
        return angles_deg[min(place, len(angles_deg) - 1)]

    def _begin(self, trial: int) -> None:
        self._trial = trial
        self._rng = np.random.default_rng((self._seed, trial))
        self._angles_deg = [0.0]

    def _walk_on(self) -> None:
        angle_deg = self._angles_deg[-1]
        for up in self._rng.integers(0, 2, PLACES_AT_ONCE).tolist():
            angle_deg = abs(angle_deg + (STEP_DEG if up else -STEP_DEG))
            self._angles_deg.append(angle_deg)
            if angle_deg >= TARGET_DEG:
                return


class DeclaredAngles:
    """Angles from the settings, one after another and again from the first; anew in every trial.

    Parameters
    ----------
    settings
        `angles_deg` and `step_s`.
    """

    def __init__(self, settings: CourseSettings) -> None:
        self._angles_deg = settings.angles_deg
        self._step_s = settings.step_s

    def angle_deg(self, trial: int, run_s: float) -> float:
        """See `Angles.angle_deg`."""
        del trial
        return self._angles_deg[int(run_s / self._step_s) % len(self._angles_deg)]


class EndlessCourse:
    """Made-up angles; the target is a hit, and every hit pays the same.

    Parameters
    ----------
    angles
        Where the grating stands.
    reward_delay_s
        From the hit to the reward, seconds; None: none is paid.
    """

    def __init__(self, angles: Angles, reward_delay_s: float | None) -> None:
        self._angles = angles
        self._reward_delay_s = reward_delay_s

    def at(self, trial: int, run_s: float) -> tuple[float, bool]:
        """See `Course.at`."""
        angle_deg = self._angles.angle_deg(trial, run_s)
        return angle_deg, angle_deg >= TARGET_DEG

    def pays_after_s(self, trial: int) -> float | None:
        """See `Course.pays_after_s`."""
        del trial
        return self._reward_delay_s

    def is_last(self, trial: int) -> bool:
        """It has no last trial."""
        del trial
        return False


class Playback:
    """Angles, hits and rewards of a recorded session, trial by trial.

    Times are frame times of each session, so that the rates of the two need not be the same. A
    trial beyond the last is the last once more.

    Parameters
    ----------
    recorded
        What the recorded session showed and paid; one trial or more.
    """

    def __init__(self, recorded: PlaybackSet) -> None:
        self._trials = recorded.trials

    def at(self, trial: int, run_s: float) -> tuple[float, bool]:
        """See `Course.at`."""
        played = self._played(trial)
        if run_s >= played.time_to_hit_s:
            return TARGET_DEG, True
        return played.angles_deg[max(0, bisect_right(played.times_s, run_s) - 1)], False

    def pays_after_s(self, trial: int) -> float | None:
        """See `Course.pays_after_s`."""
        return self._played(trial).reward_delay_s

    def is_last(self, trial: int) -> bool:
        """True for the last recorded trial."""
        return trial >= len(self._trials)

    def _played(self, trial: int) -> PlayedTrial:
        return self._trials[min(trial, len(self._trials)) - 1]


def make_course(settings: CourseSettings, reward_delay_s: float | None) -> EndlessCourse:
    """The declared angles, or a seeded walk where none are declared."""
    angles = DeclaredAngles(settings) if settings.angles_deg else SeededWalk(settings)
    return EndlessCourse(angles, reward_delay_s)
