"""The phase of the drifting grating."""

from bci.core.stimulus_types import ScreenKind, StimulusCommand


class DriftPhase:
    """Phase that runs on unbroken across turns, freezes and grey screens.

    It moves by the temporal frequency times the time between the pictures as they are seen, so that
    a missed flip makes one larger step and not a slower grating.
    """

    def __init__(self) -> None:
        self._phase_cycles = 0.0
        self._t_last_s: float | None = None

    def advance(self, command: StimulusCommand | None, t_s: float) -> float:
        """Phase of the picture that is seen at `t_s`.

        Parameters
        ----------
        command
            What the picture shows; only `grating` moves the phase.
        t_s
            When it is seen, s; must not run backwards.

        Returns
        -------
        float
            Cycles, in 0-1.
        """
        if (
            command is not None
            and command.screen is ScreenKind.GRATING
            and self._t_last_s is not None
        ):
            moved_cycles = command.temporal_freq_hz * (t_s - self._t_last_s)
            self._phase_cycles = (self._phase_cycles + moved_cycles) % 1.0
        self._t_last_s = t_s
        return self._phase_cycles
