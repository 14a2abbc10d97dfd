"""Whose keyboard it is: the animal's screen takes it when it opens."""

from time import monotonic

from PyQt6.QtWidgets import QWidget

TRY_S = 3.0
"""A screen may take it some time after it told that it is open."""


class Keyboard:
    """Takes the keyboard back for the operator's window.

    Parameters
    ----------
    window
        The window.
    """

    def __init__(self, window: QWidget) -> None:
        self._window = window
        self._until_s = 0.0

    def take(self) -> None:
        """A screen of the animal has just opened, or closed."""
        self._until_s = monotonic() + TRY_S

    def refresh(self) -> None:
        """Ask again for as long as it may be elsewhere: an X server refuses who asks too early."""
        if monotonic() < self._until_s and not self._window.isActiveWindow():
            self._window.activateWindow()
