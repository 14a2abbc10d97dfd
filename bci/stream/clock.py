"""The offset between the clocks of two hosts, with an error that is true."""

from collections import deque

import msgspec

from bci.core.messages import MOST_NS

NEWEST = 16
"""Messages each way that count: clocks drift apart, by tens of microseconds a second."""
SAME_NS = 1_000_000
"""Bounds that miss 0 by no more than this are taken to hold it."""


class ClockOffset(msgspec.Struct, frozen=True, gc=False):
    """The peer's clock against ours.

    Parameters
    ----------
    offset_ns
        Peer's time minus ours; 0 where nothing tells the two apart.
    error_ns
        The true offset lies within ± this.
    """

    offset_ns: int
    error_ns: int

    def to_ours(self, t_peer_ns: int) -> int:
        """A time of the peer on our clock, ns."""
        return t_peer_ns - self.offset_ns


class PeerClock:
    """A peer's clock against ours, bounded by messages in both directions.

    What we sent came to the peer later, and what it sent came to us later. So its time minus ours
    lies below every such difference of the first kind and above every one of the second, whatever
    the ways took; what is told is the middle. Where 0 lies between them, or hardly beside, both are
    taken for one clock, that of a host: those of two hosts count from when each was started. All
    times are `time.perf_counter_ns`.

    References
    ----------
    Cristian 1989, Probabilistic clock synchronization, Distributed Computing 3:146. Mills 1991,
    Internet time synchronization: the Network Time Protocol.
    """

    def __init__(self) -> None:
        self._above: deque[int] = deque(maxlen=NEWEST)
        self._below: deque[int] = deque(maxlen=NEWEST)

    def reached(self, t_sent_ns: int, t_peer_ns: int) -> None:
        """Note a message of ours: when we sent it, and when the peer had it."""
        self._above.append(t_peer_ns - t_sent_ns)

    def came(self, t_peer_ns: int, t_taken_ns: int) -> None:
        """Note a message of the peer: when it sent it at the earliest, and when we had it."""
        self._below.append(t_peer_ns - t_taken_ns)

    @property
    def offset(self) -> ClockOffset | None:
        """From the newest messages; None before there was one each way."""
        if not self._above or not self._below:
            return None
        high, low = min(self._above), max(self._below)
        if low - SAME_NS <= 0 <= high + SAME_NS:
            return ClockOffset(0, min(max(abs(high), abs(low)), MOST_NS))
        # a peer may say any time: what it comes to must fit the journal
        middle = max(-MOST_NS, min((low + high) // 2, MOST_NS))
        return ClockOffset(middle, min((abs(high - low) + 1) // 2, MOST_NS))
