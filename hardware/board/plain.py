"""The host's side of a device that only opens a valve: what the device lacks is done here. Pure."""

from collections.abc import Callable

from bci.config.rig import Board
from bci.core.board_types import BoardEvent, BoardEventKind, LightCommand, RewardRequest
from bci.core.rewards import BoardReward, RewardFate
from bci.hardware.board.conversation import UNANSWERED_LIMIT, LineState
from bci.hardware.board.dialect import (
    Changed,
    Closed,
    Damaged,
    Dialect,
    Heard,
    Opened,
    Present,
    Refused,
)
from bci.hardware.board.drop_log import DropLog, not_on_record
from bci.hardware.board.duty import DutyLimit
from bci.hardware.board.limits import MIN_OPEN_US
from bci.hardware.board.protocol import Identity
from bci.hardware.board.rewards import IllegalTransition, Rewards, Transaction

ASK_AGAIN_NS = 20_000_000
ASK_ALIVE_NS = 300_000_000
"""Nothing has to be fed: asked only to know of a line that is gone."""
OVERDUE_NS = 300_000_000
"""A valve that is still open so long after it was to be shut is shut by the host."""


class PlainTalk:
    """One reward at a time, never repeated, its end heard, or said to be unknown.

    The largest opening, the share of time that the valve may be open, and the silence of the
    owner's loop are watched here, because the device does not. A killed host watches nothing:
    the pulse itself must be timed by the device.

    Parameters
    ----------
    settings
        Of the board.
    dialect
        The device's words.
    publish
        Called with every `BoardEvent`.
    log
        Takes every reward before it is sent; None: rewards go on no record.

    Attributes
    ----------
    state
        DOWN, GREETING, READY or REFUSED.
    identity
        Who the device is; None before it said so.
    refusal
        Why it cannot serve; empty: it can.
    """

    REMEMBERS = False

    def __init__(
        self,
        settings: Board,
        dialect: Dialect,
        publish: Callable[[BoardEvent], None],
        log: DropLog | None = None,
    ) -> None:
        self.state = LineState.DOWN
        self.identity: Identity | None = None
        self.refusal = ""
        self._dialect = dialect
        self._publish = publish
        self._log = log
        self._rewards = Rewards(settings.valve)
        self._max_open_us = round(settings.valve.max_open_ms * 1000)
        self._duty = DutyLimit()
        self._duty.permille = max(1, int(settings.valve.max_duty * 1000))
        self._ack_ns = round(settings.ack_timeout_ms * 1e6)
        self._keep_alive_ns = round(settings.keep_alive_ms * 1e6)
        self._watchdog_ns = round(settings.watchdog_ms * 1e6)
        self._pay_within_ns = round(settings.pay_within_s * 1e9)
        self._out = bytearray()
        self._unanswered = 0
        self._t_ask_ns = 0
        self._running: Transaction | None = None
        self._t_opened_us: int | None = None
        self._turns = -1
        self._t_turned_ns = 0
        self._asleep = False
        self._safe_wanted = False
        self._parting = False
        self._t_ns = 0

    @property
    def rewards(self) -> Rewards:
        """All rewards of the session."""
        return self._rewards

    @property
    def safe_confirmed(self) -> bool:
        """The last `safe` is on the line."""
        return not self._safe_wanted

    @property
    def dead(self) -> bool:
        """Nothing was heard for so long that the line should be opened anew."""
        return self._unanswered > UNANSWERED_LIMIT

    # ------------------------------------------------------------------ the owner asks

    def reward(self, request: RewardRequest, t_ns: int) -> None:
        """Take a reward; an id that was asked for before is refused with an event."""
        try:
            self._publish(self._rewards.request(request, t_ns))
        except IllegalTransition as fault:
            self._tell(BoardEventKind.PROTOCOL, t_ns, str(fault))

    def light(self, command: LightCommand) -> None:
        """Nothing where it is to be off: this device has no light."""
        if command.on:
            self._tell(BoardEventKind.PROTOCOL, self._t_ns, "this board has no light")

    def arm(self, *, start: bool) -> None:
        """Nothing to arm: no frames are counted."""
        del start
        self._tell(BoardEventKind.PROTOCOL, self._t_ns, "this board has no frame clock")

    def recall(self) -> None:
        """Nothing to ask: this device remembers no reward."""

    @property
    def recalled(self) -> list[BoardReward] | None:
        """None: this device remembers no reward."""
        return None

    def safe(self, t_ns: int) -> None:
        """Shut the valve; rewards not yet sent fail."""
        self._safe_wanted = True
        for transaction in self._rewards.open:
            if transaction.fate is RewardFate.REQUESTED:
                self._move(transaction, RewardFate.FAILED, t_ns, "the board was made safe")

    def part(self, t_ns: int) -> None:
        """Shut the valve, and send nothing more."""
        self._parting = True
        self.safe(t_ns)

    def finish(self, t_ns: int) -> None:
        """End every reward, because nothing will be heard any more."""
        for transaction in self._rewards.open:
            if transaction.fate is RewardFate.REQUESTED:
                self._move(transaction, RewardFate.FAILED, t_ns, "never sent")
            else:
                self._move(transaction, RewardFate.UNKNOWN, t_ns, "line closed before its end")
        self._running = None

    # ------------------------------------------------------------------ the line

    def opened(self, t_ns: int) -> None:
        """The line is open: ask who is there."""
        self.state = LineState.GREETING
        self.refusal = ""
        self._unanswered = 0
        self._out.clear()
        self._t_ask_ns = t_ns

    def lost(self, t_ns: int, why: str) -> None:
        """The line is gone, and with it the end of a running reward."""
        if self.state is LineState.DOWN:
            return
        self.state = LineState.DOWN
        self._end(RewardFate.UNKNOWN, t_ns, "the line was lost before its end")
        self._tell(BoardEventKind.LOST, t_ns, why)

    def take_output(self) -> bytes:
        """Bytes for the device since the last call."""
        taken = bytes(self._out)
        self._out.clear()
        return taken

    def received(self, data: bytes, t_ns: int) -> None:
        """Bytes from the device."""
        meant = self._dialect.received(data)
        if not meant or not all(isinstance(heard, Damaged) for heard in meant):
            self._unanswered = 0  # an answer that says nothing new is an answer
        for heard in meant:
            self._hear(heard, t_ns)

    def advance(self, t_ns: int, turns: int) -> int:
        """Send what is due; when to come back at the latest, ns."""
        later_ns = t_ns + self._keep_alive_ns
        self._t_ns = t_ns
        for transaction in self._rewards.open:
            self._expire(transaction, t_ns)
        if self._safe_wanted:
            self._make_safe(t_ns)
        if self._parting or self.state in (LineState.DOWN, LineState.REFUSED):
            return later_ns
        self._watch(t_ns, turns)
        if self.state is LineState.GREETING:
            if t_ns >= self._t_ask_ns:
                self._unanswered += 1
                self._out += self._dialect.greet()
                self._t_ask_ns = t_ns + self._ack_ns
                if self._dialect.trusted is not None:
                    self._hear(self._dialect.trusted, t_ns)
            return self._t_ask_ns
        self._ask_alive(t_ns)
        return min(self._t_ask_ns, self._advance_reward(t_ns) or later_ns)

    # ------------------------------------------------------------------ what is due

    def _make_safe(self, t_ns: int) -> None:
        self._safe_wanted = False
        if self.state is LineState.READY:
            self._cut(t_ns, "cut: the board was made safe")
            self._tell(BoardEventKind.SAFE, t_ns, "host asked")

    def _watch(self, t_ns: int, turns: int) -> None:
        """A loop that stands still gets no valve; what the device would watch, watched here."""
        if turns != self._turns:
            self._turns, self._t_turned_ns, self._asleep = turns, t_ns, False
        elif not self._asleep and t_ns - self._t_turned_ns > self._watchdog_ns:
            self._asleep = True
            if self.state is LineState.READY:
                self._cut(t_ns, "cut: the loop stood still")
                self._tell(BoardEventKind.SAFE, t_ns, "host silent")

    def _ask_alive(self, t_ns: int) -> None:
        if t_ns < self._t_ask_ns or self._running is not None:
            return
        question = self._dialect.ask_alive()
        if question or self._dialect.streams:
            self._unanswered += 1
        self._out += question
        self._t_ask_ns = t_ns + ASK_ALIVE_NS

    def _advance_reward(self, t_ns: int) -> int | None:
        running = self._running
        if running is None:
            waiting = self._rewards.first(RewardFate.REQUESTED)
            if waiting is None or self._asleep:
                return None
            return self._begin(waiting, t_ns)
        if t_ns < running.t_again_ns:
            return running.t_again_ns
        t_shut_ns = running.t_sent_ns + running.width_us * 1000
        if not self._dialect.confirms:
            self._end(RewardFate.UNKNOWN, t_ns, "sent; this device confirms nothing")
            return t_ns
        if t_ns > t_shut_ns + OVERDUE_NS:
            self._cut(t_ns, "the device did not tell of its end, and was told to shut")
            # what it still has to say of this reward must not be taken for the next one's
            self.state = LineState.GREETING
            self._t_ask_ns = t_ns + self._ack_ns
            return self._t_ask_ns
        self._out += self._dialect.ask_shut()
        running.t_again_ns = t_ns + ASK_AGAIN_NS
        return running.t_again_ns

    def _begin(self, transaction: Transaction, t_ns: int) -> int:
        why = self._why_not(transaction.width_us, t_ns) or not_on_record(
            self._log, transaction.request
        )
        if why:
            self._move(transaction, RewardFate.FAILED, t_ns, why)
            return t_ns
        self._running, self._t_opened_us = transaction, None
        self._out += self._dialect.open(transaction.width_us)
        self._duty.book(transaction.width_us, t_ns // 1000)
        self._move(transaction, RewardFate.SENT, t_ns)
        transaction.t_again_ns = t_ns + transaction.width_us * 1000 + ASK_AGAIN_NS
        return transaction.t_again_ns

    def _why_not(self, width_us: int, t_ns: int) -> str:
        if width_us < MIN_OPEN_US:
            return f"shorter than {MIN_OPEN_US / 1000:g} ms"
        if width_us > self._max_open_us:
            return f"longer than rig.board.valve.max_open_ms = {self._max_open_us / 1000:g}"
        if not self._duty.allows(width_us, t_ns // 1000):
            return "more than rig.board.valve.max_duty allows in 10 s"
        return self._dialect.unfit(width_us)

    def _expire(self, transaction: Transaction, t_ns: int) -> None:
        age_ns = t_ns - transaction.t_requested_ns
        if transaction.fate is RewardFate.REQUESTED and age_ns > self._pay_within_ns:
            detail = f"too late: not begun {age_ns / 1e9:.1f} s after it was earned"
            self._move(transaction, RewardFate.FAILED, t_ns, detail)

    # ------------------------------------------------------------------ what is heard

    def _hear(self, heard: Heard, t_ns: int) -> None:
        running = self._running
        match heard:
            case Present(identity=identity) if self.state is LineState.GREETING:
                self.identity = identity
                self.state = LineState.READY
                self._out += self._dialect.set_up()
                self._t_ask_ns = t_ns + self._keep_alive_ns
                lacks = "; ".join(self._dialect.LACKS)
                self._tell(BoardEventKind.CONNECTED, t_ns, f"{identity.text}; it lacks: {lacks}")
            case Refused(why=why) if self.state is LineState.GREETING:
                self.state = LineState.REFUSED
                self.refusal = why
                self._tell(BoardEventKind.PROTOCOL, t_ns, why)
            case Opened(t_us=t_us) if running is not None:
                self._t_opened_us = t_us
                if running.fate is RewardFate.SENT:
                    self._move(running, RewardFate.ACKNOWLEDGED, t_ns)
            case Closed(opened_us=opened_us) if (
                running is not None and running.fate is RewardFate.ACKNOWLEDGED
            ):
                self._end(RewardFate.DONE, t_ns, opened_us=opened_us)
            case Changed(kind=kind, t_us=t_us, value=value):
                self._publish(BoardEvent(0, kind, t_us, t_ns, value))
            case Damaged(detail=detail):
                self._tell(BoardEventKind.PROTOCOL, t_ns, detail)
            case _:
                pass  # still open, or an answer that comes too late

    def _cut(self, t_ns: int, why: str) -> None:
        if self._running is not None:
            self._out += self._dialect.shut()
            self._end(RewardFate.UNKNOWN, t_ns, why)

    def _end(self, fate: RewardFate, t_ns: int, detail: str = "", opened_us: int = 0) -> None:
        running, self._running = self._running, None
        if running is not None:
            self._move(running, fate, t_ns, detail, opened_us)

    def _move(
        self,
        transaction: Transaction,
        fate: RewardFate,
        t_ns: int,
        detail: str = "",
        opened_us: int = 0,
    ) -> None:
        self._publish(
            self._rewards.move(
                transaction.request.request_id,
                fate,
                t_ns,
                t_device_us=self._t_opened_us if fate is RewardFate.DONE else None,
                opened_us=opened_us,
                detail=detail,
            )
        )

    def _tell(self, kind: BoardEventKind, t_ns: int, detail: str) -> None:
        self._publish(BoardEvent(0, kind, None, t_ns, 0.0, detail))
