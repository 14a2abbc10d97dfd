"""How the session ended, and what it leaves."""

from bci.gui.step import Step


class EndStep(Step):
    """How the session ended, and what it leaves."""

    title = "End"
