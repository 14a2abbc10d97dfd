"""Pre-flight as it goes on in a thread: what was found, what is being tried, what waits."""

import logging
from collections.abc import Sequence
from threading import Event

from bci.session.check import Check, Status, Trial

log = logging.getLogger("bci.gui")


class PreflightRun:
    """Makes one check after the other; may be read while it does.

    Parameters
    ----------
    trials
        The checks, in order.

    Attributes
    ----------
    names
        Of all checks, in order.
    found
        What came of those that are over, by name.
    current
        What is being tried; empty: nothing.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = tuple(trials)
        self._stopping = Event()
        self.names = tuple(trial.name for trial in trials)
        self.found: dict[str, Check] = {}
        self.current = ""

    def run(self) -> None:
        """Make every check; one that fails in a way of its own fails, and the next is made."""
        for trial in self._trials:
            if self._stopping.is_set():
                break
            self.current = trial.name
            try:
                self.found[trial.name] = trial.make()
            except Exception as error:
                log.exception("pre-flight: %s", trial.name)
                message = f"{type(error).__name__}: {error}"
                self.found[trial.name] = Check(trial.name, Status.FAIL, message, "see the log")
        self.current = ""

    def stop(self) -> None:
        """Make no further check; the one being made is finished."""
        self._stopping.set()

    @property
    def complete(self) -> bool:
        """True once every check was made, and none is being tried any more."""
        return not self.current and len(self.found) == len(self.names)

    @property
    def worst(self) -> Status:
        """Of what was found so far."""
        statuses = {check.status for check in self.checks}
        return next((each for each in (Status.FAIL, Status.WARN) if each in statuses), Status.OK)

    @property
    def checks(self) -> list[Check]:
        """What was found so far, in order."""
        found = dict(self.found)
        return [found[name] for name in self.names if name in found]


def stored_run(checks: Sequence[Check]) -> PreflightRun:
    """The pre-flight of a session that was started, as its manifest tells it."""
    run = PreflightRun([Trial(check.name, lambda check=check: check) for check in checks])  # type: ignore[misc]
    run.run()
    return run
