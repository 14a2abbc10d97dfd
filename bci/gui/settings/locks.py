"""What may be changed when: a session that runs has its settings, for good."""

from enum import StrEnum


class Use(StrEnum):
    """What the settings on the form are for."""

    NEXT = "next"
    RUNNING = "running"
    RECORDED = "recorded"


REASONS = {
    Use.NEXT: "",
    Use.RUNNING: "the session runs with these settings: they are in its manifest, and every "
    "decision follows from them. They can be changed when it is over.",
    Use.RECORDED: "this is what a recorded session was run with. Save it under a new name to go "
    "on from it.",
}
"""Why nothing can be changed; empty: everything can."""
