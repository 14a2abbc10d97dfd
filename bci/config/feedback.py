"""What the animal sees and hears of the read-out."""

from typing import Literal

from pydantic import PositiveFloat

from bci.config.model import Settings


class Feedback(Settings):
    """The read-out as a grating, as a tone, as both, or not at all."""

    kind: Literal["visual", "auditory", "both", "off"] = "visual"
    """auditory and off: the screen is grey in RUN; off: the task goes on without feedback."""
    lowest_hz: PositiveFloat = 6000.0
    """Lowest tone; from it to the highest the tone is exponential in the angle."""
    highest_hz: PositiveFloat = 19000.0
    target: Literal["low", "high"] = "low"
    """Tone of the target; the other end of the range is that of 0 degrees."""

    @property
    def has_tone(self) -> bool:
        """True if there is an auditory cursor."""
        return self.kind in ("auditory", "both")
