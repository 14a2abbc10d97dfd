"""Host and device on virtual time over a line that does its worst: each reward once, or told."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bci.config.rig import Board, BoardValues
from bci.core.board_types import BoardEvent, BoardEventKind, LightCommand, RewardRequest
from bci.core.rewards import RewardFate
from bci.hardware.board.codes import InputKind, Pin, Reason, reason_in_words
from bci.hardware.board.conversation import Conversation, LineState
from bci.hardware.board.device import Device
from bci.hardware.board.framing import encode_frame
from bci.hardware.board.outbox import Outbox
from bci.hardware.board.outputs import Edge
from bci.hardware.board.protocol import BOARD_MESSAGES, Ack, Done, Nack, Reward, Set
from bci.hardware.board.values import ValueRequests

SETTINGS = Board(kind="simulated", ack_timeout_ms=50.0, clock_every_s=1e6)
VOLUME_UL = 4.0
WIDTH_US = 40_000
LIGHT_KINDS = (BoardEventKind.GATE, BoardEventKind.LIGHT)


class Line:
    """Both ends and the wire between them; `spoil` does what it likes to the bytes."""

    def __init__(self, board: Board = SETTINGS, seed: int = 0) -> None:
        self.events: list[BoardEvent] = []
        self.edges: list[Edge] = []
        self.host = Conversation(board, 1234, self.events.append)
        self.device = Device()
        self.random = random.Random(seed)
        self.lose = self.flip = self.repeat = 0.0
        self.plugged = False
        self.turning = True
        self.t_us = 0
        self.turns = 0
        self.plug()

    def plug(self) -> None:
        if not self.plugged:
            self.plugged = True
            self.host.opened(self.t_us * 1000)

    def unplug(self) -> None:
        if self.plugged:
            self.plugged = False
            self.host.lost(self.t_us * 1000, "unplugged")

    def spoil(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if self.random.random() < self.lose:
                continue
            flipped = byte ^ (1 << self.random.randrange(8))
            out.append(flipped if self.random.random() < self.flip else byte)
        return bytes(out) * (2 if self.random.random() < self.repeat else 1)

    def run(self, duration_us: int) -> None:
        t_end_us = self.t_us + duration_us
        while True:
            due_us = self._exchange()
            if due_us > t_end_us:
                break
            self.t_us = due_us
        self.t_us = t_end_us

    def _exchange(self) -> int:
        self.turns += self.turning
        due_ns = self.host.advance(self.t_us * 1000, self.turns)
        out = self.host.take_output()
        self.device.receive(self.spoil(out) if self.plugged else b"", self.t_us)
        self.edges += self.device.take_edges()
        answer = self.device.take_output()
        if self.plugged:
            self.host.received(self.spoil(answer), self.t_us * 1000)
            if self.host.dead:
                self.unplug()
                self.plug()
        if answer:
            return self.t_us + 100
        due_us = max(-(-due_ns // 1000), self.t_us + 500)
        device_us = self.device.next_deadline_us
        return due_us if device_us is None else min(due_us, max(device_us, self.t_us + 1))

    def reward(self, request_id: int) -> None:
        self.host.reward(RewardRequest(request_id, VOLUME_UL, trial=1), self.t_us * 1000)

    def openings(self) -> Counter[int]:
        return Counter(e.request_id for e in self.edges if e.pin is Pin.VALVE and e.level)

    def longest_us(self) -> int:
        valve = [edge.t_us for edge in self.edges if edge.pin is Pin.VALVE]
        pairs = zip(valve[::2], valve[1::2], strict=False)
        return max((down - up for up, down in pairs), default=0)

    def kinds(self, request_id: int = 0) -> list[BoardEventKind]:
        return [event.kind for event in self.events if event.request_id == request_id]

    def state(self, request_id: int) -> RewardFate:
        transaction = self.host.rewards.get(request_id)
        assert transaction is not None
        return transaction.fate


def ready(board: Board = SETTINGS, seed: int = 0) -> Line:
    line = Line(board, seed)
    line.run(10_000)
    assert line.host.state is LineState.READY
    return line


def test_reward_passes_through_every_state_once() -> None:
    line = ready()
    line.reward(1)
    line.run(100_000)
    assert line.kinds(1) == [
        BoardEventKind.REWARD_REQUESTED,
        BoardEventKind.REWARD_SENT,
        BoardEventKind.REWARD_ACKNOWLEDGED,
        BoardEventKind.REWARD_DONE,
    ]
    done = line.events[-1]
    assert done.value == WIDTH_US
    assert done.t_device_us == line.edges[0].t_us


@given(seed=st.integers(0, 2**32), rate=st.sampled_from([0.002, 0.01, 0.03]))
@settings(max_examples=40)
def test_lost_flipped_and_repeated_bytes_both_ways_still_pay_each_reward_once(
    seed: int, rate: float
) -> None:
    line = ready(SETTINGS.model_copy(update={"pay_within_s": 60.0}), seed)
    line.lose, line.flip, line.repeat = rate, rate, 0.1
    for request_id in range(1, 6):
        line.reward(request_id)
        line.run(400_000)
    line.lose = line.flip = 0.0
    line.run(3_000_000)
    assert line.openings() == dict.fromkeys(range(1, 6), 1) or cut_is_unknown(line)
    assert line.host.rewards.n_open == 0


def cut_is_unknown(line: Line) -> bool:
    """So many keep-alives were lost that the watchdog cut a pulse: given in part, and said so."""
    openings = line.openings()
    for request_id in range(1, 6):
        reasons = [e.detail for e in line.events if e.request_id == request_id and e.detail]
        assert openings[request_id] == 1
        if line.state(request_id) is RewardFate.UNKNOWN:
            assert "cut short" in reasons[-1] or "not finished" in reasons[-1]
    return True


def test_lost_acknowledgement_is_made_up_by_a_repetition() -> None:
    line = ready()
    line.reward(1)
    line.host.advance(line.t_us * 1000, line.turns)
    line.host.take_output()  # never arrives
    line.run(200_000)
    assert line.state(1) is RewardFate.DONE
    assert line.openings() == {1: 1}


def test_board_that_never_acknowledges_is_paid_once_and_settled() -> None:
    line = ready()
    hear = line.host._hear
    line.host._hear = lambda message, t_ns: (  # type: ignore[method-assign]
        None
        if getattr(message, "request_type", 0) == Reward.TYPE or isinstance(message, Done)
        else hear(message, t_ns)
    )
    line.reward(1)
    line.run(2_000_000)
    assert line.state(1) is RewardFate.DONE
    assert line.events[-1].detail == "told by the ring"
    assert line.openings() == {1: 1}


def test_unplugged_in_a_pulse_is_settled_from_the_ring() -> None:
    line = ready()
    line.reward(1)
    line.run(20_000)
    line.unplug()
    line.run(1_000_000)
    assert line.state(1) is RewardFate.ACKNOWLEDGED
    line.plug()
    line.run(200_000)
    assert line.state(1) is RewardFate.DONE
    assert (line.openings(), line.longest_us()) == ({1: 1}, WIDTH_US)
    assert line.kinds().count(BoardEventKind.CONNECTED) == 2


def test_reward_earned_while_unplugged_is_paid_after_the_reconnection() -> None:
    line = ready()
    line.unplug()
    line.reward(1)
    line.run(2_000_000)
    assert line.openings() == {}
    line.plug()
    line.run(200_000)
    assert line.state(1) is RewardFate.DONE


def test_reward_that_comes_too_late_fails_and_is_never_given() -> None:
    line = ready()
    line.unplug()
    line.reward(1)
    line.run(6_000_000)
    assert line.state(1) is RewardFate.FAILED
    assert line.events[-1].detail.startswith("too late")
    line.plug()
    line.run(1_000_000)
    assert line.openings() == {}


def test_reset_in_a_pulse_is_unknown_counted_and_never_repeated() -> None:
    line = ready()
    line.reward(1)
    line.run(20_000)
    line.device.reset(line.t_us)
    line.run(3_000_000)
    assert line.state(1) is RewardFate.UNKNOWN
    assert line.openings() == {1: 1}
    assert line.host.rewards.totals.volume_ul == VOLUME_UL
    line.reward(2)
    line.run(200_000)
    assert line.state(2) is RewardFate.DONE


def test_reset_that_lost_the_ring_makes_a_sent_reward_unknown() -> None:
    line = ready()
    line.reward(1)
    line.host.advance(line.t_us * 1000, line.turns)
    line.host.take_output()
    line.device.reset(line.t_us, memory_lost=True)
    line.run(3_000_000)
    assert line.state(1) is RewardFate.UNKNOWN
    assert line.openings() == {}


def test_loop_that_stops_turning_makes_the_board_safe_until_it_turns_again() -> None:
    line = ready()
    line.host.light(LightCommand(on=True, gate=False))
    line.run(50_000)
    line.turning = False
    line.run(2_000_000)
    assert line.host.state is LineState.GREETING
    safe = [event for event in line.events if event.kind is BoardEventKind.SAFE]
    assert [event.detail for event in safe] == ["host silent"]
    line.reward(1)
    line.run(1_000_000)
    assert line.openings() == {}
    line.turning = True
    line.run(300_000)
    assert line.state(1) is RewardFate.DONE
    lights = [e.value for e in line.events if e.kind is BoardEventKind.LIGHT]
    assert lights == [1.0, 0.0, 1.0]


def frames_with(line: Line, n_frames: int) -> list[tuple[Pin, int]]:
    """Edges of gate and light over frame TTLs at the board's own period."""
    first = len(line.edges)
    for _ in range(n_frames):
        line.device.input(InputKind.FRAME_TTL, 1, line.t_us)
        line.run(33_000)
    return [(e.pin, e.level) for e in line.edges[first:] if e.pin in (Pin.GATE, Pin.LIGHT)]


def test_gate_runs_with_and_without_light_and_the_light_never_without_it() -> None:
    line = ready()
    line.host.light(LightCommand(on=True, gate=True))
    line.run(300_000)
    pulse = [(Pin.GATE, 1), (Pin.LIGHT, 1), (Pin.LIGHT, 0), (Pin.GATE, 0)]
    assert frames_with(line, 3) == pulse * 3
    line.host.light(LightCommand(on=False, gate=True))
    line.run(300_000)
    assert frames_with(line, 2) == [(Pin.GATE, 1), (Pin.GATE, 0)] * 2
    line.host.light(LightCommand(on=False, gate=False))
    line.run(300_000)
    assert frames_with(line, 2) == []
    told = [(e.kind.value, e.value) for e in line.events if e.kind in LIGHT_KINDS]
    assert told == [("gate", 1), ("light", 1), ("light", 0), ("light", 0), ("gate", 0)]


def test_board_that_comes_back_has_its_gate_again() -> None:
    line = ready()
    line.lose = 0.05
    line.host.light(LightCommand(on=True, gate=True))
    line.run(1_000_000)
    line.device.reset(line.t_us)
    line.run(1_000_000)
    # a board that hears nothing for 300 ms is safe, and on such a line that may be now
    line.lose = 0.0
    line.run(1_000_000)
    pulse = {(Pin.GATE, 1), (Pin.LIGHT, 1), (Pin.LIGHT, 0), (Pin.GATE, 0)}
    assert set(frames_with(line, 4)) == pulse


def test_safe_cuts_the_pulse_and_drops_what_waits() -> None:
    line = ready()
    line.reward(1)
    line.reward(2)
    line.run(20_000)
    line.host.safe(line.t_us * 1000)
    line.run(1_000_000)
    assert (line.state(1), line.state(2)) == (RewardFate.UNKNOWN, RewardFate.FAILED)
    assert line.openings() == {1: 1}
    assert line.longest_us() < WIDTH_US
    line.reward(3)
    line.run(200_000)
    assert line.state(3) is RewardFate.DONE


def test_same_id_twice_is_one_reward_and_a_fault() -> None:
    line = ready()
    line.reward(1)
    line.reward(1)
    line.run(300_000)
    assert line.openings() == {1: 1}
    assert line.kinds(1).count(BoardEventKind.PROTOCOL) == 1


def test_reward_wider_than_the_limit_fails_with_the_reason() -> None:
    line = ready()
    line.host.reward(RewardRequest(1, 60.0, trial=1), line.t_us * 1000)
    line.run(100_000)
    assert line.state(1) is RewardFate.FAILED
    assert line.events[-1].detail == "refused by the board: width"


def test_board_that_refuses_the_limits_is_not_used() -> None:
    valve = SETTINGS.valve.model_copy(update={"max_open_ms": 5_000.0})
    line = Line(SETTINGS.model_copy(update={"valve": valve}))
    line.run(100_000)
    assert line.host.state is LineState.REFUSED
    assert "out of range, its limit is 1000000" in line.host.refusal


def test_line_closed_for_good_leaves_no_reward_open() -> None:
    line = ready()
    line.reward(1)
    line.run(5_000)
    line.unplug()
    line.reward(2)
    line.host.finish(line.t_us * 1000)
    assert (line.state(1), line.state(2)) == (RewardFate.UNKNOWN, RewardFate.FAILED)


@given(st.lists(st.binary(max_size=200), max_size=30))
def test_no_bytes_from_the_board_upset_the_host(pieces: list[bytes]) -> None:
    line = ready()
    line.reward(1)
    for piece in pieces:
        line.host.received(piece, line.t_us * 1000)
        line.run(3_000)
    line.host.received(b"\x00", line.t_us * 1000)
    line.run(1_000_000)
    assert line.state(1) is RewardFate.DONE


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 255), st.binary(max_size=46))))
def test_no_wellformed_frame_of_a_broken_board_upsets_the_host(
    frames: list[tuple[int, int, bytes]],
) -> None:
    line = ready()
    line.reward(1)
    line.run(1_000)
    for number, sequence, noise in frames:
        kind = BOARD_MESSAGES[number - 1]
        body = (noise * 50 + bytes(50))[: kind.LAYOUT.size]
        line.host.received(encode_frame(bytes((kind.TYPE, sequence)) + body), line.t_us * 1000)
        line.run(1_000)
    assert line.openings() == {1: 1}


class WorstLine(RuleBasedStateMachine):
    """Anything may happen to the line, the board and the loop, in any order, at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Line(SETTINGS, seed=7)
        self.next_id = 1

    @rule(wait_us=st.integers(0, 60_000))
    def wait(self, wait_us: int) -> None:
        self.line.run(wait_us)

    @rule(wait_us=st.integers(100_000, 1_500_000))
    def wait_long(self, wait_us: int) -> None:
        self.line.run(wait_us)

    @rule(wait_us=st.integers(0, 45_000))
    def reward(self, wait_us: int) -> None:
        self.line.reward(self.next_id)
        self.next_id += 1
        self.line.run(wait_us)

    @rule(lose=st.sampled_from([0, 0.01, 0.2]), flip=st.sampled_from([0, 0.01, 0.2]))
    def weather(self, lose: float, flip: float) -> None:
        self.line.lose, self.line.flip, self.line.repeat = lose, flip, 0.1

    @rule()
    def unplug(self) -> None:
        self.line.unplug()

    @precondition(lambda self: not self.line.plugged)
    @rule()
    def plug(self) -> None:
        self.line.plug()

    @rule(lost=st.booleans())
    def reset(self, lost: bool) -> None:
        self.line.device.reset(self.line.t_us, memory_lost=lost)

    @rule(turning=st.booleans())
    def loop(self, turning: bool) -> None:
        self.line.turning = turning

    @rule()
    def safe(self) -> None:
        self.line.host.safe(self.line.t_us * 1000)

    @rule(garbage=st.binary(max_size=100))
    def garbage(self, garbage: bytes) -> None:
        self.line.device.receive(garbage, self.line.t_us)

    @invariant()
    def valve_is_safe(self) -> None:
        openings = self.line.openings()
        assert all(count == 1 for count in openings.values())
        assert self.line.longest_us() <= WIDTH_US

    def teardown(self) -> None:
        line = self.line
        line.lose = line.flip = line.repeat = 0.0
        line.turning = True
        line.plug()
        line.run(8_000_000)
        assert line.host.rewards.n_open == 0
        openings = line.openings()
        for request_id in range(1, self.next_id):
            state = line.state(request_id)
            if state is RewardFate.DONE:
                assert openings[request_id] == 1
            elif state is RewardFate.FAILED:
                assert openings[request_id] == 0
        assert line.device.level(Pin.VALVE) == 0


WorstLine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestWorstLine = WorstLine.TestCase


def test_reasons_read_as_words() -> None:
    assert reason_in_words(Reason.HOST_SILENT) == "host silent"
    assert reason_in_words(200) == "reason 200"


class RestartingLine(Line):
    """A board without a capacitor: it restarts as its port opens, and hears nothing for 2.2 s."""

    t_open_us = 0

    def plug(self) -> None:
        self.t_open_us = self.t_us
        super().plug()

    def spoil(self, data: bytes) -> bytes:
        return data if self.t_us - self.t_open_us > 2_200_000 else b""


def test_board_that_restarts_as_its_port_opens_is_waited_for() -> None:
    line = RestartingLine(Board(kind="simulated"))
    line.run(4_000_000)
    assert line.host.state is LineState.READY
    assert line.t_open_us == 0  # its port was never opened anew


@pytest.mark.parametrize("t_us", [0, 10, 39_999])
def test_dead_line_at_any_moment_of_a_pulse_shuts_within_the_watchdog(t_us: int) -> None:
    valve = SETTINGS.valve.model_copy(update={"ms_per_ul": 120.0})
    line = ready(SETTINGS.model_copy(update={"valve": valve}))
    line.reward(1)
    line.run(t_us)
    line.unplug()
    t_dead_us = line.t_us
    line.run(1_000_000)
    shut = [edge.t_us for edge in line.edges if edge.pin is Pin.VALVE and not edge.level]
    assert len(line.openings()) == len(shut)
    assert all(t - t_dead_us <= 300_000 for t in shut)


def test_values_of_the_settings_are_told_after_each_greeting_and_obeyed() -> None:
    values = {"frame_period_us": 10_000, "gate_us": 3_000}
    line = ready(SETTINGS.model_copy(update={"values": BoardValues.model_validate(values)}))
    line.host.light(LightCommand(on=False, gate=True))
    for _ in range(2):
        line.run(50_000)
        before = len(line.edges)
        for _ in range(5):  # by its default the board would not obey frames as fast as these
            line.device.input(InputKind.FRAME_TTL, 1, line.t_us)
            line.run(10_000)
        times = [edge.t_us for edge in line.edges[before:] if edge.pin is Pin.GATE]
        assert [b - a for a, b in zip(times[::2], times[1::2], strict=True)] == [3_000] * 5
        line.device.reset(line.t_us)


def test_value_that_the_board_refuses_is_told_and_the_next_is_asked() -> None:
    told: list[str] = []
    outbox = Outbox()
    values = BoardValues(lick_threshold=600, gate_us=9_000)
    requests = ValueRequests(values, outbox, 1_000, lambda *what: told.append(what[2]))
    requests.greeted()
    requests.advance(0)
    requests.hear(Nack(1, Set.TYPE, Reason.OUT_OF_RANGE, 500), 0)
    assert told == [
        "the board refused rig.board.values.lick_threshold = 600: out of range, its limit is 500"
    ]
    requests.advance(1)
    requests.hear(Ack(2, Set.TYPE, 0), 1)
    assert requests.advance(2) is None
