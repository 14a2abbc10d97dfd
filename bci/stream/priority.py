"""The threads that carry frames and commands go before those that draw, write and simulate."""

import os
import sys
import threading
from enum import IntEnum

import psutil
import zmq

NICE = {1: -10, 2: -15}


class Urgency(IntEnum):
    """Who goes before whom on a busy core."""

    USUAL = 0
    LOOP = 1
    TRANSPORT = 2
    """ZeroMQ's own thread: it runs for microseconds, and everything waits for it."""


def hurry(urgency: Urgency) -> str:
    """Let this thread, and those it starts from now on, be scheduled as soon as they can run.

    On Linux a real-time priority of the thread, else its nice value; both need a right that root
    has, or whoever limits.conf gives `rtprio` or `nice`. On Windows the priority class of the
    process. Without the right everything works, with a longer tail on a busy computer.

    Returns
    -------
    str
        What was done, in words.
    """
    if sys.platform == "win32":
        if urgency:
            psutil.Process().nice(psutil.HIGH_PRIORITY_CLASS)
        return "high priority class"
    if sys.platform != "linux":
        return "usual priority: not known how to raise it on this system"
    try:
        policy = os.SCHED_RR if urgency else os.SCHED_OTHER
        os.sched_setscheduler(0, policy, os.sched_param(int(urgency)))
        return f"real-time priority {int(urgency)}"
    except PermissionError:
        pass
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE.get(urgency, 0))
        return f"nice {NICE.get(urgency, 0)}"
    except PermissionError:
        return "usual priority: no right to raise it"


def start_transport(context: zmq.Context[zmq.Socket[bytes]] | None = None) -> str:
    """Start the threads of a ZeroMQ context, hurried; call it before the first socket.

    Parameters
    ----------
    context
        None: the one of this process.
    """
    done = hurry(Urgency.TRANSPORT)
    (context or zmq.Context.instance()).socket(zmq.PAIR).close(0)
    hurry(Urgency.USUAL)
    return done
