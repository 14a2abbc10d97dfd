"""PMT gate and light of one frame: the light is never up unless the gate is."""

from bci.hardware.board.codes import SetKey

FASTEST = 1.2
"""Frame TTLs faster than this multiple of the nominal rate are not obeyed."""


class GateTimer:
    """Levels of gate and light after a frame TTL.

    ```
    TTL  ▏
    gate ▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▁▁▁▁   0 … gate_us
    light▁▁▔▔▔▔▔▔▔▔▔▔▔▁▁▁▁▁▁▁   light_start_us … light_start_us + light_us
    ```

    Attributes
    ----------
    gate, light
        Levels now.
    """

    def __init__(self) -> None:
        self.gate = 0
        self.light = 0
        self._enabled = False
        self._light_allowed = False
        self._t_frame_us: int | None = None
        self._edges_us: list[tuple[int, str, int]] = []
        self._values = {
            SetKey.FRAME_PERIOD_US: 32_342,
            SetKey.GATE_US: 7_000,
            SetKey.LIGHT_START_US: 500,
            SetKey.LIGHT_US: 6_000,
        }

    @property
    def next_edge_us(self) -> int | None:
        """Time of the next change; None: none is due."""
        return self._edges_us[0][0] if self._edges_us else None

    def set(self, key: SetKey, value: int) -> None:
        """Change a time; of effect from the next frame."""
        if key in self._values:
            self._values[key] = value

    def enable(self, on: bool) -> None:
        """Gate on every frame TTL, or not at all."""
        self._enabled = on
        if not on:
            self._lower()

    def allow_light(self, on: bool) -> None:
        """Light within the gate from the next frame, or none from now."""
        self._light_allowed = on
        if not on:
            self.light = 0
            self._edges_us = [edge for edge in self._edges_us if edge[1] == "gate"]

    def off(self) -> None:
        """Safe state: both low, light forbidden, gate off."""
        self._enabled = self._light_allowed = False
        self._t_frame_us = None
        self._lower()

    def frame(self, t_us: int) -> None:
        """A frame TTL."""
        previous_us, self._t_frame_us = self._t_frame_us, t_us
        self._lower()
        period_us = self._values[SetKey.FRAME_PERIOD_US]
        too_fast = previous_us is not None and (t_us - previous_us) * FASTEST < period_us
        if not self._enabled or too_fast:
            return
        gate_us = self._values[SetKey.GATE_US]
        self.gate = 1
        start_us = self._values[SetKey.LIGHT_START_US]
        stop_us = min(start_us + self._values[SetKey.LIGHT_US], gate_us)
        if self._light_allowed and start_us < stop_us:
            self._edges_us = [(t_us + start_us, "light", 1), (t_us + stop_us, "light", 0)]
        self._edges_us.append((t_us + gate_us, "gate", 0))

    def advance(self, t_us: int) -> None:
        """Do every edge that is due."""
        while self._edges_us and self._edges_us[0][0] <= t_us:
            _, line, level = self._edges_us.pop(0)
            if line == "light":
                self.light = level
            else:
                self.gate = level

    def _lower(self) -> None:
        self.gate = self.light = 0
        self._edges_us.clear()
