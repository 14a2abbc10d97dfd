"""How a process of ours meets its supervisor."""

from typing import Protocol

import msgspec

from bci.core.messages import Count, Label, Text

ASKED_TO_STOP = "asked to stop"
"""Reason of an end that the supervisor, or its silence, asked for."""
THREAD_ENDED = "thread_ended"
"""Kind of the event that a thread of a process was ended by an error."""
FOLDER_LOST = "folder_lost"
"""Kind of the event that another program removed or moved the session's folder."""


class ProcessEvent(msgspec.Struct, frozen=True, tag="process"):
    """Something the supervisor did or saw.

    Parameters
    ----------
    name
        Name of the process.
    kind
        started, ready, died, restarted, failed, ended or a fact that the process itself told.
    pid
        Its process id.
    detail
        In words.
    """

    name: Label
    kind: Label
    pid: Count
    detail: Text = ""


class ProcessLink(Protocol):
    """The line to the supervisor, as a child process sees it."""

    @property
    def name(self) -> str:
        """Name of the process: acquisition, control, stimulus or board."""
        ...

    @property
    def token(self) -> str:
        """What the processes of this session show each other when they connect."""
        ...

    def turn(self) -> None:
        """Count one turn of the main loop; the supervisor ends a process that hangs."""
        ...

    def announce(self, endpoints: dict[str, str]) -> None:
        """Tell the supervisor what we bound; keys add to those announced before."""
        ...

    def peers(self) -> dict[str, str]:
        """Endpoints that the other processes announced, newest first-hand."""
        ...

    def stop_requested(self) -> bool:
        """True once we should end: asked to, or the supervisor is gone."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Sleep, at most this long; return early when a stop or new peers arrive."""
        ...

    def report(self, kind: str, detail: str = "") -> None:
        """Tell a fact (ready, first_frame, ended, ...) that the supervisor logs and journals."""
        ...
