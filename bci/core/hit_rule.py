"""When a frame is a hit: cursor at its target, guards hold, armed again since the last hit."""

from collections.abc import Sequence

from bci.config.experiment import Experiment
from bci.core.decoding.parts import Layout
from bci.core.decoding.registry import CURSORS
from bci.core.guards import GuardRule


class HitRule:
    """Cursor, guards and re-arm; live and prediction of chance use this one object.

    Parameters
    ----------
    experiment
        Its decoder and guards.
    layout
        Of the decoder.

    Attributes
    ----------
    guards
        What a hit needs besides the cursor.
    armed
        False from a hit until s3 has come back far enough for long enough.
    """

    def __init__(self, experiment: Experiment, layout: Layout) -> None:
        self.guards = GuardRule(experiment.guards, layout.n_plus)
        self._cursor = CURSORS[experiment.decoder.control](experiment.decoder, layout)
        self._rearms = experiment.guards.rearm_fraction is not None
        self._rearm_fraction = experiment.guards.rearm_fraction or 0.0
        self._rearm_frames = experiment.guards.rearm_frames
        self._n_back = 0
        self.armed = True

    @property
    def angle_deg(self) -> float:
        """Angle of the cursor, 0–90; NaN while T and lo are unknown."""
        return self._cursor.angle_deg

    def update(
        self, s3: float, signal: Sequence[float], t: float, lo: float, *, running: bool
    ) -> bool:
        """Take in one decoded frame; True where it may end a trial in a hit.

        Parameters
        ----------
        s3
            Read-out.
        signal
            Smoothed signal of P+ and then P−; not looked at where no guard is set.
        t, lo
            Threshold and lower end, in the unit of s3.
        running
            True where RUN was entered by an earlier frame and has not ended.
        """
        at_target = self._cursor.update(s3, t, lo, running=running)
        if not self.armed:
            self._n_back = self._n_back + 1 if s3 <= self._rearm_fraction * t else 0
            self.armed = self._n_back >= self._rearm_frames
        if not (at_target and self.armed):
            return False
        return not self.guards.needs_signal or self.guards.hold(signal)

    def disarm(self) -> None:
        """Ask for a return before the next hit: this frame was one."""
        if self._rearms:
            self.armed = False
            self._n_back = 0
