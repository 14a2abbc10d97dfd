"""Who may connect to a session's sockets: programs with its token, other computers with its keys.

Each ZeroMQ connection is checked once, while it is made, by the mechanisms of ZeroMQ itself: PLAIN
with the token on this computer, CURVE beyond it. A connection that does not pass delivers no
message at all, so that no decoder and no queue ever sees a stranger, and a message costs nothing
more than without. Why: docs/decisions/0011-connections-show-a-token.md.
"""

import hmac
import itertools
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Collection
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from bci.config.network import is_loopback
from bci.stream.errors import StreamError
from bci.stream.keys import Keys, read_keys
from bci.stream.priority import Urgency, hurry

log = logging.getLogger("bci.access")

TOKEN_VARIABLE = "BCI_TOKEN"
"""Environment variable in which a supervisor hands the token to its children."""
_USER = b"bci"
_ZAP = "inproc://zeromq.zap.01"
_ACCEPTED, _REFUSED = b"200", b"400"
_LOOK_S = 1.0
"""How often connections that failed before they showed anything are counted."""
_LOG_EVERY_S = 10.0
_FAILED = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
_numbers = itertools.count()


class NoKeys(StreamError):
    """A socket beyond loopback needs keys, and there are none."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host} can be reached from other computers, which needs keys: make a key file with "
            "`bci keygen` and name it in rig.stream.keys."
        )


def new_token() -> str:
    """Make the token of one session: 256 random bits as text."""
    return secrets.token_urlsafe(32)


class Access:
    """What a process of a session shows when it connects.

    Parameters
    ----------
    token
        Of this session; on this computer a connection shows it as it is.
    keys
        Of the rig, for sockets beyond loopback; None: there are none.
    """

    def __init__(self, token: str, keys: Keys | None = None) -> None:
        if not token or not token.isascii() or len(token) > 255:
            raise ValueError("a token is 1 to 255 ASCII characters")
        self.token = token
        self.keys = keys
        self._shown = token.encode("ascii")
        if keys is not None:
            # who connects must know both, the secret of the rig and the token of the session
            secret = z85.decode(keys.secret)
            own = z85.encode(blake2b(self._shown, key=secret, digest_size=32).digest())
            self._client_secret, self._client_public = own, zmq.curve_public(own)

    @classmethod
    def of_session(cls, token: str, keys: Path | None) -> "Access":
        """Access with the keys of a file; None: none.

        Raises
        ------
        KeysError
            If the file cannot be used.
        """
        return cls(token, None if keys is None else read_keys(keys))

    def __repr__(self) -> str:
        keys = "no keys" if self.keys is None else "keys"
        return f"Access(<token>, {keys})"

    def connect(self, socket: zmq.Socket[bytes], endpoint: str) -> None:
        """Connect, showing the token or proving the keys.

        Raises
        ------
        NoKeys
            If the endpoint is on another computer, and there are none.
        """
        host = endpoint.removeprefix("tcp://").rpartition(":")[0].strip("[]")
        if is_loopback(host):
            socket.set(zmq.PLAIN_USERNAME, _USER)
            socket.set(zmq.PLAIN_PASSWORD, self._shown)
        elif self.keys is not None:
            socket.set(zmq.CURVE_SERVERKEY, self.keys.public)
            socket.set(zmq.CURVE_SECRETKEY, self._client_secret)
            socket.set(zmq.CURVE_PUBLICKEY, self._client_public)
        else:
            raise NoKeys(endpoint)
        socket.set(zmq.IPV6, ":" in host)
        socket.connect(endpoint)

    def admits(self, mechanism: bytes, credentials: list[bytes]) -> bool:
        """Whether what a connection showed is this session's."""
        if mechanism == b"PLAIN" and len(credentials) == 2:
            return hmac.compare_digest(credentials[1], self._shown)
        if mechanism == b"CURVE" and len(credentials) == 1 and self.keys is not None:
            return hmac.compare_digest(z85.encode(credentials[0]), self._client_public)
        return False


def connect(socket: zmq.Socket[bytes], endpoint: str, access: Access | None) -> None:
    """Connect with a session's access; None: to a socket that asks for none.

    Raises
    ------
    NoKeys
        If the endpoint is on another computer, and there are none. The socket is closed.
    """
    try:
        if access is None:
            socket.connect(endpoint)
        else:
            access.connect(socket, endpoint)
    except NoKeys:
        socket.close(0)
        raise


class Refusals:
    """Counts what was refused, and logs it at most once in 10 s."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._untold = 0
        self._t_told_s = -_LOG_EVERY_S
        self.count = 0

    def add(self, why: str, count: int = 1) -> None:
        """Count so many more."""
        with self._lock:
            self.count += count
            self._untold += count
            now_s = time.monotonic()
            if now_s - self._t_told_s < _LOG_EVERY_S:
                return
            untold, self._untold, self._t_told_s = self._untold, 0, now_s
        log.warning("refused %d connections, the last %s", untold, why)

    def close(self) -> None:
        """Log those that were not logged yet."""
        if self._untold:
            self._untold = 0
            log.warning("refused %d connections in all", self.count)


class Peers:
    """The addresses from which a socket without token and keys takes connections.

    Parameters
    ----------
    addresses
        As in rig.insecure_peers.
    """

    def __init__(self, addresses: Collection[str]) -> None:
        self._addresses = frozenset(map(_address, addresses))
        self.refused = Refusals()

    def admits(self, address: str) -> bool:
        """Whether a connection may come from there; one that may not is counted and logged."""
        admitted = _address(address) in self._addresses
        if not admitted:
            self.refused.add(f"from {address}, which rig.insecure_peers does not list")
        return admitted


class Guard:
    """Refuses connections that do not belong to the session, counts and logs them.

    One for each ZeroMQ context that binds sockets; a thread of its own answers. Close it after the
    sockets that it guards.

    Parameters
    ----------
    asked
        What connections must show, or where they must come from.
    context
        None: the one of this process.

    Attributes
    ----------
    refused
        Connections that were refused.
    """

    def __init__(
        self, asked: Access | Peers, context: zmq.Context[zmq.Socket[bytes]] | None = None
    ) -> None:
        self._asked = asked
        self.refused = asked.refused if isinstance(asked, Peers) else Refusals()
        self._context = context or zmq.Context.instance()
        self._closing = threading.Event()
        self._sockets: list[zmq.Socket[bytes]] = []
        self._monitors: deque[tuple[str, zmq.Socket[bytes]]] = deque()
        self._zap = self._context.socket(zmq.ROUTER)
        self._zap.set(zmq.LINGER, 0)
        try:
            self._zap.bind(_ZAP)
        except zmq.ZMQError:
            self._zap.close(0)
            raise
        inside = f"inproc://guard-{next(_numbers)}"
        self._wake = self._context.socket(zmq.PAIR)
        self._wake.bind(inside)
        self._woken = self._context.socket(zmq.PAIR)
        self._woken.connect(inside)
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Guard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def admit(self, socket: zmq.Socket[bytes], host: str) -> None:
        """Let a socket, not yet bound, take only connections that may be made.

        Parameters
        ----------
        host
            Where it will be bound: the token counts on loopback, the keys elsewhere.

        Raises
        ------
        NoKeys
            If other computers can reach it, and there are none.
        """
        access = self._asked
        if isinstance(access, Access):
            if is_loopback(host):
                socket.set(zmq.PLAIN_SERVER, 1)
            elif access.keys is None:
                raise NoKeys(host)
            else:
                socket.set(zmq.CURVE_SERVER, 1)
                socket.set(zmq.CURVE_SECRETKEY, access.keys.secret)
        self._watch(socket, host)

    def close(self) -> None:
        """End; a second call does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._wake.send(b"")
        self._thread.join()
        for socket in self._sockets:
            # libzmq would wait for the reader of these events
            if not socket.closed:
                socket.monitor(None, 0)
        for _, monitor in self._monitors:
            monitor.close(0)
        # closing gives the name back later, and the next guard may come sooner
        self._zap.unbind(_ZAP)
        for own in (self._zap, self._wake, self._woken):
            own.close(0)
        self.refused.close()

    def _watch(self, socket: zmq.Socket[bytes], host: str) -> None:
        # without a domain libzmq asks nobody about connections that show nothing
        socket.set(zmq.ZAP_DOMAIN, b"bci")
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        socket.set(zmq.IPV6, ":" in host)
        events = f"inproc://guard-{next(_numbers)}"
        socket.monitor(events, _FAILED)
        monitor = self._context.socket(zmq.PAIR)
        # unbounded: libzmq's own thread would wait for room
        monitor.set(zmq.RCVHWM, 0)
        monitor.connect(events)
        self._sockets.append(socket)
        self._monitors.append((host, monitor))

    # ------------------------------------------------------------------ the guard's thread

    def _run(self) -> None:
        hurry(Urgency.USUAL)
        poller = zmq.Poller()
        poller.register(self._zap, zmq.POLLIN)
        poller.register(self._woken, zmq.POLLIN)
        t_looked_s = time.monotonic()
        while not self._closing.is_set():
            if self._zap in dict(poller.poll(round(_LOOK_S * 1000))):
                self._answer(self._zap.recv_multipart())
            if time.monotonic() - t_looked_s >= _LOOK_S:
                self._count_failed()
                t_looked_s = time.monotonic()
        self._count_failed()

    def _answer(self, message: list[bytes]) -> None:
        """Answer one question of libzmq: ZAP, https://rfc.zeromq.org/spec/27."""
        line, _, version, number, _domain, address, _identity, mechanism, *credentials = message
        peer = address.decode("ascii", "replace")
        if isinstance(self._asked, Peers):
            admitted = self._asked.admits(peer)
        else:
            admitted = self._asked.admits(mechanism, credentials)
            if not admitted:
                self.refused.add(f"from {peer}, with the token or the keys of another session")
        code, text = (_ACCEPTED, b"OK") if admitted else (_REFUSED, b"not of this session")
        self._zap.send_multipart([line, b"", version, number, code, text, b"", b""])

    def _count_failed(self) -> None:
        for host, monitor in list(self._monitors):
            failed = 0
            while monitor.poll(0):
                event = parse_monitor_message(monitor.recv_multipart())
                failed += event["event"] != zmq.EVENT_MONITOR_STOPPED
            if failed:
                self.refused.add(f"to a socket at {host}, without a token", failed)


def _address(text: str) -> IPv4Address | IPv6Address | str:
    """An address in one way of writing it; what is none stays as it is, and fits nothing."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    return getattr(address, "ipv4_mapped", None) or address
