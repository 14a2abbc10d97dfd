"""The host's side of the line as a pure state machine: messages and times in, bytes and events out.

It has no clock, thread or port: `link.py` gives it a serial line and real time, `virtual.py` a
simulated board and virtual time, and the tests a line that loses what they like.
"""

from collections.abc import Callable
from enum import StrEnum

from bci.config.rig import Board
from bci.core.board_types import BoardEvent, BoardEventKind, LightCommand, RewardRequest
from hardware.board.framing import FrameDecoder
from hardware.board.protocol import (
    PROTOCOL_VERSION,
    Ack,
    Cut,
    DeviceState,
    Done,
    Event,
    Hello,
    Identity,
    InputKind,
    KeepAlive,
    Light,
    Message,
    Nack,
    NotAMessage,
    Reason,
    Reward,
    Ring,
    RingEntry,
    RingState,
    Safe,
    Status,
    from_board,
    next_sequence,
)
from hardware.board.rewards import (
    TRANSITIONS,
    IllegalTransition,
    Rewards,
    RewardState,
    Transaction,
)

UNANSWERED_LIMIT = 5
"""Questions in a row without any answer after which the line counts as dead."""
BUSY_RETRY_NS = 20_000_000
U32_MAX = 0xFFFF_FFFF
_MS = 1_000_000

_INPUTS = {
    InputKind.LICK: BoardEventKind.LICK,
    InputKind.WHEEL: BoardEventKind.WHEEL,
    InputKind.FRAME_TTL: BoardEventKind.FRAME_TTL,
    InputKind.PHOTODIODE: BoardEventKind.PHOTODIODE,
    InputKind.SYNC: BoardEventKind.SYNC,
    InputKind.AUX_1: BoardEventKind.AUX,
    InputKind.AUX_2: BoardEventKind.AUX,
}


class LineState(StrEnum):
    """Where the conversation stands.

    ```
    DOWN ──line opened──► GREETING ──IDENTITY──► SETTLING ──all asked──► READY
      ▲                    │  ▲                      │                    │
      ╰──── line lost ─────╯  ╰── board safe, reset, reward unacknowledged ╯
                           ╰──► REFUSED (version, limits)
    ```
    """

    DOWN = "down"
    GREETING = "greeting"
    SETTLING = "settling"
    READY = "ready"
    REFUSED = "refused"


class Conversation:
    """Greets the board, keeps it alive, and brings every reward to a known end.

    Parameters
    ----------
    settings
        Of the board.
    session
        Any number that no earlier user of the board had, 1 to 2**32 - 1: request ids count from 1
        in every session, and the board's ring outlives sessions.
    publish
        Called with every `BoardEvent`.

    Attributes
    ----------
    state
        Where the conversation stands.
    identity
        What the board said of itself; None before it did.
    refusal
        Why the board will not serve us; empty: it has not refused.
    """

    def __init__(
        self, settings: Board, session: int, publish: Callable[[BoardEvent], None]
    ) -> None:
        valve = settings.valve
        self.state = LineState.DOWN
        self.identity: Identity | None = None
        self.refusal = ""
        self.rewards = Rewards(valve.ms_per_ul)
        self._publish = publish
        self._session = session
        self._hello = Hello(
            protocol=PROTOCOL_VERSION,
            session=session,
            max_open_us=min(round(valve.max_open_ms * 1000), U32_MAX),
            duty_permille=max(1, int(valve.max_duty * 1000)),
            watchdog_ms=min(round(settings.watchdog_ms), 0xFFFF),
        )
        self._ack_ns = round(settings.ack_timeout_ms * _MS)
        self._keep_alive_ns = round(settings.keep_alive_ms * _MS)
        self._pay_within_ns = round(settings.pay_within_s * 1e9)
        self._retries = settings.retries
        self._decoder = FrameDecoder()
        self._out = bytearray()
        self._sequence = 0
        self._board_sequence = 0
        self._last_payload = b""
        self._unanswered = 0
        self._turns = -1
        self._t_greet_ns = 0
        self._t_keep_alive_ns = 0
        self._to_settle: list[int] = []
        self._t_settle_ns = 0
        self._tell_ready = True
        self._light_wanted: bool | None = None
        self._light_confirmed: bool | None = None
        self._light_sent: tuple[int, bool] = (0, False)
        self._t_light_ns = 0
        self._safe_wanted = False
        self._t_safe_ns = 0
        self._parting = False

    # ------------------------------------------------------------------ the owner asks

    def reward(self, request: RewardRequest, t_ns: int) -> None:
        """Take a reward; an id that was asked for before is refused with an event."""
        try:
            self._publish(self.rewards.request(request, t_ns))
        except IllegalTransition as fault:
            self._tell(BoardEventKind.PROTOCOL, t_ns, str(fault), request_id=request.request_id)

    def light(self, command: LightCommand) -> None:
        """Want the light allowed or forbidden; sent until the board confirms it."""
        self._light_wanted = command.on
        self._light_confirmed = None
        self._t_light_ns = 0

    def safe(self, t_ns: int) -> None:
        """Shut everything; rewards not yet sent fail, none is sent again."""
        self._safe_wanted = True
        self._t_safe_ns = 0
        self._light_wanted = None
        for transaction in self.rewards.open:
            transaction.forsaken = True
            if transaction.state is RewardState.REQUESTED:
                self._move(transaction, RewardState.FAILED, t_ns, detail="the board was made safe")

    def part(self, t_ns: int) -> None:
        """Shut everything, and greet the board no more."""
        self._parting = True
        self.safe(t_ns)

    @property
    def safe_confirmed(self) -> bool:
        """The last `safe` was confirmed by the board."""
        return not self._safe_wanted

    def finish(self, t_ns: int) -> None:
        """End every reward, because nothing will be heard any more."""
        for transaction in self.rewards.open:
            if transaction.state is RewardState.REQUESTED:
                self._move(transaction, RewardState.FAILED, t_ns, detail="never sent")
            else:
                self._move(transaction, RewardState.UNKNOWN, t_ns, detail="line closed before")

    # ------------------------------------------------------------------ the line

    def opened(self, t_ns: int) -> None:
        """The line is open: greet the board."""
        self._decoder.reset()
        self._out.clear()
        self._out += b"\x00"  # ends whatever half frame the board may hold
        self._board_sequence = 0
        self._last_payload = b""
        self._unanswered = 0
        self._tell_ready = True
        self.refusal = ""
        self._greet(t_ns)

    def lost(self, t_ns: int, why: str) -> None:
        """The line is gone."""
        if self.state is not LineState.DOWN:
            self.state = LineState.DOWN
            self._tell(BoardEventKind.LOST, t_ns, why)
            self._light_lowered(t_ns)

    @property
    def dead(self) -> bool:
        """Nothing was heard for so long that the line should be opened anew."""
        return self._unanswered > UNANSWERED_LIMIT

    def take_output(self) -> bytes:
        """Bytes for the board since the last call."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def received(self, data: bytes, t_ns: int) -> None:
        """Bytes from the board."""
        for payload in self._decoder.feed(data):
            if payload == self._last_payload:
                continue
            self._last_payload = payload
            try:
                sequence, message = from_board(payload)
            except NotAMessage as fault:
                self._tell(BoardEventKind.PROTOCOL, t_ns, str(fault))
                continue
            self._unanswered = 0
            self._count(sequence, t_ns)
            self._hear(message, t_ns)

    def advance(self, t_ns: int, turns: int) -> int:
        """Send what is due.

        Parameters
        ----------
        t_ns
            Now.
        turns
            Any number that changes while the owner's loop turns: without a change neither a
            keep-alive nor a greeting is sent, and the board becomes safe by itself.

        Returns
        -------
        int
            When to come back at the latest, ns.
        """
        due_ns = [t_ns + self._keep_alive_ns]
        for transaction in self.rewards.open:
            if transaction.state is RewardState.REQUESTED:
                self._expire(transaction, t_ns)
        parted = self._parting and not self._safe_wanted
        if parted or self.state in (LineState.DOWN, LineState.REFUSED):
            return due_ns[0]
        if self._safe_wanted:
            if t_ns >= self._t_safe_ns:
                self._ask(Safe())
                self._t_safe_ns = t_ns + self._ack_ns
            return self._t_safe_ns
        if self.state is LineState.GREETING:
            return self._advance_greeting(t_ns, turns)
        due_ns.append(self._advance_keep_alive(t_ns, turns))
        if self.state is LineState.SETTLING:
            due_ns.append(self._advance_settling(t_ns))
        if self.state is LineState.READY:
            due_ns.append(self._advance_light(t_ns))
            due_ns.append(self._advance_rewards(t_ns))
        return min(due_ns)

    # ------------------------------------------------------------------ what is due

    def _greet(self, t_ns: int) -> None:
        self.state = LineState.GREETING
        self._t_greet_ns = t_ns

    def _advance_greeting(self, t_ns: int, turns: int) -> int:
        if t_ns >= self._t_greet_ns:
            if turns == self._turns:
                return t_ns + self._keep_alive_ns // 4
            self._turns = turns
            self._ask(self._hello)
            self._t_greet_ns = t_ns + self._ack_ns
        return self._t_greet_ns

    def _advance_keep_alive(self, t_ns: int, turns: int) -> int:
        if t_ns >= self._t_keep_alive_ns:
            if turns == self._turns:
                return t_ns + self._keep_alive_ns // 4
            self._turns = turns
            self._ask(KeepAlive())
            self._t_keep_alive_ns = t_ns + self._keep_alive_ns
        return self._t_keep_alive_ns

    def _advance_settling(self, t_ns: int) -> int:
        if not self._to_settle:
            self.state = LineState.READY
            return t_ns
        if t_ns >= self._t_settle_ns:
            self._ask_ring(self._to_settle[0])
            self._t_settle_ns = t_ns + self._ack_ns
        return self._t_settle_ns

    def _advance_light(self, t_ns: int) -> int:
        wanted = self._light_wanted
        if wanted is None or wanted == self._light_confirmed:
            return t_ns + self._keep_alive_ns
        if t_ns >= self._t_light_ns:
            self._light_sent = (self._ask(Light(int(wanted))), wanted)
            self._t_light_ns = t_ns + self._ack_ns
        return self._t_light_ns

    def _advance_rewards(self, t_ns: int) -> int:
        transaction = self.rewards.first(RewardState.SENT, RewardState.ACKNOWLEDGED)
        if transaction is None:
            transaction = self.rewards.first(RewardState.REQUESTED)
            if transaction is None:
                return t_ns + self._keep_alive_ns
            transaction.sequence = self._next_sequence()
            self._send_reward(transaction, t_ns)
            self._move(transaction, RewardState.SENT, t_ns)
            return transaction.t_again_ns
        if t_ns < transaction.t_again_ns:
            return transaction.t_again_ns
        if transaction.state is RewardState.ACKNOWLEDGED:
            self._ask_ring(transaction.request.request_id)
            transaction.t_again_ns = t_ns + self._ack_ns
        elif transaction.tries > self._retries:
            self._greet(t_ns)
            return t_ns
        else:
            self._send_reward(transaction, t_ns)
        return transaction.t_again_ns

    def _ask_ring(self, request_id: int) -> None:
        sequence = self._ask(Ring(request_id, 0))
        transaction = self.rewards.get(request_id)
        if transaction is not None:
            transaction.ring_sequence = sequence

    def _send_reward(self, transaction: Transaction, t_ns: int) -> None:
        width_us = min(transaction.width_us, U32_MAX)
        reward = Reward(transaction.request.request_id, width_us, 1, 0)
        self._out += reward.frame(transaction.sequence)
        transaction.tries += 1
        transaction.ring_sequence = 0
        transaction.t_again_ns = t_ns + self._ack_ns
        if self.identity is not None:
            transaction.losses = self.identity.losses

    def _expire(self, transaction: Transaction, t_ns: int) -> bool:
        age_ns = t_ns - transaction.t_requested_ns
        if age_ns <= self._pay_within_ns:
            return False
        detail = f"too late: not begun {age_ns / 1e9:.1f} s after it was earned"
        self._move(transaction, RewardState.FAILED, t_ns, detail=detail)
        return True

    # ------------------------------------------------------------------ what is heard

    def _hear(self, message: Message, t_ns: int) -> None:
        match message:
            case Identity():
                self._hear_identity(message, t_ns)
            case Status(state=DeviceState.SAFE) if self.state in (
                LineState.SETTLING,
                LineState.READY,
            ):
                self._hear_safe(_reason(message.reason), t_ns, message.t_us)
            case Ack():
                self._hear_ack(message, t_ns)
            case Nack():
                self._hear_nack(message, t_ns)
            case Done(request_id=request_id):
                self._end(request_id, RewardState.DONE, t_ns, message.t_open_us, message.opened_us)
            case Cut(request_id=request_id, opened_us=opened_us):
                detail = f"cut short by the board: {_reason(message.reason)}"
                self._end(request_id, RewardState.UNKNOWN, t_ns, message.t_us, opened_us, detail)
            case RingEntry():
                self._hear_ring(message, t_ns)
            case Event(kind=kind):
                if kind in _INPUTS:
                    event_kind = _INPUTS[InputKind(kind)]
                    detail = "" if event_kind is not BoardEventKind.AUX else InputKind(kind).name
                    self._tell(event_kind, t_ns, detail, message.t_us, float(message.value))

    def _hear_identity(self, identity: Identity, t_ns: int) -> None:
        if self.state is not LineState.GREETING or identity.session != self._session:
            return
        before, self.identity = self.identity, identity
        if before is not None and before.boot != identity.boot:
            self._tell_ready = True
        if self._tell_ready:
            self._tell_ready = False
            self._tell(BoardEventKind.CONNECTED, t_ns, identity.text)
        self._light_confirmed = None
        self._t_keep_alive_ns = t_ns + self._keep_alive_ns
        self._to_settle = [
            transaction.request.request_id
            for transaction in self.rewards.open
            if transaction.state is not RewardState.REQUESTED
        ]
        self._t_settle_ns = t_ns
        self.state = LineState.SETTLING

    def _hear_safe(self, why: str, t_ns: int, t_device_us: int | None) -> None:
        self._tell_ready = True
        self._tell(BoardEventKind.SAFE, t_ns, why, t_device_us)
        self._light_lowered(t_ns)
        self._greet(t_ns)

    def _hear_ack(self, ack: Ack, t_ns: int) -> None:
        if ack.request_type == Reward.TYPE:
            transaction = self.rewards.get(ack.argument)
            if transaction is not None and transaction.state is RewardState.SENT:
                self._acknowledge(transaction, t_ns)
        elif ack.request_type == Light.TYPE and ack.answered == self._light_sent[0]:
            self._light_confirmed = self._light_sent[1]
            self._tell(BoardEventKind.LIGHT, t_ns, value=float(self._light_confirmed))
        elif ack.request_type == Safe.TYPE and self._safe_wanted:
            self._safe_wanted = False
            if self.state in (LineState.SETTLING, LineState.READY):
                self._hear_safe(_reason(Reason.HOST_ASKED), t_ns, None)

    def _acknowledge(self, transaction: Transaction, t_ns: int) -> None:
        self._move(transaction, RewardState.ACKNOWLEDGED, t_ns)
        transaction.t_again_ns = t_ns + transaction.width_us * 1000 + self._ack_ns

    def _hear_nack(self, nack: Nack, t_ns: int) -> None:
        why = _reason(nack.reason)
        if nack.request_type == Reward.TYPE:
            transaction = self.rewards.get(nack.argument)
            if transaction is not None and transaction.state is RewardState.SENT:
                self._refused_reward(transaction, nack, t_ns)
        elif nack.request_type == Hello.TYPE and self.state is LineState.GREETING:
            self.state = LineState.REFUSED
            self.refusal = f"the board refused the greeting: {why}, its limit is {nack.argument}"
            self._tell(BoardEventKind.PROTOCOL, t_ns, self.refusal)
        elif nack.reason != Reason.SAFE_STATE:
            what = f"request type 0x{nack.request_type:02x}"
            self._tell(BoardEventKind.PROTOCOL, t_ns, f"the board refused {what}: {why}")

    def _refused_reward(self, transaction: Transaction, nack: Nack, t_ns: int) -> None:
        if transaction.tries > 1 and nack.reason != Reason.SAFE_STATE:
            # a second copy is on its way and may yet be accepted: the ring knows after both
            self._greet(t_ns)
        elif nack.reason == Reason.BUSY:
            if not self._expire(transaction, t_ns):
                transaction.tries = 0
                transaction.t_again_ns = t_ns + BUSY_RETRY_NS
        elif nack.reason == Reason.SAFE_STATE:
            if self.state in (LineState.SETTLING, LineState.READY):
                self._hear_safe(_reason(nack.reason), t_ns, None)
        else:
            detail = f"refused by the board: {_reason(nack.reason)}"
            self._move(transaction, RewardState.FAILED, t_ns, detail=detail)

    def _hear_ring(self, entry: RingEntry, t_ns: int) -> None:
        if entry.session != self._session or self.state is LineState.GREETING:
            return
        if entry.request_id in self._to_settle:
            self._to_settle.remove(entry.request_id)
            self._t_settle_ns = t_ns
        transaction = self.rewards.get(entry.request_id)
        if transaction is not None and not transaction.ended:
            self._settle(transaction, entry, t_ns)

    def _settle(self, transaction: Transaction, entry: RingEntry, t_ns: int) -> None:
        t_open_us = entry.t_open_us or None
        match entry.state:
            case RingState.DONE:
                opened_us, detail = entry.opened_us, "told by the ring"
                self._end(entry.request_id, RewardState.DONE, t_ns, t_open_us, opened_us, detail)
            case RingState.RUNNING:
                if transaction.state is RewardState.SENT:
                    self._acknowledge(transaction, t_ns)
            case RingState.INTERRUPTED:
                detail = "begun and not finished"
                self._end(
                    entry.request_id,
                    RewardState.UNKNOWN,
                    t_ns,
                    t_open_us,
                    entry.opened_us,
                    detail,
                )
            case _ if entry.answered != transaction.ring_sequence:
                pass  # asked before the reward was last sent: says nothing about that sending
            case _ if self._was_accepted(transaction):
                detail = "accepted, and forgotten by the board"
                self._move(transaction, RewardState.UNKNOWN, t_ns, detail=detail)
            case _ if transaction.forsaken:
                detail = "the board was made safe"
                self._move(transaction, RewardState.FAILED, t_ns, detail=detail)
            case _ if not self._expire(transaction, t_ns):
                transaction.tries = 0
                transaction.t_again_ns = t_ns

    def _was_accepted(self, transaction: Transaction) -> bool:
        """The board took it, or may have: it forgot things since."""
        forgot = self.identity is not None and transaction.losses != self.identity.losses
        return forgot or transaction.state is RewardState.ACKNOWLEDGED

    # ------------------------------------------------------------------ parts

    def _light_lowered(self, t_ns: int) -> None:
        if self._light_confirmed:
            self._tell(BoardEventKind.LIGHT, t_ns, "lowered by the safe state")
        self._light_confirmed = None

    def _count(self, sequence: int, t_ns: int) -> None:
        if self._board_sequence and sequence != next_sequence(self._board_sequence):
            lost = (sequence - self._board_sequence - 1) % 255
            detail = f"{lost} frames of the board lost; {self._decoder.bad_frames} damaged so far"
            # a restarted board counts from 1 again
            if sequence != 1:
                self._tell(BoardEventKind.PROTOCOL, t_ns, detail, value=float(lost))
        self._board_sequence = sequence

    def _next_sequence(self) -> int:
        self._sequence = next_sequence(self._sequence)
        return self._sequence

    def _ask(self, message: Message) -> int:
        self._unanswered += 1
        sequence = self._next_sequence()
        self._out += message.frame(sequence)
        return sequence

    def _end(
        self,
        request_id: int,
        state: RewardState,
        t_ns: int,
        t_device_us: int | None,
        opened_us: int,
        detail: str = "",
    ) -> None:
        transaction = self.rewards.get(request_id)
        if transaction is None or state not in TRANSITIONS[transaction.state]:
            return
        self._move(
            transaction, state, t_ns, t_device_us=t_device_us, opened_us=opened_us, detail=detail
        )

    def _move(
        self,
        transaction: Transaction,
        state: RewardState,
        t_ns: int,
        *,
        t_device_us: int | None = None,
        opened_us: int = 0,
        detail: str = "",
    ) -> None:
        self._publish(
            self.rewards.move(
                transaction.request.request_id,
                state,
                t_ns,
                t_device_us=t_device_us,
                opened_us=opened_us,
                detail=detail,
            )
        )

    def _tell(
        self,
        kind: BoardEventKind,
        t_ns: int,
        detail: str = "",
        t_device_us: int | None = None,
        value: float = 0.0,
        request_id: int = 0,
    ) -> None:
        self._publish(BoardEvent(request_id, kind, t_device_us, t_ns, value, detail))


def _reason(number: int) -> str:
    try:
        return Reason(number).name.lower().replace("_", " ")
    except ValueError:
        return f"reason {number}"
