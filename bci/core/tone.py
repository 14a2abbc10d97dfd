"""The auditory cursor: the angle as the frequency of a tone."""

from bci.config.feedback import Feedback
from bci.core.decoding.angle import TARGET_DEG


class ToneRule:
    """Tone of an angle, exponential from one end of a range to the other.

    Parameters
    ----------
    settings
        `experiment.feedback`.

    References
    ----------
    HoloBMI (Athalye, Costa): 6–19 kHz, the target low.
    """

    def __init__(self, settings: Feedback) -> None:
        ends = settings.highest_hz, settings.lowest_hz
        self._start_hz, target_hz = ends if settings.target == "low" else ends[::-1]
        self._ratio = target_hz / self._start_hz

    def tone_hz(self, angle_deg: float) -> float:
        """Frequency in Hz; angle in 0–90°."""
        return float(self._start_hz * self._ratio ** (angle_deg / TARGET_DEG))
