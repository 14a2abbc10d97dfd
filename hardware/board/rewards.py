"""Reward transactions: each drop is asked for once, and its fate is known or said to be unknown."""

import msgspec

from bci.config.rig import Valve
from bci.core.board_types import BoardEvent, RewardRequest
from bci.core.rewards import RewardFate, RewardTotals, SessionRewards

MemoryId = tuple[str, int]

_ENDS = frozenset(fate for fate in RewardFate if fate.ended)
TRANSITIONS: dict[RewardFate, frozenset[RewardFate]] = {
    RewardFate.REQUESTED: frozenset({RewardFate.SENT, RewardFate.FAILED}),
    RewardFate.SENT: _ENDS | {RewardFate.ACKNOWLEDGED},
    RewardFate.ACKNOWLEDGED: _ENDS,
    **dict.fromkeys(_ENDS, frozenset()),
}


class IllegalTransition(Exception):
    """A state that cannot follow the present one."""


class Transaction(msgspec.Struct):
    """One reward on its way.

    Parameters
    ----------
    request
        As the loop asked for it.
    width_us
        Opening time of the valve.
    t_requested_ns
        `time.perf_counter_ns` of the request.
    t_sent_ns
        Of the first sending.
    t_again_ns
        When to send or ask again, unless something is heard before.
    sequence
        Of the frame that carries it; a repetition is the same frame.
    tries
        Times it was sent since the line was last greeted.
    memory
        Name and losses of the board when it was sent: its ring knows of this reward as long as
        both are the same.
    questions
        Sequence numbers of the questions to the ring asked since it was last sent.
    forsaken
        Must not be sent again: the owner made the board safe.
    """

    request: RewardRequest
    width_us: int
    t_requested_ns: int
    fate: RewardFate = RewardFate.REQUESTED
    t_sent_ns: int = 0
    t_again_ns: int = 0
    sequence: int = 0
    tries: int = 0
    memory: MemoryId = ("", 0)
    questions: set[int] = msgspec.field(default_factory=set)
    forsaken: bool = False

    @property
    def ended(self) -> bool:
        """Done, failed or unknown."""
        return self.fate.ended


class Rewards:
    """All rewards of a session, every change of which is a `BoardEvent`.

    Parameters
    ----------
    valve
        Its opening time for a volume.

    Attributes
    ----------
    n_refused
        Requests whose id had been asked for before.
    """

    def __init__(self, valve: Valve) -> None:
        self._valve = valve
        self._all: dict[int, Transaction] = {}
        self._open: dict[int, Transaction] = {}
        self._totals = SessionRewards()
        self.n_refused = 0

    @property
    def totals(self) -> RewardTotals:
        """Counts and volume."""
        return self._totals.totals()

    @property
    def n_requested(self) -> int:
        """How many were asked for."""
        return len(self._all)

    @property
    def open(self) -> list[Transaction]:
        """Rewards that have not ended, oldest first."""
        return list(self._open.values())

    @property
    def n_open(self) -> int:
        """How many have not ended."""
        return len(self._open)

    def get(self, request_id: int) -> Transaction | None:
        """The transaction of a request."""
        return self._all.get(request_id)

    def first(self, *fates: RewardFate) -> Transaction | None:
        """The oldest reward of one of these fates that has not ended."""
        for transaction in self._open.values():
            if transaction.fate in fates:
                return transaction
        return None

    def request(self, request: RewardRequest, t_ns: int) -> BoardEvent:
        """Take a new reward.

        Raises
        ------
        IllegalTransition
            Where this id was asked for before, whatever became of it.
        """
        if request.request_id in self._all:
            self.n_refused += 1
            raise IllegalTransition(f"reward {request.request_id} was asked for before")
        # what is shorter than nothing is refused by the board, as too short
        width_us = max(round(self._valve.open_ms(request.volume_ul) * 1000), 0)
        transaction = Transaction(request, width_us, t_ns)
        self._all[request.request_id] = self._open[request.request_id] = transaction
        self._totals.ask(request)
        detail = f"{request.volume_ul:g} ul, {request.origin}"
        return _event(transaction, t_ns, None, request.volume_ul, detail)

    def move(
        self,
        request_id: int,
        fate: RewardFate,
        t_ns: int,
        *,
        t_device_us: int | None = None,
        opened_us: int = 0,
        detail: str = "",
    ) -> BoardEvent:
        """Bring a reward to a further fate.

        Parameters
        ----------
        t_ns
            `time.perf_counter_ns` at which the host knew.
        t_device_us
            Opening of the valve on the board's clock.
        opened_us
            Time the valve was open; the value of the event.

        Raises
        ------
        IllegalTransition
            Where `TRANSITIONS` does not have it.
        """
        transaction = self._all.get(request_id)
        if transaction is None:
            raise IllegalTransition(f"reward {request_id} was never asked for")
        if fate not in TRANSITIONS[transaction.fate]:
            raise IllegalTransition(f"reward {request_id}: {transaction.fate} to {fate}")
        transaction.fate = fate
        if fate is RewardFate.SENT:
            transaction.t_sent_ns = t_ns
        if transaction.ended:
            del self._open[request_id]
        event = _event(transaction, t_ns, t_device_us, float(opened_us), detail)
        self._totals.take(event)
        return event


def _event(
    transaction: Transaction, t_ns: int, t_device_us: int | None, value: float, detail: str
) -> BoardEvent:
    return BoardEvent(
        request_id=transaction.request.request_id,
        kind=transaction.fate.event,
        t_device_us=t_device_us,
        t_host_ns=t_ns,
        value=value,
        detail=detail,
    )
