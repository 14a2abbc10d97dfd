"""The host's side of the line as a pure state machine: messages and times in, bytes and events out.

It has no clock, thread or port: `link.py` gives it a serial line and real time, `virtual.py` a
simulated board and virtual time, and the tests a line that loses what they like.
"""

from collections.abc import Callable
from enum import StrEnum

from bci.config.rig import Board
from bci.core.board_types import BoardEvent, BoardEventKind, LightCommand, RewardRequest
from bci.core.rewards import BoardReward
from bci.hardware.board.arming import Arming
from bci.hardware.board.clock_questions import ClockQuestions
from bci.hardware.board.codes import DeviceState, InputKind, Reason, reason_in_words
from bci.hardware.board.delivery import Delivery
from bci.hardware.board.drop_log import DropLog
from bci.hardware.board.framing import FrameDecoder
from bci.hardware.board.light import LightRequests
from bci.hardware.board.outbox import Outbox
from bci.hardware.board.protocol import (
    PROTOCOL_VERSION,
    Ack,
    Arm,
    ClockTime,
    Cut,
    Done,
    Event,
    Gate,
    Hello,
    Identity,
    KeepAlive,
    Light,
    Message,
    Nack,
    NotAMessage,
    Reward,
    RingEntry,
    Safe,
    Set,
    Status,
    from_board,
    next_sequence,
)
from bci.hardware.board.recall import Recall
from bci.hardware.board.rewards import IllegalTransition, Rewards
from bci.hardware.board.values import ValueRequests

UNANSWERED_LIMIT = 5
"""Questions in a row without any answer after which the line counts as dead."""
GREETINGS_LIMIT = 15
"""The same before a board has said anything on this line: an Arduino that restarts as its port
opens listens after two seconds, and would restart for ever were it opened again before that."""
_U32_MAX = 0xFFFF_FFFF

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
      ╰──── line lost ─────╯  ╰── board safe, reset, reward in doubt ─────╯
                           ╰──► REFUSED (version, limits)
    ```
    """

    DOWN = "down"
    GREETING = "greeting"
    SETTLING = "settling"
    READY = "ready"
    REFUSED = "refused"


_GREETED = (LineState.SETTLING, LineState.READY)


class Conversation:
    """Greets the board, keeps it alive, and lets `Delivery` bring every reward to its end.

    Parameters
    ----------
    settings
        Of the board.
    session
        Any number that no earlier user of the board had, 1 to 2**32 - 1: request ids count from 1
        in every session, and the board's ring outlives sessions.
    publish
        Called with every `BoardEvent`.
    log
        Takes every reward before it is first sent; None: rewards go on no record.

    Attributes
    ----------
    state
        Where the conversation stands.
    hello
        Its greeting.
    identity
        What the board said of itself; None before it did.
    refusal
        Why the board will not serve us; empty: it has not refused.
    """

    REMEMBERS = True

    def __init__(
        self,
        settings: Board,
        session: int,
        publish: Callable[[BoardEvent], None],
        log: DropLog | None = None,
    ) -> None:
        valve = settings.valve
        self.state = LineState.DOWN
        self.identity: Identity | None = None
        self.refusal = ""
        self._publish = publish
        self._session = session
        self._name = settings.name
        self.hello = Hello(
            protocol=PROTOCOL_VERSION,
            session=session,
            max_open_us=min(round(valve.max_open_ms * 1000), _U32_MAX),
            duty_permille=max(1, int(valve.max_duty * 1000)),
            watchdog_ms=min(round(settings.watchdog_ms), 0xFFFF),
        )
        self._ack_ns = round(settings.ack_timeout_ms * 1e6)
        self._keep_alive_ns = round(settings.keep_alive_ms * 1e6)
        self._decoder = FrameDecoder()
        self._outbox = Outbox()
        self._delivery = Delivery(settings, self._outbox, publish, log)
        self._board_sequence = 0
        self._last_payload = b""
        self._turns = -1
        self._t_ask_ns = 0
        self._tell_connected = True
        self._light = LightRequests(self._outbox, self._ack_ns, self._tell)
        self._values = ValueRequests(settings.values, self._outbox, self._ack_ns, self._tell)
        self._clock = ClockQuestions(self._outbox, settings.clock_every_s, self._tell)
        self._recall = Recall(self._outbox, self._ack_ns)
        self._arming = Arming(self._outbox, self._ack_ns, self._tell)
        self._safe_wanted = False
        self._t_safe_ns = 0
        self._parting = False

    @property
    def rewards(self) -> Rewards:
        """All rewards of the session."""
        return self._delivery.rewards

    # ------------------------------------------------------------------ the owner asks

    def reward(self, request: RewardRequest, t_ns: int) -> None:
        """Take a reward; an id that was asked for before is refused with an event."""
        try:
            self._delivery.request(request, t_ns)
        except IllegalTransition as fault:
            self._tell(BoardEventKind.PROTOCOL, t_ns, str(fault), request_id=request.request_id)

    def light(self, command: LightCommand) -> None:
        """Want gate and light so; asked for until the board confirms it."""
        self._light.want(command)

    def arm(self, *, start: bool) -> None:
        """The next frame TTL is number 0; with start the scope is triggered as well."""
        self._arming.want(start=start)

    def recall(self) -> None:
        """Ask for every place of the ring; while it is asked, no reward must be."""
        if self.identity is not None:
            self._recall.want(self.identity.ring_size)

    @property
    def recalled(self) -> list[BoardReward] | None:
        """Rewards of the ring, the newest first; None: not all places are known yet."""
        return self._recall.recalled

    def safe(self, t_ns: int) -> None:
        """Shut everything; rewards not yet sent fail, none is sent again."""
        self._safe_wanted = True
        self._t_safe_ns = 0
        self._light.want_nothing()
        self._delivery.forsake(t_ns)

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
        self._delivery.finish(t_ns)

    # ------------------------------------------------------------------ the line

    def opened(self, t_ns: int) -> None:
        """The line is open: greet the board."""
        self._decoder.reset()
        self._outbox.open()
        self._board_sequence = 0
        self._last_payload = b""
        self._tell_connected = True
        self.refusal = ""
        self._greet(t_ns)

    def lost(self, t_ns: int, why: str) -> None:
        """The line is gone."""
        if self.state is not LineState.DOWN:
            self.state = LineState.DOWN
            self._tell(BoardEventKind.LOST, t_ns, why)
            self._light.lowered(t_ns)

    @property
    def dead(self) -> bool:
        """Nothing was heard for so long that the line should be opened anew."""
        limit = UNANSWERED_LIMIT if self._last_payload else GREETINGS_LIMIT
        return self._outbox.unanswered > limit

    def take_output(self) -> bytes:
        """Bytes for the board since the last call."""
        return self._outbox.take()

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
            self._outbox.unanswered = 0
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
        later_ns = t_ns + self._keep_alive_ns
        self._delivery.expire(t_ns)
        parted = self._parting and not self._safe_wanted
        if parted or self.state in (LineState.DOWN, LineState.REFUSED):
            return later_ns
        if self._safe_wanted:
            if t_ns >= self._t_safe_ns:
                self._outbox.ask(Safe())
                self._t_safe_ns = t_ns + self._ack_ns
            return self._t_safe_ns
        if self.state is LineState.GREETING:
            return self._ask_in_turn(self.hello, self._ack_ns, t_ns, turns)
        due_ns = self._ask_in_turn(KeepAlive(), self._keep_alive_ns, t_ns, turns)
        if self.state is LineState.SETTLING and self._delivery.settled:
            self.state = LineState.READY
        if self.state is LineState.SETTLING:
            return min(due_ns, self._delivery.advance_settling(t_ns))
        errands = (
            self._recall,
            self._arming,
            self._delivery,
            self._values,
            self._light,
            self._clock,
        )
        for errand in errands:
            due_ns = min(due_ns, errand.advance(t_ns) or later_ns)
        return self._greet_if_doubtful(t_ns) or due_ns

    # ------------------------------------------------------------------ what is due

    def _greet(self, t_ns: int) -> None:
        self.state = LineState.GREETING
        self._t_ask_ns = t_ns

    def _greet_if_doubtful(self, t_ns: int) -> int | None:
        if not self._delivery.doubtful:
            return None
        self._delivery.doubtful = False
        if self.state in _GREETED:
            self._greet(t_ns)
        return t_ns

    def _ask_in_turn(self, question: Message, again_ns: int, t_ns: int, turns: int) -> int:
        """Ask what feeds the board's watchdog: only if the loop turned since the last time."""
        if t_ns >= self._t_ask_ns:
            if turns == self._turns:
                return t_ns + self._keep_alive_ns // 4
            self._turns = turns
            self._outbox.ask(question)
            self._t_ask_ns = t_ns + again_ns
        return self._t_ask_ns

    # ------------------------------------------------------------------ what is heard

    def _hear(self, message: Message, t_ns: int) -> None:
        match message:
            case Identity():
                self._hear_identity(message, t_ns)
            case Status(state=DeviceState.SAFE):
                self._hear_safe(message.reason, t_ns, message.t_us)
            case Ack():
                self._hear_ack(message, t_ns)
            case Nack():
                self._hear_nack(message, t_ns)
            case Done():
                self._delivery.hear_done(message, t_ns)
            case Cut():
                self._delivery.hear_cut(message, t_ns)
            case ClockTime():
                self._clock.hear(message, t_ns)
            case RingEntry() if self._recall.is_answer(message):
                self._recall.hear(message)
            case RingEntry(session=self._session) if self.state in _GREETED:
                self._delivery.hear_ring(message, t_ns)
            case Event(kind=kind) if kind in _INPUTS:
                event_kind = _INPUTS[InputKind(kind)]
                detail = InputKind(kind).name if event_kind is BoardEventKind.AUX else ""
                self._tell(event_kind, t_ns, detail, message.t_us, float(message.value))
        self._greet_if_doubtful(t_ns)

    def _hear_identity(self, identity: Identity, t_ns: int) -> None:
        if self.state is not LineState.GREETING or identity.session != self._session:
            return
        if self._name not in (None, identity.label):
            named = f"it is {identity.label!r}, rig.board.name is {self._name!r}"
            self._refused(f"another board is at this port: {named}", t_ns)
            return
        before, self.identity = self.identity, identity
        restarted = before is not None and before.boot != identity.boot
        if self._tell_connected or restarted:
            self._tell_connected = False
            self._tell(BoardEventKind.CONNECTED, t_ns, identity.text)
        self._values.greeted()
        self._light.greeted()
        self._clock.greeted()
        self._t_ask_ns = t_ns + self._keep_alive_ns
        self._delivery.begin_settling((identity.label, identity.losses), t_ns)
        self.state = LineState.SETTLING

    def _hear_safe(self, reason: int, t_ns: int, t_device_us: int | None = None) -> None:
        if self.state in _GREETED:
            self._tell_connected = True
            self._tell(BoardEventKind.SAFE, t_ns, reason_in_words(reason), t_device_us)
            self._light.lowered(t_ns)
            self._greet(t_ns)

    def _hear_ack(self, ack: Ack, t_ns: int) -> None:
        if ack.request_type == Reward.TYPE:
            self._delivery.hear_ack(ack, t_ns)
        elif ack.request_type == Arm.TYPE:
            self._arming.hear_ack(ack, t_ns)
        elif ack.request_type in (Light.TYPE, Gate.TYPE):
            self._light.hear_ack(ack, t_ns)
        elif ack.request_type == Set.TYPE:
            self._values.hear(ack, t_ns)
        elif ack.request_type == Safe.TYPE and self._safe_wanted:
            self._safe_wanted = False
            self._hear_safe(Reason.HOST_ASKED, t_ns)

    def _hear_nack(self, nack: Nack, t_ns: int) -> None:
        why = reason_in_words(nack.reason)
        if nack.reason == Reason.SAFE_STATE:
            self._hear_safe(nack.reason, t_ns)
        elif nack.request_type == Reward.TYPE:
            self._delivery.hear_nack(nack, t_ns)
        elif nack.request_type == Set.TYPE:
            self._values.hear(nack, t_ns)
        elif nack.request_type == Hello.TYPE and self.state is LineState.GREETING:
            limit = f"its limit is {nack.argument}"
            self._refused(f"the board refused the greeting: {why}, {limit}", t_ns)
        else:
            what = f"request type 0x{nack.request_type:02x}"
            self._tell(BoardEventKind.PROTOCOL, t_ns, f"the board refused {what}: {why}")

    def _refused(self, why: str, t_ns: int) -> None:
        self.state = LineState.REFUSED
        self.refusal = why
        self._tell(BoardEventKind.PROTOCOL, t_ns, why)

    def _count(self, sequence: int, t_ns: int) -> None:
        expected = next_sequence(self._board_sequence)
        # a restarted board counts from 1 again
        if self._board_sequence and sequence not in (expected, 1):
            lost = (sequence - expected) % 255
            detail = f"{lost} frames of the board lost; {self._decoder.bad_frames} damaged so far"
            self._tell(BoardEventKind.PROTOCOL, t_ns, detail, value=float(lost))
        self._board_sequence = sequence

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
