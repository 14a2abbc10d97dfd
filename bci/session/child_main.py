"""What every process of a session does around its own work: log, link, exit code."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from bci.core.process import ProcessLink
from bci.session.interrupts import on_interrupt
from bci.session.logs import log_to_stderr
from bci.session.threads import report_ended_threads
from bci.stream.priority import start_transport
from bci.stream.supervision import LocalLink, SupervisorLink


@contextmanager
def _link_to(
    supervisor: str | None, name: str, peers: Mapping[str, str], token: str
) -> Iterator[ProcessLink]:
    if supervisor is None:
        alone = LocalLink(name, dict(peers), token=token)
        with on_interrupt(alone.interrupt):
            yield alone
        return
    link = SupervisorLink(supervisor, name, token)
    try:
        yield link
    finally:
        link.close()


def run_child(
    name: str,
    supervisor: str | None,
    work: Callable[[ProcessLink], object],
    token: str,
    peers: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Do the work of one process; returns its exit code, or ends with it under a supervisor.

    Parameters
    ----------
    name
        acquisition, control, stimulus or board.
    supervisor
        Endpoint of the supervisor's hub; None: the process runs alone until Ctrl-C, which ends it
        in order.
    work
        Gets the line to the supervisor.
    token
        Of the session.
    peers
        Where the others listen, for a process that runs alone.
    """
    code = _code_of(name, supervisor, work, peers, token)
    if supervisor is not None:
        # everything of ours is closed, and Python takes a second to take PsychoPy apart
        os._exit(code)
    return code


def _code_of(
    name: str,
    supervisor: str | None,
    work: Callable[[ProcessLink], object],
    peers: Mapping[str, str],
    token: str,
) -> int:
    priority = start_transport()
    listener = log_to_stderr(name)
    log = logging.getLogger(f"bci.{name}")
    log.info("transport: %s", priority)
    try:
        with _link_to(supervisor, name, peers, token) as link, report_ended_threads(link.report):
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
