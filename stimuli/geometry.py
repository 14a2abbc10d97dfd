"""From degrees of visual angle to pixels of a flat screen."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ScreenGeometry:
    """A flat screen before an eye that looks at its centre.

    Parameters
    ----------
    width_px, height_px
        Size of the window.
    width_cm
        Width of the window on the desk.
    distance_cm
        From the eye to the centre of the screen.
    """

    width_px: int
    height_px: int
    width_cm: float
    distance_cm: float

    @property
    def px_per_cm(self) -> float:
        """Pixels a centimetre."""
        return self.width_px / self.width_cm

    @property
    def px_per_deg(self) -> float:
        """Pixels a degree at the centre of the screen; further out a degree takes more of them."""
        return self.distance_cm * math.radians(1) * self.px_per_cm

    def position_px(self, position_deg: tuple[float, float]) -> tuple[float, float]:
        """Point seen `position_deg` right of and above the centre, pixels right and up of it."""
        x, y = (math.tan(math.radians(deg)) * self.distance_cm for deg in position_deg)
        return x * self.px_per_cm, y * self.px_per_cm

    def diameter_px(self, diameter_deg: float) -> float:
        """Diameter of a disc at the centre of the screen that subtends `diameter_deg`."""
        return 2 * self.distance_cm * math.tan(math.radians(diameter_deg / 2)) * self.px_per_cm

    def cycles_per_px(
        self, spatial_freq: float, unit: Literal["cycles_per_screen", "cycles_per_deg"]
    ) -> float:
        """Spatial frequency on the screen; cycles per degree hold at its centre."""
        if unit == "cycles_per_screen":
            return spatial_freq / self.width_px
        return spatial_freq / self.px_per_deg

    def covering_px(self, centre_px: tuple[float, float]) -> float:
        """Side of a square around `centre_px` that covers the screen however it is turned."""
        x, y = (abs(value) for value in centre_px)
        return 2 * math.hypot(self.width_px / 2 + x, self.height_px / 2 + y)
