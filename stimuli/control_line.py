"""The stimulus process's two sockets to control: commands in, reports out."""

import logging
import time
from collections.abc import Mapping

from bci.core.stimulus_types import ScreenHello, ScreenReport
from bci.stimuli.command_inbox import CommandInbox
from bci.stream.access import Access
from bci.stream.commands import Arrival
from bci.stream.reports import ReportSender

_log = logging.getLogger("bci.stimulus")


class ControlLine:
    """Connects as soon as control is announced, and again where it moved.

    Parameters
    ----------
    hello
        First report on every connection; control answers with the current command.
    access
        Of the session.
    """

    def __init__(self, hello: ScreenHello, access: Access) -> None:
        self._hello = hello
        self._access = access
        self._endpoints: tuple[str, str] | None = None
        self._inbox: CommandInbox | None = None
        self._reports: ReportSender | None = None

    def follow(self, peers: Mapping[str, str]) -> bool:
        """Connect to `commands` and `flips` among `peers`; True where that is a new control."""
        if "commands" not in peers or "flips" not in peers:
            return False
        endpoints = (peers["commands"], peers["flips"])
        if endpoints == self._endpoints:
            return False
        self.close()
        self._endpoints = endpoints
        self._inbox = CommandInbox(endpoints[0], self._access)
        self._reports = ReportSender(endpoints[1], access=self._access)
        self._reports.send(self._hello)
        return True

    def take(self) -> list[Arrival]:
        """Commands that arrived since the last call; none where control is not there."""
        return self._inbox.take() if self._inbox is not None else []

    def wait(self, timeout_s: float) -> None:
        """Wait for a command at most this long."""
        if self._inbox is None:
            time.sleep(timeout_s)
        else:
            self._inbox.wait(timeout_s)

    def send(self, report: ScreenReport) -> None:
        """Tell control, without waiting; what a full queue drops is logged once."""
        if self._reports is None:
            return
        if not self._reports.send(report) and self._reports.dropped == 1:
            _log.warning("control does not read the screen's reports: dropping them")

    def close(self) -> None:
        """Give both sockets back; a second call does nothing."""
        if self._inbox is not None:
            self._inbox.close()
            self._inbox = None
        if self._reports is not None:
            self._reports.close()
            self._reports = None
