"""The closed loop as it runs."""

from bci.gui.step import Step


class SessionStep(Step):
    """The closed loop as it runs."""

    title = "Session"
