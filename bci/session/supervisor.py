"""The supervisor: starts the processes of a session, watches them, ends them together."""

import os
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from enum import StrEnum
from math import inf
from pathlib import Path

import msgspec

from bci.config.session import Session
from bci.core.messages import cut
from bci.core.process import ASKED_TO_STOP, FOLDER_LOST, ProcessEvent
from bci.hardware.board.kinds import PROCESSES
from bci.recording.folder import write_endpoints
from bci.session.child_main import ProcessName, Task
from bci.session.children import Child
from bci.session.interrupts import on_interrupt
from bci.session.logs import LogBook
from bci.stream.access import Access
from bci.stream.errors import StreamError
from bci.stream.hub import SupervisorHub
from bci.stream.operator import OperatorClient
from bci.stream.telemetry import Telemetry, TelemetrySubscriber

TURN_S = 0.05
END_S = 3.0
CONTROL_END_S = 9.0
"""Rewards under way, the board's farewell and the last of the journal each have their time."""
START_S = 60.0
STUCK_S = 5.0
HELD_UP_S = 1.0
"""A turn of ours that took longer: what the children told meanwhile is not heard yet."""
MAX_RESTARTS = 5
RESTARTS_WITHIN_S = 120.0
ASK_S = 0.5


class Phase(StrEnum):
    """Where a session stands, as its supervisor sees it."""

    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"


class Ending(msgspec.Struct, frozen=True):
    """How a session ended.

    Parameters
    ----------
    ok
        True where it ended as asked: task over, source ended, duration over, or stopped by hand.
    reason
        In words.
    telemetry
        Last snapshot of control; None where there was none.
    began
        True where everything was ready and frames were asked for.
    """

    ok: bool
    reason: str
    telemetry: Telemetry | None
    began: bool = True


class Supervisor:
    """Runs acquisition, control, stimulus and board as processes of their own.

    Control is never started again: without it the board shuts the valve, and the journal holds
    everything up to that moment. Stimulus, acquisition and a board that is ours are.

    Parameters
    ----------
    session
        Resolved settings, as in the manifest.
    folder
        Session folder, manifest written.
    name
        Name of the session.
    book
        The session's log.
    history
        Where the session's `HistoryServer` answers; it outlives the supervisor, as long as
        files are still written.
    access
        Of this session.
    duration_s
        Passed on to control.
    show
        Called with every snapshot of control.
    """

    def __init__(
        self,
        session: Session,
        folder: Path,
        name: str,
        book: LogBook,
        history: str,
        access: Access,
        duration_s: float | None = None,
        show: Callable[[Telemetry], None] = lambda _: None,
    ) -> None:
        self._session = session
        self._folder = folder
        self._name = name
        self._book = book
        self._history = history
        self._access = access
        self._duration_s = duration_s
        self._show = show
        self._phase = Phase.STARTING
        self._children: dict[ProcessName, Child] = {}
        self._restarts: defaultdict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=MAX_RESTARTS)
        )
        self._endpoints: dict[str, str] = {}
        self._operator: OperatorClient | None = None
        self._telemetry: TelemetrySubscriber | None = None
        self._newest: Telemetry | None = None
        self._untold: list[ProcessEvent] = []
        self._first_frame_ns: int | None = None
        self._epoch = 0
        self._kill_control_at = inf
        self._patient_until = 0.0
        self._stop_asked = threading.Event()
        self._folder_lost = ""
        self._began = False
        self._over = ""
        self._failure = ""

    def ask_to_stop(self) -> None:
        """Let the session end in order; returns at once."""
        self._stop_asked.set()

    @property
    def stop_asked(self) -> bool:
        """True once somebody wants the end before its time."""
        return self._stop_asked.is_set()

    def tell_own(self, kind: str, detail: str) -> None:
        """Log and journal a fact about this very process; may be called from any thread."""
        self._tell(ProcessEvent("supervisor", kind, os.getpid(), detail))

    def lose_folder(self, what: str) -> None:
        """Let the session end because its folder is gone; returns at once, from any thread."""
        self._folder_lost = what

    def run(self) -> Ending:
        """Run the session to its end; nothing of it is left running afterwards."""
        with on_interrupt(self.ask_to_stop), SupervisorHub(self._access) as hub:
            self._hub = hub
            hub.announce({"history": self._history})
            try:
                for name in self._names():
                    self._start(name)
                self._watch()
            finally:
                self._end_all()
                for socket in (self._operator, self._telemetry):
                    if socket is not None:
                        socket.close()
        return Ending(not self._failure, self._failure or self._reason(), self._newest, self._began)

    # -- the processes -------------------------------------------------------------------------

    def _names(self) -> tuple[ProcessName, ...]:
        kind = self._session.rig.board.kind
        virtual = kind == "simulated" and self._session.rig.stream.delivery == "lossless"
        # the screen takes longest to open
        return (
            "stimulus",
            *(("board",) if kind in PROCESSES and not virtual else ()),
            "acquisition",
            "control",
        )

    def _start(self, name: ProcessName) -> None:
        port = self._endpoints["board"].rpartition(":")[2] if "board" in self._endpoints else 0
        task = Task(
            name,
            str(self._folder),
            self._hub.endpoint,
            duration_s=self._duration_s,
            epoch=self._epoch,
            first_frame_ns=self._first_frame_ns,
            port=int(port),
        )
        child = self._children[name] = Child(task, self._book, self._access.token)
        self._tell(ProcessEvent(name, "started", child.pid))

    def _watch(self) -> None:
        started = turned = time.monotonic()
        while "control" in self._children:
            self._hub.wait_report(TURN_S)
            now = time.monotonic()
            if now - turned > HELD_UP_S:
                self._patient_until = now + STUCK_S
            turned = now
            self._hear()
            self._look_at_children()
            lost = "" if self._phase is Phase.ENDING else self._folder_lost
            if lost:
                self.tell_own(FOLDER_LOST, lost)
            self._pass_on()
            if lost:
                self._fail(lost)
            if self._stop_asked.is_set() and self._phase is not Phase.ENDING:
                self._begin_end("stop asked for")
            if self._phase is Phase.STARTING and time.monotonic() - started > START_S:
                self._fail(f"not ready within {START_S:g} s")

    def _look_at_children(self) -> None:
        for name, child in list(self._children.items()):
            if child.exit_code is not None:
                child.wait(1.0)
                self._bury(name, child)
            elif why := self._hangs(name, child):
                self._book.tell("ERROR", f"{name} ({child.pid}) {why}: killed")
                child.kill()

    def _hangs(self, name: str, child: Child) -> str:
        """Why a process that lives is to be killed; empty where it is well."""
        now = time.monotonic()
        ending = name == "control" and (self._phase is Phase.ENDING or bool(self._over))
        if ending or now < self._patient_until:
            return "did not end" if name == "control" and now > self._kill_control_at else ""
        known = self._hub.child(name)
        if known is None or known.pid != child.pid:
            return "did not start" if now - child.started_at > START_S else ""
        if known.silent_s() > STUCK_S:
            return f"has not been heard of for {STUCK_S:g} s"
        if known.turns and known.stuck_s() > STUCK_S:
            return f"has not turned for {STUCK_S:g} s"
        return ""

    def _bury(self, name: ProcessName, child: Child) -> None:
        """A process has ended: go on, start it again, or end the session."""
        del self._children[name]
        self._hear()
        self._hub.forget(name)
        why = child.why()
        in_order = bool(self._over) if name == "control" else self._phase is Phase.ENDING
        if child.exit_code == 0 and in_order:
            self._tell(ProcessEvent(name, "ended", child.pid))
            return
        self._tell(ProcessEvent(name, "died", child.pid, why))
        if name == "control":
            # exit code 1: it said itself what keeps the session from going on
            said = child.last_error if child.exit_code == 1 else ""
            self._failure = self._failure or said or f"control died ({why})"
            return
        if self._phase is Phase.ENDING:
            return
        if self._phase is Phase.STARTING:
            self._fail(f"{name} did not start ({why})")
        elif name == "acquisition" and self._session.rig.stream.delivery == "lossless":
            self._fail(f"acquisition died, and a lossless run cannot go on ({why})")
        elif self._dies_too_often(name):
            self._fail(
                f"{name} died {MAX_RESTARTS + 1} times within {RESTARTS_WITHIN_S:g} s ({why})"
            )
        else:
            self._restarts[name].append(time.monotonic())
            self._epoch += name == "acquisition"
            self._book.tell("WARNING", f"{name} died ({why}), started again")
            self._start(name)
            self._tell(ProcessEvent(name, "restarted", self._children[name].pid))

    def _dies_too_often(self, name: str) -> bool:
        restarts = self._restarts[name]
        full = len(restarts) == MAX_RESTARTS
        return full and time.monotonic() - restarts[0] < RESTARTS_WITHIN_S

    def _fail(self, failure: str) -> None:
        self._failure = self._failure or failure
        self._book.tell("ERROR", failure)
        self._begin_end(failure)

    def _begin_end(self, why: str) -> None:
        """Ask control to end; the others follow when it has."""
        if self._phase is Phase.ENDING:
            return
        self._phase = Phase.ENDING
        self._book.tell("INFO", f"ending: {why}")
        self._hub.stop("control")
        self._kill_control_at = time.monotonic() + CONTROL_END_S

    def _end_all(self) -> None:
        self._phase = Phase.ENDING
        for name in self._children:
            self._hub.stop(name)
        deadline = time.monotonic() + END_S
        for name, child in self._children.items():
            if not child.wait(max(0.0, deadline - time.monotonic())):
                self._book.tell("WARNING", f"{name} ({child.pid}) did not end: killed")
                child.kill()
            self._book.tell("INFO", f"{name}: {child.why()}")
        self._children.clear()
        self._hear()

    # -- what they say -------------------------------------------------------------------------

    def _hear(self) -> None:
        """Take in what the children told since the last turn."""
        for report in self._hub.take_reports():
            if report.kind in ("hello", "announced"):
                continue
            if report.kind == "first_frame":
                self._first_frame_ns = self._first_frame_ns or int(report.detail)
            if report.name == "control" and report.kind == "ready":
                self._began = True
                self._phase = Phase.RUNNING if self._phase is Phase.STARTING else self._phase
            if report.name == "control" and report.kind == "over":
                self._hear_over(report.detail)
            self._tell(ProcessEvent(report.name, report.kind, report.pid, report.detail))
        endpoints = self._hub.endpoints()
        if endpoints and endpoints != self._endpoints:
            self._endpoints = self._endpoints | endpoints
            try:
                write_endpoints(self._folder, endpoints, self._access.token)
            except OSError as error:
                self._book.tell("ERROR", f"endpoints.json not written: {error}")
            if self._operator is None and "operator" in endpoints:
                self._operator = OperatorClient(endpoints["operator"], self._access)
                self._telemetry = TelemetrySubscriber(endpoints["telemetry"], self._access)

    def _hear_over(self, reason: str) -> None:
        """Control says that the session is over and why; what is left to it has its time."""
        self._over = reason
        self._kill_control_at = min(self._kill_control_at, time.monotonic() + CONTROL_END_S)
        if reason == ASKED_TO_STOP and self._phase is not Phase.ENDING:
            self._failure = "control did not hear from the supervisor and ended by itself"

    def _tell(self, event: ProcessEvent) -> None:
        """Log an event; control journals it as soon as it answers."""
        event = msgspec.structs.replace(event, detail=cut(event.detail))
        self._book.tell("INFO", f"{event.name} ({event.pid}) {event.kind} {event.detail}".strip())
        self._untold.append(event)

    def _pass_on(self) -> None:
        """Hand events to control, and its snapshot to whoever watches."""
        if self._telemetry is not None:
            telemetry = self._telemetry.receive()
            if telemetry is not None:
                self._newest = telemetry
                self._show(telemetry)
        over = bool(self._over) or (self._newest is not None and self._newest.state == "DONE")
        gone = over or "control" not in self._children
        if self._operator is None or self._phase is not Phase.RUNNING or gone:
            return
        try:
            while self._untold:
                # asked once: where the answer is late, the event has been handed over all the same
                self._operator.ask(self._untold.pop(0), timeout_s=ASK_S)
        except StreamError as error:
            self._book.tell("WARNING", f"control does not take events: {error}")

    def _reason(self) -> str:
        if self._over != ASKED_TO_STOP:
            return self._over
        return "stopped by hand" if self._began else "stopped by hand before the start"
