"""The simulated board as a pure state machine: bytes and times in, bytes and edges out.

It has no clock and no thread and obeys docs/board-protocol.md to the microsecond, so it serves
behind a socket (`simulated.py`), on virtual time (`virtual.py`) and in the tests.
"""

from collections.abc import Callable

from bci.hardware.board.codes import (
    Capability,
    DeviceState,
    InputKind,
    Pin,
    Reason,
    RingState,
    SetKey,
)
from bci.hardware.board.duty import DutyLimit
from bci.hardware.board.framing import FrameDecoder
from bci.hardware.board.gate import GateTimer
from bci.hardware.board.input_counts import InputCounts
from bci.hardware.board.limits import HARD_MAX_OPEN_US, MIN_GAP_US, MIN_OPEN_US, greeting_fault
from bci.hardware.board.memory import RING_SIZE, Memory, Remembered
from bci.hardware.board.outputs import Edge, Outputs
from bci.hardware.board.protocol import (
    NAME_BYTES,
    PROTOCOL_VERSION,
    Ack,
    Arm,
    Clock,
    ClockTime,
    Count,
    Cut,
    Done,
    Event,
    Gate,
    Health,
    Hello,
    Identity,
    Keep,
    KeepAlive,
    Learn,
    Light,
    Message,
    Nack,
    Name,
    NotAMessage,
    Reward,
    Ring,
    Safe,
    SelfTest,
    Set,
    Status,
    from_host,
    next_sequence,
)
from bci.hardware.board.valve import Valve

FIRMWARE = 0x0101
SCOPE_PULSE_US = 1_000
SUPPLY_MV = 5_000
_SET_KEYS = frozenset(SetKey)
CAPABILITIES = (
    Capability.VALVE
    | Capability.LIGHT
    | Capability.GATE
    | Capability.FRAME_TTL
    | Capability.PHOTODIODE
    | Capability.SCOPE
)


class Device:
    """A board: valve, light, PMT gate, scope trigger.

    Parameters
    ----------
    memory
        What an earlier life left behind; changed in place.
    t_us
        Time of power-on. All times given are on one rising scale; the board's own clock is
        that scale since its last reset.
    name
        ASCII, at most 12 characters.
    save
        Called after every change of `memory`, before the output that it announces.
    """

    def __init__(
        self,
        memory: Memory | None = None,
        t_us: int = 0,
        name: str = "simulated",
        save: Callable[[Memory], None] | None = None,
    ) -> None:
        self.memory = memory if memory is not None else Memory()
        self._name = name.encode("ascii")[:NAME_BYTES]
        self._save = save if save is not None else _forget
        self._t_us = t_us
        self._out = bytearray()
        self._outputs = Outputs()
        self._boot()

    @property
    def state(self) -> DeviceState:
        """SAFE or READY."""
        return self._state

    @property
    def next_deadline_us(self) -> int | None:
        """When `advance` has something to do next; None: nothing is running."""
        edges = (self._valve.next_edge_us, self._gate.next_edge_us, self._t_scope_us)
        deadlines = [t_us for t_us in edges if t_us is not None]
        if self._state is DeviceState.READY:
            deadlines.append(self._t_fed_us + self._watchdog_us)
        return min(deadlines, default=None)

    def level(self, pin: Pin) -> int:
        """Level of an output now."""
        return self._outputs.level(pin)

    def take_output(self) -> bytes:
        """Bytes for the host since the last call."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def take_edges(self) -> list[Edge]:
        """Output edges since the last call, in order."""
        return self._outputs.take_edges()

    def receive(self, data: bytes, t_us: int) -> None:
        """Bytes from the host, all at one time, after everything due before it."""
        self.advance(t_us)
        for payload in self._decoder.feed(data):
            try:
                sequence, message = from_host(payload)
            except NotAMessage as fault:
                self._refuse(fault.sequence, fault.message_type, fault.reason)
            else:
                self._obey(sequence, message)

    def advance(self, t_us: int) -> None:
        """Do what is due until t_us, each thing at its own time."""
        while (due_us := self.next_deadline_us) is not None and due_us <= t_us:
            self._t_us = max(self._t_us, due_us)
            self._do_due()
        self._t_us = max(self._t_us, t_us)

    def reset(self, t_us: int, *, memory_lost: bool = False) -> None:
        """The reset line, the hardware watchdog or a loss of power (marks may be lost)."""
        self.advance(t_us)
        self._lower_all()
        if memory_lost:
            self.memory.entries.clear()
        self._boot(lost=memory_lost)

    def input(self, kind: InputKind, value: int, t_us: int) -> None:
        """An edge at an input; a frame TTL also starts the gate."""
        self.advance(t_us)
        value = self._inputs.change(kind, value)
        if kind is InputKind.FRAME_TTL and self._state is DeviceState.READY:
            self._gate.frame(self._t_us)
            self._drive_gate()
        self._tell(Event(kind, self._now_us, value))

    @property
    def _now_us(self) -> int:
        return self._t_us - self._t_boot_us

    def _boot(self, *, lost: bool = False) -> None:
        self.memory.restart(lost=lost)
        self._save(self.memory)
        self._state = DeviceState.SAFE
        self._reason = Reason.RESET
        self._t_boot_us = self._t_us
        self._decoder = FrameDecoder()
        self._sequence = 0
        self._session = 0
        self._max_open_us = 0
        self._watchdog_us = 0
        self._t_fed_us = self._t_us
        self._valve = Valve()
        self._entry: Remembered | None = None
        self._duty = DutyLimit()
        self._gate = GateTimer()
        self._inputs = InputCounts()
        self._armed_by = 0
        self._t_scope_us: int | None = None
        self._tell_status(0)

    # ------------------------------------------------------------------ requests

    def _obey(self, sequence: int, message: Message) -> None:
        match message:
            case Hello():
                self._hello(sequence, message)
            case KeepAlive():
                self._t_fed_us = self._t_us
                self._tell_status(sequence)
            case Reward():
                self._reward(sequence, message)
            case Safe():
                self._make_safe(Reason.HOST_ASKED)
                self._tell(Ack(sequence, message.TYPE, 0))
            case Clock():
                self._tell(ClockTime(sequence, self._now_us))
            case Ring():
                self._tell(self.memory.told(sequence, self._session, message))
            case Count():
                self._tell(self._inputs.told(sequence))
            case SelfTest():
                self._tell(Health(sequence, 0, 0, 0, SUPPLY_MV, 0, 0))
            case _ if self._state is DeviceState.SAFE:
                self._refuse(sequence, message.TYPE, Reason.SAFE_STATE)
            case Light(on=value) | Gate(mode=value) | Arm(start=value) | Learn(white=value) if (
                value > 1
            ):
                self._refuse(sequence, message.TYPE, Reason.OUT_OF_RANGE, 1)
            case _:
                self._switch(sequence, message)

    def _switch(self, sequence: int, message: Message) -> None:
        match message:
            case Light(on=on):
                self._gate.allow_light(bool(on))
            case Gate(mode=mode):
                self._gate.enable(bool(mode))
            case Arm() if sequence == self._armed_by:
                pass  # the same request again: the scope is not triggered twice
            case Arm(start=start):
                self._armed_by = sequence
                self._inputs.arm()
                if start:
                    self._set(Pin.SCOPE, 1)
                    self._t_scope_us = self._t_us + SCOPE_PULSE_US
            case Set(key=key, value=value):
                if key not in _SET_KEYS:
                    self._refuse(sequence, message.TYPE, Reason.OUT_OF_RANGE, key)
                    return
                self._gate.set(SetKey(key), value)
            case Name(name=name):
                self._name = name
            case Learn() | Keep():
                pass  # nothing is measured here, and nothing but rewards outlives a reset
        self._drive_gate()
        self._tell(Ack(sequence, message.TYPE, 0))

    def _hello(self, sequence: int, hello: Hello) -> None:
        fault = greeting_fault(hello)
        if fault is not None:
            self._refuse(sequence, hello.TYPE, *fault)
            return
        if hello.session != self._session:
            # whoever spoke before is gone, and what it asked for goes with it
            self._make_safe(Reason.NEW_SESSION)
            # and its numbers: the same one is another request now
            self._armed_by = 0
        self._session = hello.session
        self._max_open_us = hello.max_open_us
        self._duty.permille = hello.duty_permille
        self._watchdog_us = hello.watchdog_ms * 1000
        self._t_fed_us = self._t_us
        self._state = DeviceState.READY
        self._reason = Reason.NONE
        self._tell(
            Identity(
                answered=sequence,
                protocol=PROTOCOL_VERSION,
                session=self._session,
                boot=self.memory.boot,
                losses=self.memory.losses,
                firmware=FIRMWARE,
                capabilities=CAPABILITIES,
                hard_max_open_us=HARD_MAX_OPEN_US,
                max_open_us=self._max_open_us,
                duty_permille=self._duty.permille,
                watchdog_ms=hello.watchdog_ms,
                ring_size=RING_SIZE,
                name=self._name,
            )
        )

    def _reward(self, sequence: int, request: Reward) -> None:
        if self._state is DeviceState.SAFE:
            self._refuse(sequence, request.TYPE, Reason.SAFE_STATE, request.request_id)
            return
        if self.memory.find(self._session, request.request_id) is not None:
            self._tell(Ack(sequence, request.TYPE, request.request_id))
            return
        reason = self._why_not(request)
        if reason is not Reason.NONE:
            self._refuse(sequence, request.TYPE, reason, request.request_id)
            return
        entry = self.memory.begin(self._session, request.request_id)
        self._save(self.memory)
        entry.t_open_us = self._now_us
        self._entry = entry
        self._valve.begin(request, self._t_us)
        self._drive_valve()
        self._tell(Ack(sequence, request.TYPE, request.request_id))

    def _why_not(self, request: Reward) -> Reason:
        if request.request_id == 0 or request.pulses == 0:
            return Reason.OUT_OF_RANGE
        if request.pulses > 1 and request.gap_us < MIN_GAP_US:
            return Reason.OUT_OF_RANGE
        if self._valve.running is not None:
            return Reason.BUSY
        if not MIN_OPEN_US <= request.width_us <= self._max_open_us:
            return Reason.WIDTH
        if not self._duty.allows(request.width_us * request.pulses, self._now_us):
            return Reason.DUTY
        return Reason.NONE

    # ------------------------------------------------------------------ time

    def _do_due(self) -> None:
        if _due(self._valve.next_edge_us, self._t_us):
            over = self._valve.advance(self._t_us)
            self._drive_valve()
            if over:
                entry = self._end_reward(RingState.DONE)
                self._tell(
                    Done(entry.request_id, entry.opened_us, entry.t_open_us, entry.t_close_us)
                )
        elif _due(self._t_scope_us, self._t_us):
            self._t_scope_us = None
            self._set(Pin.SCOPE, 0)
        elif _due(self._gate.next_edge_us, self._t_us):
            self._gate.advance(self._t_us)
            self._drive_gate()
        else:
            self._make_safe(Reason.HOST_SILENT)

    def _end_reward(self, state: RingState) -> Remembered:
        entry, self._entry = self._entry, None
        if entry is None:
            raise AssertionError("no reward is running")
        entry.state = state
        entry.opened_us = self._valve.opened_us
        entry.t_close_us = self._now_us
        self._duty.book(entry.opened_us, self._now_us)
        self._save(self.memory)
        return entry

    def _make_safe(self, reason: Reason) -> None:
        self._lower_all()
        if self._entry is not None:
            entry = self._end_reward(RingState.INTERRUPTED)
            self._tell(Cut(entry.request_id, reason, entry.opened_us, self._now_us))
        if self._state is DeviceState.READY:
            self._state = DeviceState.SAFE
            self._reason = reason
            self._tell_status(0)

    def _lower_all(self) -> None:
        self._valve.cut(self._t_us)
        self._drive_valve()
        self._gate.off()
        # the light before the gate that shields the PMT from it
        for pin in (Pin.LIGHT, Pin.GATE, Pin.SCOPE, Pin.SYNC):
            self._set(pin, 0)
        self._t_scope_us = None

    def _drive_valve(self) -> None:
        self._set(Pin.VALVE, self._valve.level, self._entry.request_id if self._entry else 0)

    def _drive_gate(self) -> None:
        order = (Pin.GATE, Pin.LIGHT) if self._gate.gate else (Pin.LIGHT, Pin.GATE)
        for pin in order:
            self._set(pin, self._gate.gate if pin is Pin.GATE else self._gate.light)

    def _set(self, pin: Pin, level: int, request_id: int = 0) -> None:
        self._outputs.set(pin, level, self._t_us, request_id)

    # ------------------------------------------------------------------ answers

    def _tell(self, message: Message) -> None:
        self._sequence = next_sequence(self._sequence)
        self._out += message.frame(self._sequence)

    def _refuse(self, sequence: int, message_type: int, reason: Reason, argument: int = 0) -> None:
        self._tell(Nack(sequence, message_type, reason, argument))

    def _tell_status(self, answered: int) -> None:
        bits, bad_frames = self._outputs.bits, self._decoder.bad_frames & 0xFFFF
        self._tell(Status(answered, self._state, self._reason, bits, bad_frames, self._now_us))


def _due(due_us: int | None, t_us: int) -> bool:
    return due_us is not None and due_us <= t_us


def _forget(memory: Memory) -> None:
    """Memory that lives as long as the process."""
