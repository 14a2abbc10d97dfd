"""A screen without a screen: for lossless runs and for tests."""

import time
from collections import deque
from dataclasses import dataclass

from bci.config.rig import Screen
from bci.core.stimulus_types import ScreenHello, ScreenKind, StimulusCommand
from bci.stimuli.drift import DriftPhase

_LOGGED_PICTURES = 10_000


@dataclass(frozen=True)
class Picture:
    """What one flip would have shown.

    Parameters
    ----------
    command
        None before the first one.
    phase_cycles
        Phase of the grating, in 0-1.
    photodiode_white
        State of the photodiode patch.
    t_flip_ns
        `time.perf_counter_ns` of the flip.
    """

    command: StimulusCommand | None
    phase_cycles: float
    photodiode_white: bool
    t_flip_ns: int

    @property
    def screen(self) -> ScreenKind:
        """What the picture shows."""
        return ScreenKind.GREY if self.command is None else self.command.screen


class NullBackend:
    """Keeps the last pictures that would have been shown, in `pictures`.

    Parameters
    ----------
    screen
        Its size and refresh are told, as those of a real screen are.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._drift = DriftPhase()
        self._drawn: tuple[StimulusCommand | None, float] = (None, 0.0)
        self._command_id: int | None = None
        self._photodiode_white = False
        self.pictures: deque[Picture] = deque(maxlen=_LOGGED_PICTURES)
        self.blanks = False
        self.refresh_s = 1 / screen.refresh_hz

    def open(self) -> ScreenHello:
        """Say what would be drawn on."""
        return ScreenHello(
            backend="null",
            renderer="none",
            display="none",
            width_px=self._screen.width_px,
            height_px=self._screen.height_px,
            refresh_hz=self._screen.refresh_hz,
            blanks=self.blanks,
        )

    def draw(self, command: StimulusCommand | None, t_s: float) -> None:
        """Note the picture; see `StimulusBackend.draw`."""
        if command is not None and command.command_id != self._command_id:
            self._command_id = command.command_id
            self._photodiode_white = not self._photodiode_white
        self._drawn = (command, self._drift.advance(command, t_s))

    def flip(self) -> int:
        """Log the picture."""
        command, phase_cycles = self._drawn
        t_flip_ns = time.perf_counter_ns()
        self.pictures.append(Picture(command, phase_cycles, self._photodiode_white, t_flip_ns))
        return t_flip_ns

    def close(self) -> None:
        """Nothing to give back."""
