"""Bringing each reward to a known end: sending, repeating, asking the board's ring. Pure."""

from collections.abc import Callable

from bci.config.rig import Board
from bci.core.board_types import BoardEvent, RewardRequest
from bci.core.rewards import RewardFate
from bci.hardware.board.codes import Reason, RingState, reason_in_words
from bci.hardware.board.drop_log import DropLog, not_on_record
from bci.hardware.board.outbox import Outbox
from bci.hardware.board.protocol import Ack, Cut, Done, Nack, Reward, Ring, RingEntry
from bci.hardware.board.rewards import TRANSITIONS, MemoryId, Rewards, Transaction

BUSY_RETRY_NS = 20_000_000
_U32_MAX = 0xFFFF_FFFF


class Delivery:
    """One reward at a time on its way to the board; the others wait here.

    Parameters
    ----------
    settings
        Of the board.
    outbox
        Where frames go.
    publish
        Called with every `BoardEvent`.
    log
        Takes every reward before it is first sent; None: rewards go on no record.

    Attributes
    ----------
    rewards
        The transactions.
    doubtful
        Set where only the ring can tell what became of a reward: greet the board anew, then
        `begin_settling`.
    """

    def __init__(
        self,
        settings: Board,
        outbox: Outbox,
        publish: Callable[[BoardEvent], None],
        log: DropLog | None = None,
    ) -> None:
        self.rewards = Rewards(settings.valve)
        self.doubtful = False
        self._outbox = outbox
        self._publish = publish
        self._log = log
        self._ack_ns = round(settings.ack_timeout_ms * 1e6)
        self._pay_within_ns = round(settings.pay_within_s * 1e9)
        self._retries = settings.retries
        self._memory: MemoryId = ("", 0)
        self._to_settle: list[int] = []
        self._t_settle_ns = 0

    def request(self, request: RewardRequest, t_ns: int) -> None:
        """Take a reward; raises `IllegalTransition` where its id was asked for before."""
        self._publish(self.rewards.request(request, t_ns))

    def forsake(self, t_ns: int) -> None:
        """The board is made safe: what was not sent fails, nothing is sent again."""
        for transaction in self.rewards.open:
            transaction.forsaken = True
            if transaction.fate is RewardFate.REQUESTED:
                self._move(transaction, RewardFate.FAILED, t_ns, "the board was made safe")

    def finish(self, t_ns: int) -> None:
        """End every reward, because nothing will be heard any more."""
        for transaction in self.rewards.open:
            if transaction.fate is RewardFate.REQUESTED:
                self._move(transaction, RewardFate.FAILED, t_ns, "never sent")
            else:
                self._move(transaction, RewardFate.UNKNOWN, t_ns, "line closed before its end")

    def expire(self, t_ns: int) -> None:
        """Rewards that waited too long fail, whatever the line does."""
        for transaction in self.rewards.open:
            if transaction.fate is RewardFate.REQUESTED:
                self._expire(transaction, t_ns)

    # ------------------------------------------------------------------ what is due

    def begin_settling(self, memory: MemoryId, t_ns: int) -> None:
        """The board has greeted: ask about every reward that was sent."""
        self._memory = memory
        self._t_settle_ns = t_ns
        self._to_settle = [
            transaction.request.request_id
            for transaction in self.rewards.open
            if transaction.fate is not RewardFate.REQUESTED
        ]

    @property
    def settled(self) -> bool:
        """The ring has told of every reward that was asked about."""
        return not self._to_settle

    def advance_settling(self, t_ns: int) -> int:
        """Ask about one reward after the other; when to come back, ns."""
        if self._to_settle and t_ns >= self._t_settle_ns:
            self._ask_ring(self._to_settle[0])
            self._t_settle_ns = t_ns + self._ack_ns
        return self._t_settle_ns

    def advance(self, t_ns: int) -> int | None:
        """Send, repeat or ask what is due; when to come back, ns (None: nothing is under way)."""
        transaction = self.rewards.first(RewardFate.SENT, RewardFate.ACKNOWLEDGED)
        if transaction is None:
            transaction = self.rewards.first(RewardFate.REQUESTED)
            if transaction is None:
                return None
            if why := not_on_record(self._log, transaction.request):
                self._move(transaction, RewardFate.FAILED, t_ns, why)
                return t_ns
            transaction.sequence = self._outbox.number()
            self._send(transaction, t_ns)
            self._move(transaction, RewardFate.SENT, t_ns)
        elif t_ns >= transaction.t_again_ns:
            if transaction.fate is RewardFate.ACKNOWLEDGED:
                self._ask_ring(transaction.request.request_id)
                transaction.t_again_ns = t_ns + self._ack_ns
            elif transaction.tries > self._retries:
                self.doubtful = True
            else:
                self._send(transaction, t_ns)
        return transaction.t_again_ns

    def _send(self, transaction: Transaction, t_ns: int) -> None:
        width_us = min(transaction.width_us, _U32_MAX)
        reward = Reward(transaction.request.request_id, width_us, 1, 0)
        self._outbox.repeat(reward, transaction.sequence)
        transaction.tries += 1
        transaction.questions.clear()
        transaction.t_again_ns = t_ns + self._ack_ns
        transaction.memory = self._memory

    def _ask_ring(self, request_id: int) -> None:
        sequence = self._outbox.ask(Ring(request_id, 0))
        transaction = self.rewards.get(request_id)
        if transaction is not None:
            transaction.questions.add(sequence)

    def _expire(self, transaction: Transaction, t_ns: int) -> bool:
        age_ns = t_ns - transaction.t_requested_ns
        if age_ns <= self._pay_within_ns:
            return False
        detail = f"too late: not begun {age_ns / 1e9:.1f} s after it was earned"
        self._move(transaction, RewardFate.FAILED, t_ns, detail)
        return True

    # ------------------------------------------------------------------ what is heard

    def hear_ack(self, ack: Ack, t_ns: int) -> None:
        """The board took a reward."""
        transaction = self.rewards.get(ack.argument)
        if transaction is not None and transaction.fate is RewardFate.SENT:
            self._acknowledge(transaction, t_ns)

    def hear_nack(self, nack: Nack, t_ns: int) -> None:
        """The board refused a reward, for another reason than being safe."""
        transaction = self.rewards.get(nack.argument)
        if transaction is None or transaction.fate is not RewardFate.SENT:
            return
        if transaction.tries > 1:
            # a second copy is on its way and may yet be accepted: the ring knows after both
            self.doubtful = True
        elif nack.reason != Reason.BUSY:
            detail = f"refused by the board: {reason_in_words(nack.reason)}"
            self._move(transaction, RewardFate.FAILED, t_ns, detail)
        elif not self._expire(transaction, t_ns):
            transaction.tries = 0
            transaction.t_again_ns = t_ns + BUSY_RETRY_NS

    def hear_done(self, done: Done, t_ns: int) -> None:
        """A reward was given."""
        self._end(done.request_id, RewardFate.DONE, t_ns, done.t_open_us, done.opened_us)

    def hear_cut(self, cut: Cut, t_ns: int) -> None:
        """A reward was begun and not finished."""
        detail = f"cut short by the board: {reason_in_words(cut.reason)}"
        self._end(cut.request_id, RewardFate.UNKNOWN, t_ns, cut.t_us, cut.opened_us, detail)

    def hear_ring(self, entry: RingEntry, t_ns: int) -> None:
        """The ring tells what became of a reward."""
        transaction = self.rewards.get(entry.request_id)
        if transaction is None or entry.answered not in transaction.questions:
            # asked before the reward was last sent: says nothing about that sending
            return
        if entry.request_id in self._to_settle:
            self._to_settle.remove(entry.request_id)
            self._t_settle_ns = t_ns
        if not transaction.ended:
            self._settle(transaction, entry, t_ns)

    def _settle(self, transaction: Transaction, entry: RingEntry, t_ns: int) -> None:
        request_id, opened_us = entry.request_id, entry.opened_us
        t_open_us = entry.t_open_us or None
        forgotten = transaction.memory != self._memory
        match entry.state:
            case RingState.DONE:
                detail = "told by the ring"
                self._end(request_id, RewardFate.DONE, t_ns, t_open_us, opened_us, detail)
            case RingState.RUNNING:
                if transaction.fate is RewardFate.SENT:
                    self._acknowledge(transaction, t_ns)
            case RingState.INTERRUPTED:
                detail = "begun and not finished"
                self._end(request_id, RewardFate.UNKNOWN, t_ns, t_open_us, opened_us, detail)
            case _ if forgotten or transaction.fate is RewardFate.ACKNOWLEDGED:
                detail = "perhaps begun, and forgotten by the board"
                self._move(transaction, RewardFate.UNKNOWN, t_ns, detail)
            case _ if transaction.forsaken:
                self._move(transaction, RewardFate.FAILED, t_ns, "the board was made safe")
            case _ if not self._expire(transaction, t_ns):
                transaction.tries = 0
                transaction.t_again_ns = t_ns

    def _acknowledge(self, transaction: Transaction, t_ns: int) -> None:
        self._move(transaction, RewardFate.ACKNOWLEDGED, t_ns)
        transaction.t_again_ns = t_ns + transaction.width_us * 1000 + self._ack_ns

    def _end(
        self,
        request_id: int,
        fate: RewardFate,
        t_ns: int,
        t_device_us: int | None,
        opened_us: int,
        detail: str = "",
    ) -> None:
        transaction = self.rewards.get(request_id)
        # heard a second time, or of a reward of somebody else's
        if transaction is not None and fate in TRANSITIONS[transaction.fate]:
            self._move(transaction, fate, t_ns, detail, t_device_us, opened_us)

    def _move(
        self,
        transaction: Transaction,
        fate: RewardFate,
        t_ns: int,
        detail: str = "",
        t_device_us: int | None = None,
        opened_us: int = 0,
    ) -> None:
        self._publish(
            self.rewards.move(
                transaction.request.request_id,
                fate,
                t_ns,
                t_device_us=t_device_us,
                opened_us=opened_us,
                detail=detail,
            )
        )
