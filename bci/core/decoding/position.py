"""The angle as a position: it follows the read-out at every frame."""

from math import nan

from bci.core.decoding.angle import angle_of


class Position:
    """0° at lo, the target at T.

    Parameters
    ----------
    continuous
        False: 7 angles in steps of 15°.

    References
    ----------
    Francioni et al. 2026.
    """

    def __init__(self, *, continuous: bool) -> None:
        self._continuous = continuous
        self.angle_deg = nan

    def update(self, s3: float, t: float, lo: float, *, running: bool) -> bool:
        """Take in one decoded frame; True where s3 ≥ T."""
        del running
        self.angle_deg = angle_of(s3, t, lo, continuous=self._continuous)
        return s3 >= t
