"""The angle as an integral: the read-out is its velocity."""

from math import nan

from bci.core.decoding.angle import TARGET_DEG, angle_of


class Velocity:
    """Turns from 0° at the start of RUN to the target at `clip((s3 − lo) / (T − lo))` of a speed.

    It never turns back within a trial. A lost frame does not turn it: nothing is made up.

    Parameters
    ----------
    step_deg
        Turn of one decoded frame at s3 ≥ T, degrees.
    continuous
        False: shown in steps of 15°.

    References
    ----------
    Daie (Allen Institute for Neural Dynamics): one cell drives a velocity.
    """

    def __init__(self, step_deg: float, *, continuous: bool) -> None:
        self._step_deg = step_deg
        self._continuous = continuous
        self._turned_deg = 0.0
        self.angle_deg = nan

    def update(self, s3: float, t: float, lo: float, *, running: bool) -> bool:
        """Take in one decoded frame; True where the target has been reached."""
        speed = angle_of(s3, t, lo, continuous=True) / TARGET_DEG
        if not running:
            self._turned_deg = 0.0
        elif speed == speed:
            self._turned_deg = min(self._turned_deg + speed * self._step_deg, TARGET_DEG)
        turned_deg = self._turned_deg if speed == speed else nan
        self.angle_deg = angle_of(turned_deg, TARGET_DEG, 0.0, continuous=self._continuous)
        return running and turned_deg >= TARGET_DEG
