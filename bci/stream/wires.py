"""Wires of a simulated rig: what a cable does from one device to another, done by datagrams.

The source of frames pulls the line of the frame TTL, the screen that of the photodiode; a board
that is a process of ours has the other end. Loopback alone, and never waited for.
"""

import contextlib
import hmac
import socket
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import msgspec

from bci.core.messages import Label, TimeNs
from bci.stream.access import Refusals
from bci.stream.inbox import Inbox

Pin = Literal["frame_ttl", "photodiode"]
WIRED = ("chip", "simulated")
"""Kinds of board whose inputs a simulated rig pulls."""
_MOST_BYTES = 512
_MOST_DATAGRAM = 65_536
_AT_ONCE = 1000
"""A flood must not keep the board from its own time."""


class Level(msgspec.Struct, frozen=True, array_like=True):
    """What somebody at the other end did.

    Parameters
    ----------
    pin, level
        Its name, and what it is from now on.
    t_ns
        `time.perf_counter_ns` at which it was driven: a current takes no time, a datagram does.
    """

    pin: Pin
    level: Annotated[int, msgspec.Meta(ge=0, le=1)]
    t_ns: TimeNs


class _Driven(msgspec.Struct, frozen=True, array_like=True):
    """A level, and the token of the session that drove it."""

    token: Label
    level: Level


class WireEnd:
    """The end at the board.

    Parameters
    ----------
    token
        Of the session: what comes without it is passed over and counted.

    Attributes
    ----------
    endpoint
        What the other end must know.
    refused
        Levels that came without the token.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode("ascii")
        self.refused = Refusals()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inbox: Inbox[_Driven] = Inbox(_Driven, "wires of the board", _MOST_BYTES)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.endpoint = f"udp://127.0.0.1:{self._socket.getsockname()[1]}"

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def receive(self) -> list[Level]:
        """New levels since the last call, in order; never waits. Anything else is dropped."""
        found = []
        with contextlib.suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                driven = self.inbox.read([self._socket.recv(_MOST_DATAGRAM)])
                if driven is not None and self._is_ours(driven):
                    level = driven.level
                    # nobody drives a pin in the future: the board's time must not jump there
                    t_ns = min(level.t_ns, time.perf_counter_ns())
                    found.append(msgspec.structs.replace(level, t_ns=t_ns))
        return found

    def _is_ours(self, driven: "_Driven") -> bool:
        ours = hmac.compare_digest(driven.token.encode(), self._token)
        if not ours:
            self.refused.add("at a wire of the board, without this session's token")
        return ours

    def close(self) -> None:
        """Give the socket back."""
        self.inbox.close()
        self.refused.close()
        self._socket.close()


class Wire:
    """The end at whoever drives a pin.

    Parameters
    ----------
    peers
        Endpoints announced by the other processes: the board, which may be started anew, is at
        `wires`.
    pin
        Its name.
    token
        Of the session.
    """

    def __init__(self, peers: Callable[[], Mapping[str, str]], pin: Pin, token: str) -> None:
        self._peers = peers
        self._token = token
        self._pin = pin
        self._encode = msgspec.msgpack.Encoder().encode
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def drive(self, level: int) -> None:
        """Bring the pin to a level; the board may be gone."""
        host, _, port = self._peers().get("wires", "").removeprefix("udp://").rpartition(":")
        if not host:
            return
        with contextlib.suppress(OSError):
            told = _Driven(self._token, Level(self._pin, level, time.perf_counter_ns()))
            self._socket.sendto(self._encode(told), (host, int(port)))

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()
