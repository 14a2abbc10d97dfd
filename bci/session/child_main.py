"""One process of a session: its task, and what each does around its own work.

The supervisor runs this module, with the task as JSON in place of a command line: what reads
command lines takes a sixth of a second to import, in every process.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec

from bci.config.fault import SettingsError
from bci.config.session import Session
from bci.core.process import ProcessLink
from bci.program import OtherProgramError, check_parent
from bci.recording.folder import EDGES
from bci.recording.manifest import NoManifest, read_manifest
from bci.session.interrupts import on_interrupt
from bci.session.logs import log_to_stderr
from bci.session.threads import report_ended_threads
from bci.stream.access import TOKEN_VARIABLE
from bci.stream.priority import start_transport
from bci.stream.supervision import LocalLink, SupervisorLink

WRONG_INPUT = 2
"""Exit code of a process that was given what it cannot run with."""


ProcessName = Literal["acquisition", "control", "stimulus", "board"]


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a process of a session is to do.

    Parameters
    ----------
    name
        Which of the processes it is.
    folder
        Session folder to write to.
    supervisor
        Endpoint of the supervisor's hub; None: the process runs alone until Ctrl-C, which ends it
        in order.
    duration_s
        Control: end after so many seconds; None: never.
    epoch, first_frame_ns
        Acquisition: number of its start, and the time of frame 0 of an earlier one.
    port
        Board: port to listen on; 0: any free one.
    """

    name: ProcessName
    folder: str
    supervisor: str | None = None
    duration_s: float | None = None
    epoch: int = 0
    first_frame_ns: int | None = None
    port: int = 0


def _work(task: Task, session: Session, session_name: str) -> Callable[[ProcessLink], object]:
    """What the process does; each imports only what is its own."""
    folder = Path(task.folder)
    if task.name == "acquisition":
        from bci.hardware.imaging.process import run_acquisition

        return lambda link: run_acquisition(
            session, link, session_name, task.epoch, task.first_frame_ns
        )
    if task.name == "control":
        from bci.session.control import run_control

        return lambda link: run_control(session, link, folder, session_name, task.duration_s)
    if task.name == "stimulus":
        from bci.stimuli.process import run_stimulus

        return lambda link: run_stimulus(session, link)
    from bci.hardware.board.kinds import PROCESSES

    settings = session.rig.board
    run = PROCESSES[settings.kind]
    return lambda link: run(settings, link, folder / EDGES, task.port)


@contextmanager
def _link_to(task: Task, peers: Mapping[str, str], token: str) -> Iterator[ProcessLink]:
    if task.supervisor is None:
        alone = LocalLink(task.name, dict(peers), token=token)
        with on_interrupt(alone.interrupt):
            yield alone
        return
    link = SupervisorLink(task.supervisor, task.name, token)
    try:
        yield link
    finally:
        link.close()


def run_child(
    task: Task,
    session: Session,
    session_name: str,
    token: str,
    peers: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Do the work of one process; returns its exit code, or ends with it under a supervisor.

    Parameters
    ----------
    task
        Which process, and its own.
    session, session_name
        Resolved settings; the name as in the stream's description.
    token
        The session's.
    peers
        Where the others listen, for a process that runs alone.
    """
    code = _code_of(task, _work(task, session, session_name), peers, token)
    if task.supervisor is not None:
        # everything of ours is closed, and Python takes a second to take PsychoPy apart
        os._exit(code)
    return code


def _code_of(
    task: Task,
    work: Callable[[ProcessLink], object],
    peers: Mapping[str, str],
    token: str,
) -> int:
    priority = start_transport()
    listener = log_to_stderr(task.name)
    log = logging.getLogger(f"bci.{task.name}")
    log.info("transport: %s", priority)
    try:
        with _link_to(task, peers, token) as link, report_ended_threads(link.report):
            work(link)
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        known = type(error).__module__.partition(".")[0] == "bci"
        log.error("%s", error or type(error).__name__, exc_info=not known)
        return 1
    finally:
        listener.stop()
        sys.stderr.flush()
    return 0


def main() -> int:
    """Run the task that the supervisor gave; returns the exit code."""
    try:
        check_parent()
        task = msgspec.json.decode(sys.argv[1], type=Task)
        manifest = read_manifest(Path(task.folder))
        session = manifest.session_settings()
    except (OtherProgramError, NoManifest, SettingsError, msgspec.MsgspecError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_INPUT
    # taken out: what this process starts need not know it
    token = os.environ.pop(TOKEN_VARIABLE, "")
    return run_child(task, session, manifest.session, token)


if __name__ == "__main__":
    sys.exit(main())
