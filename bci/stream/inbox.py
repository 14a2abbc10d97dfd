"""What arrives on a socket: decoded, or counted, logged and dropped."""

import logging
from collections.abc import Callable, Sequence
from math import inf
from time import perf_counter
from typing import Any, Generic, TypeVar

import msgspec

from bci.core.messages import NotAMessage, cut, read_message

log = logging.getLogger("bci.stream")

LOG_EVERY_S = 10.0
_MOST_REASON = 200

Message = TypeVar("Message")


class Inbox(Generic[Message]):
    """Reads the messages of one socket; nothing that a peer sends can end its reader.

    Parameters
    ----------
    kind
        Type of the messages, or a union of them.
    socket
        Name of the socket, for the log.
    most_bytes
        A longer message is dropped undecoded.
    clock_s
        Time for the log's sake, s.

    Attributes
    ----------
    dropped
        Messages that could not be read.
    reason
        What was wrong with the newest of them.
    """

    def __init__(
        self,
        kind: Any,
        socket: str,
        most_bytes: int,
        *,
        clock_s: Callable[[], float] = perf_counter,
    ) -> None:
        self._decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(kind)
        self._socket = socket
        self._most_bytes = most_bytes
        self._clock_s = clock_s
        self._t_log_s = -inf
        self._n_logged = 0
        self.dropped = 0
        self.reason = ""

    def read(self, parts: Sequence[bytes]) -> Message | None:
        """Decode a message of one part; None: it was none, which is counted and logged."""
        try:
            if len(parts) != 1:
                raise NotAMessage(f"{len(parts)} parts, not 1")
            if len(parts[0]) > self._most_bytes:
                raise NotAMessage(f"{len(parts[0])} bytes, more than {self._most_bytes}")
            return read_message(self._decoder, parts[0])
        except NotAMessage as error:
            self._drop(str(error))
            return None

    def close(self) -> None:
        """Log what was dropped since the last line."""
        if self.dropped > self._n_logged:
            self._log()

    def _drop(self, reason: str) -> None:
        self.dropped += 1
        self.reason = cut(reason, _MOST_REASON)
        # a flood must not fill the disk with lines
        if self._clock_s() - self._t_log_s >= LOG_EVERY_S:
            self._log()

    def _log(self) -> None:
        self._t_log_s, self._n_logged = self._clock_s(), self.dropped
        log.warning(
            "%s: unreadable messages dropped, %d so far, the last: %s",
            self._socket,
            self.dropped,
            self.reason,
        )
