"""The offset between the clocks of two hosts, with an error that is true."""

from collections.abc import Sequence

import msgspec


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """One question and its answer; times of `time.perf_counter_ns`.

    Parameters
    ----------
    t_asked_ns, t_answered_ns
        On our clock: just before the question left, just after the answer came.
    t_peer_ns
        On the peer's clock, in between.
    """

    t_asked_ns: int
    t_peer_ns: int
    t_answered_ns: int

    @property
    def round_trip_ns(self) -> int:
        """Time from question to answer."""
        return self.t_answered_ns - self.t_asked_ns


class ClockOffset(msgspec.Struct, frozen=True, gc=False):
    """The peer's clock against ours.

    Parameters
    ----------
    offset_ns
        Peer's time minus ours.
    error_ns
        The true offset lies within ± this: half of the shortest round trip.
    n_exchanges
        Exchanges that the estimate was chosen from.
    """

    offset_ns: int
    error_ns: int
    n_exchanges: int

    def to_ours(self, t_peer_ns: int) -> int:
        """A time of the peer on our clock, ns."""
        return t_peer_ns - self.offset_ns


def estimate_offset(exchanges: Sequence[Exchange]) -> ClockOffset:
    """Offset from the exchange with the shortest round trip.

    The peer read its clock somewhere between question and answer; the middle is at most half of
    the round trip away from that moment, whatever the two ways took.

    Raises
    ------
    ValueError
        Without any exchange.

    References
    ----------
    Cristian 1989, Probabilistic clock synchronization, Distributed Computing 3:146.
    """
    if not exchanges:
        raise ValueError("no exchange to estimate a clock offset from")
    best = min(exchanges, key=lambda exchange: exchange.round_trip_ns)
    middle_ns = best.t_asked_ns + best.round_trip_ns // 2
    return ClockOffset(best.t_peer_ns - middle_ns, (best.round_trip_ns + 1) // 2, len(exchanges))
