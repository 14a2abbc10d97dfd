"""Opening ZeroMQ sockets: bounded queues, bound addresses, nothing exposed unasked."""

import math
import socket
import sys

import zmq

from bci.config.network import is_loopback
from bci.core.frame_header import MAX_ROIS
from bci.stream.access import Guard, NoKeys
from bci.stream.errors import StreamError

MAX_MESSAGE_BYTES = 4 * MAX_ROIS
"""Largest part that a socket takes in; a longer one ends the connection it came by."""
CONTROL_MESSAGE_BYTES = 4_000_000
"""The same for requests, answers and telemetry (an ROI table of 20,000 is 2 MB)."""
SMALL_MESSAGE_BYTES = 300_000
"""The same where the longest text is the longest part of a message."""


def open_socket(
    kind: int,
    *,
    queue: int,
    context: zmq.Context[zmq.Socket[bytes]] | None = None,
    max_bytes: int = CONTROL_MESSAGE_BYTES,
) -> zmq.Socket[bytes]:
    """A socket with bounded queues in both directions, dropping what is unsent when closed.

    Parameters
    ----------
    kind
        `zmq.SUB`, `zmq.ROUTER`, ...
    queue
        High-water mark of sending and receiving, messages.
    context
        None: the one of this process.
    max_bytes
        Largest message part accepted from a peer.
    """
    socket = (context or zmq.Context.instance()).socket(kind)
    socket.set(zmq.SNDHWM, queue)
    socket.set(zmq.RCVHWM, queue)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.MAXMSGSIZE, max_bytes)
    return socket


def require_loopback(host: str, *, exposed: bool, setting: str) -> None:
    """Refuse an address that other computers can reach, unless the settings ask for it.

    Raises
    ------
    StreamError
        Naming the setting to change.
    """
    if not exposed and not is_loopback(host):
        raise StreamError(
            f"{setting}.host = {host!r} can be reached from other computers. Set {setting}.host = "
            f"'127.0.0.1', or {setting}.exposed = true if that is meant."
        )


def bind(
    socket: zmq.Socket[bytes],
    host: str,
    port: int,
    *,
    exposed: bool = False,
    guard: Guard | None = None,
) -> str:
    """Bind and return the endpoint, `tcp://host:port`, with the port that was found.

    Parameters
    ----------
    host
        Numerical address of this computer.
    port
        0: any free one.
    exposed
        Allow an address that other computers can reach; the guard must have keys then.
    guard
        Decides who may connect; None: everybody on this computer.

    Raises
    ------
    StreamError
        If the address is taken, not ours, exposed unasked or without keys. The socket is closed.
    """
    try:
        require_loopback(host, exposed=exposed, setting="rig.stream")
        if guard is not None:
            guard.admit(socket, host)
        elif not is_loopback(host):
            raise NoKeys(host)
        return _bind(socket, host, port)
    except StreamError:
        socket.close(0)
        raise


def _bind(socket: zmq.Socket[bytes], host: str, port: int) -> str:
    place = f"[{host}]" if ":" in host else host
    try:
        socket.bind(f"tcp://{place}:{port or '*'}")
    except zmq.ZMQError as error:
        raise StreamError(
            f"cannot bind tcp://{place}:{port or '*'}: {zmq.strerror(error.errno or 0)}. "
            "Set another port in rig.stream or rig.source (0: any free one), or end the program "
            "that holds it."
        ) from error
    endpoint = socket.get(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.decode().rstrip("\0")


def why_not_bound(host: str, port: int) -> str:
    """Why this computer cannot listen at an address now; empty if it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        if sys.platform != "win32":
            # as ZeroMQ does: a port whose last connection has just ended is free
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
            tried.listen(1)
        except (OSError, OverflowError, UnicodeError) as error:
            return str(getattr(error, "strerror", None) or error)
    return ""


def wait_readable(socket: zmq.Socket[bytes], timeout_s: float) -> bool:
    """Wait at most this long; True where something can be received."""
    return bool(socket.poll(math.ceil(timeout_s * 1000)))
