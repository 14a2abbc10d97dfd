"""What draws the screen: the contract of every backend."""

from typing import Protocol

from bci.core.stimulus_types import ScreenHello, StimulusCommand


class ScreenError(RuntimeError):
    """The screen cannot be opened, or is gone; the text says why and what to do."""


class StimulusBackend(Protocol):
    """A screen: PsychoPy's window, or the log that stands for one.

    One picture is `draw` then `flip`. The stimulus process owns time: it says when the picture will
    be seen, and the backend moves the drift to there.
    """

    @property
    def blanks(self) -> bool:
        """True where `flip` returns at the blank of a screen; known after `open`."""
        ...

    @property
    def refresh_s(self) -> float:
        """Time between two blanks, measured where the screen blanks, s; known after `open`."""
        ...

    def open(self) -> ScreenHello:
        """Open the screen and say what it is.

        Raises
        ------
        ScreenError
            Where it cannot be opened.
        """
        ...

    def draw(self, command: StimulusCommand | None, t_s: float) -> None:
        """Draw the complete screen.

        Parameters
        ----------
        command
            State of the screen; None, before the first command, is a grey screen.
        t_s
            When this picture will be seen, s on the clock of `time.perf_counter`.
        """
        ...

    def flip(self) -> int:
        """Show what was drawn; `time.perf_counter_ns` at its return."""
        ...

    def close(self) -> None:
        """Give the screen back; a second call does nothing."""
        ...
