"""The simulated device obeys the protocol, whatever bytes it is fed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.hardware.board import protocol
from bci.hardware.board.codes import DeviceState, InputKind, Pin, Reason, RingState, SetKey
from bci.hardware.board.device import Device
from bci.hardware.board.framing import FrameDecoder, encode_frame
from bci.hardware.board.limits import HARD_MAX_OPEN_US
from bci.hardware.board.memory import RING_SIZE, Memory
from bci.hardware.board.outputs import Edge
from bci.hardware.board.protocol import (
    DUTY_WINDOW_US,
    Ack,
    Arm,
    Clock,
    ClockTime,
    Count,
    Counts,
    Cut,
    Done,
    Event,
    Gate,
    Health,
    Hello,
    Identity,
    KeepAlive,
    Light,
    Message,
    Nack,
    Reward,
    Ring,
    RingEntry,
    Safe,
    SelfTest,
    Set,
    Status,
    from_board,
)

MAX_OPEN_US = 200_000
HELLO = Hello(1, session=9, max_open_us=MAX_OPEN_US, duty_permille=100, watchdog_ms=300)


def tell(device: Device, message: Message, t_us: int, sequence: int = 1) -> list[Message]:
    device.receive(message.frame(sequence), t_us)
    return heard(device)


def heard(device: Device) -> list[Message]:
    return [from_board(payload)[1] for payload in FrameDecoder().feed(device.take_output())]


def greeted(memory: Memory | None = None) -> Device:
    device = Device(memory)
    device.take_output()
    [identity] = tell(device, HELLO, 0)
    assert isinstance(identity, Identity)
    return device


def valve(edges: list[Edge]) -> list[tuple[int, int]]:
    return [(edge.t_us, edge.level) for edge in edges if edge.pin is Pin.VALVE]


def reasons(answers: list[Message]) -> list[int]:
    return [answer.reason for answer in answers if isinstance(answer, Nack)]


def test_reward_opens_the_valve_at_once_for_exactly_the_width() -> None:
    device = greeted()
    assert tell(device, Reward(5, 40_000, 1, 0), 1_000, 3) == [Ack(3, Reward.TYPE, 5)]
    device.advance(100_000)
    assert heard(device) == [Done(5, 40_000, 1_000, 41_000)]
    assert valve(device.take_edges()) == [(1_000, 1), (41_000, 0)]


def test_repeated_reward_is_acknowledged_again_and_given_once() -> None:
    device = greeted()
    for t_us in (1_000, 2_000, 50_000, 90_000):
        assert tell(device, Reward(5, 40_000, 1, 0), t_us)[-1] == Ack(1, Reward.TYPE, 5)
    device.advance(200_000)
    assert len(valve(device.take_edges())) == 2


def test_train_of_pulses_is_one_reward() -> None:
    device = greeted()
    tell(device, Reward(5, 1_000, 3, 2_000), 0)
    device.advance(20_000)
    edges = [(0, 1), (1_000, 0), (3_000, 1), (4_000, 0), (6_000, 1), (7_000, 0)]
    assert valve(device.take_edges()) == edges
    assert heard(device) == [Done(5, 3_000, 0, 7_000)]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Reward(1, MAX_OPEN_US + 1, 1, 0), Reason.WIDTH),
        (Reward(1, 50, 1, 0), Reason.WIDTH),
        (Reward(1, 0xFFFF_FFFF, 255, 0xFFFF_FFFF), Reason.WIDTH),
        (Reward(0, 1_000, 1, 0), Reason.OUT_OF_RANGE),
        (Reward(1, 1_000, 0, 0), Reason.OUT_OF_RANGE),
        (Reward(1, 1_000, 2, 10), Reason.OUT_OF_RANGE),
        (Reward(1, 150_000, 7, 1_000), Reason.DUTY),
    ],
)
def test_unsafe_reward_is_refused_and_nothing_moves(request_: Reward, reason: Reason) -> None:
    device = greeted()
    assert reasons(tell(device, request_, 0)) == [reason]
    device.advance(100_000)
    assert device.take_edges() == []


def test_second_reward_during_a_pulse_is_refused_as_busy() -> None:
    device = greeted()
    tell(device, Reward(1, 40_000, 1, 0), 0)
    assert reasons(tell(device, Reward(2, 40_000, 1, 0), 10_000)) == [Reason.BUSY]


@given(st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(100, MAX_OPEN_US)), max_size=60))
def test_valve_is_never_open_for_more_than_its_share_of_any_ten_seconds(
    requests: list[tuple[int, int]],
) -> None:
    device, t_us = greeted(), 0
    for request_id, (wait_us, width_us) in enumerate(requests, 1):
        for _ in range(wait_us // 200_000 + 1):
            t_us += min(wait_us, 200_000)
            tell(device, KeepAlive(), t_us)
        tell(device, Reward(request_id, width_us, 1, 0), t_us)
    device.advance(t_us + 300_000)
    edges = valve(device.take_edges())
    pulses = [(up[0], down[0]) for up, down in zip(edges[::2], edges[1::2], strict=True)]
    for _, end_us in pulses:
        open_us = sum(
            min(down, end_us) - max(up, end_us - DUTY_WINDOW_US)
            for up, down in pulses
            if down > end_us - DUTY_WINDOW_US and up < end_us
        )
        assert open_us <= DUTY_WINDOW_US * HELLO.duty_permille // 1000


def test_host_silence_shuts_everything_at_the_watchdog_and_only_hello_ends_it() -> None:
    device = greeted()
    tell(device, KeepAlive(), 100_000)
    tell(device, Reward(1, MAX_OPEN_US, 1, 0), 250_000)
    device.advance(500_000)
    assert valve(device.take_edges()) == [(250_000, 1), (400_000, 0)]
    failed, status = heard(device)
    assert failed == Cut(1, Reason.HOST_SILENT, 150_000, 400_000)
    assert isinstance(status, Status)
    assert (status.state, status.reason) == (DeviceState.SAFE, Reason.HOST_SILENT)
    [status] = tell(device, KeepAlive(), 600_000)
    assert isinstance(status, Status)
    assert status.state == DeviceState.SAFE
    assert reasons(tell(device, Reward(2, 1_000, 1, 0), 610_000)) == [Reason.SAFE_STATE]
    assert reasons(tell(device, Light(1), 620_000)) == [Reason.SAFE_STATE]
    assert isinstance(tell(device, HELLO, 700_000)[0], Identity)
    assert tell(device, Reward(2, 1_000, 1, 0), 710_000) == [Ack(1, Reward.TYPE, 2)]


@pytest.mark.parametrize("question", [Reward(1, 1_000, 1, 0), Clock(), Ring(1, 0), Set(1, 1)])
def test_only_keep_alive_and_hello_feed_the_watchdog(question: Message) -> None:
    device = greeted()
    for t_us in range(0, 300_000, 20_000):
        tell(device, question, t_us)
    device.advance(300_000)
    assert device.state is DeviceState.SAFE


def test_safe_cuts_a_pulse_and_tells_how_long_it_was() -> None:
    device = greeted()
    tell(device, Reward(1, 40_000, 1, 0), 0)
    failed, status, ack = tell(device, Safe(), 15_000)
    assert failed == Cut(1, Reason.HOST_ASKED, 15_000, 15_000)
    assert isinstance(status, Status)
    assert ack == Ack(1, Safe.TYPE, 0)
    assert valve(device.take_edges()) == [(0, 1), (15_000, 0)]


def test_another_session_ends_what_the_first_one_began_and_shares_no_ids() -> None:
    device = greeted()
    tell(device, Reward(1, 40_000, 1, 0), 0)
    other = Hello(1, 10, MAX_OPEN_US, 100, 300)
    assert [type(answer) for answer in tell(device, other, 10_000)] == [Cut, Status, Identity]
    assert tell(device, Reward(1, 40_000, 1, 0), 20_000) == [Ack(1, Reward.TYPE, 1)]
    assert valve(device.take_edges()) == [(0, 1), (10_000, 0), (20_000, 1)]


def test_reset_in_a_pulse_is_remembered_as_interrupted() -> None:
    device = greeted()
    boot = device.memory.boot
    tell(device, Reward(1, 40_000, 1, 0), 1_000)
    device.reset(20_000)
    assert valve(device.take_edges()) == [(1_000, 1), (20_000, 0)]
    [status] = heard(device)
    assert isinstance(status, Status)
    assert (status.state, status.reason, status.t_us) == (DeviceState.SAFE, Reason.RESET, 0)
    [identity] = tell(device, HELLO, 30_000)
    assert isinstance(identity, Identity)
    assert (identity.boot, identity.losses) == (boot + 1, 0)
    [entry] = tell(device, Ring(1, 0), 31_000)
    assert isinstance(entry, RingEntry)
    assert entry.state == RingState.INTERRUPTED
    assert tell(device, Reward(1, 40_000, 1, 0), 32_000) == [Ack(1, Reward.TYPE, 1)]
    assert device.take_edges() == []


def test_ring_keeps_the_newest_rewards_and_lists_them() -> None:
    device = greeted()
    for request_id in range(1, RING_SIZE + 4):
        tell(device, KeepAlive(), request_id * 10_000)
        tell(device, Reward(request_id, 1_000, 1, 0), request_id * 10_000)
    device.advance(RING_SIZE * 10_000 + 45_000)
    heard(device)
    states = []
    for nth in range(RING_SIZE + 1):
        [entry] = tell(device, Ring(0, nth), RING_SIZE * 10_000 + 46_000)
        assert isinstance(entry, RingEntry)
        states.append((entry.request_id, entry.state))
    assert states[:-1] == [(RING_SIZE + 3 - n, RingState.DONE) for n in range(RING_SIZE)]
    assert states[-1] == (0, RingState.ABSENT)


def test_memory_survives_as_an_image_and_a_torn_one_tells_of_the_loss() -> None:
    device = greeted()
    tell(device, Reward(1, 40_000, 1, 0), 0)
    image = device.memory.to_bytes()
    memory = Memory.from_bytes(image)
    assert memory.to_bytes() == image
    again = greeted(memory)
    [entry] = tell(again, Ring(1, 0), 10)
    assert isinstance(entry, RingEntry)
    assert entry.state == RingState.INTERRUPTED
    assert Memory.from_bytes(image[:-3]).losses == 1
    assert Memory.from_bytes(b"").losses == 1


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (Hello(2, 1, 1_000, 100, 300), Reason.VERSION),
        (Hello(1, 1, HARD_MAX_OPEN_US + 1, 100, 300), Reason.OUT_OF_RANGE),
        (Hello(1, 1, 1_000, 1001, 300), Reason.OUT_OF_RANGE),
        (Hello(1, 1, 1_000, 0, 300), Reason.OUT_OF_RANGE),
        (Hello(1, 1, 1_000, 100, 0), Reason.OUT_OF_RANGE),
    ],
)
def test_greeting_with_unsafe_limits_leaves_the_board_safe(hello: Hello, reason: Reason) -> None:
    device = Device()
    device.take_output()
    assert reasons(tell(device, hello, 0)) == [reason]
    assert device.state is DeviceState.SAFE


def test_clock_inputs_and_scope_are_stamped_with_the_time_since_the_reset() -> None:
    device = Device(t_us=1_000_000)
    device.take_output()
    tell(device, HELLO, 1_000_100)
    assert tell(device, Clock(), 1_000_500, 4) == [ClockTime(4, 500)]
    device.input(InputKind.LICK, 1, 1_000_700)
    assert heard(device) == [Event(InputKind.LICK, 700, 1)]
    device.input(InputKind.FRAME_TTL, 1, 1_000_800)
    tell(device, Arm(1), 1_000_900)
    device.input(InputKind.FRAME_TTL, 1, 1_001_000)
    assert heard(device) == [Event(InputKind.FRAME_TTL, 1_000, 0)]
    device.advance(1_010_000)
    scope = [(edge.t_us, edge.level) for edge in device.take_edges() if edge.pin is Pin.SCOPE]
    assert scope == [(1_000_900, 1), (1_001_900, 0)]


def test_unknown_and_misshapen_requests_are_refused() -> None:
    device = greeted()
    for payload, reason in (
        (b"\x7f\x05", Reason.UNKNOWN_TYPE),
        (b"\x03\x05\x01", Reason.LENGTH),
        (b"\x02", Reason.LENGTH),
    ):
        device.receive(encode_frame(payload), 0)
        assert reasons(heard(device)) == [reason]
    assert reasons(tell(device, Set(99, 1), 0)) == [Reason.OUT_OF_RANGE]
    assert reasons(tell(device, Gate(2), 0)) == [Reason.OUT_OF_RANGE]


def light_without_gate(edges: list[Edge]) -> bool:
    levels = dict.fromkeys(Pin, 0)
    for edge in edges:
        levels[edge.pin] = edge.level
        if levels[Pin.LIGHT] and not levels[Pin.GATE]:
            return True
    return False


def test_light_follows_the_frame_within_the_gate() -> None:
    device = greeted()
    tell(device, Gate(1), 0)
    tell(device, Light(1), 0)
    device.input(InputKind.FRAME_TTL, 1, 1_000)
    device.advance(50_000)
    edges = [(edge.t_us, edge.pin, edge.level) for edge in device.take_edges()]
    assert edges == [
        (1_000, Pin.GATE, 1),
        (1_500, Pin.LIGHT, 1),
        (7_500, Pin.LIGHT, 0),
        (8_000, Pin.GATE, 0),
    ]


requests = st.one_of(
    st.builds(Gate, st.integers(0, 1)),
    st.builds(Light, st.integers(0, 1)),
    st.builds(Set, st.sampled_from(SetKey), st.integers(0, 40_000)),
    st.just(KeepAlive()),
    st.just(Safe()),
    st.just(HELLO),
    st.builds(Reward, st.integers(0, 5), st.integers(0, 300_000), st.integers(0, 3), st.just(2000)),
)
steps = st.lists(
    st.tuples(
        st.integers(0, 40_000),
        st.one_of(
            requests,
            st.sampled_from(InputKind),
            st.binary(max_size=80),
            st.binary(min_size=1, max_size=48).map(encode_frame),
            st.sampled_from(["reset", "twice"]),
        ),
    ),
    max_size=60,
)


@given(steps)
def test_no_input_opens_the_valve_too_long_or_twice_or_raises_light_without_gate(
    script: list[tuple[int, Message | InputKind | bytes | str]],
) -> None:
    device, t_us, last = greeted(), 0, b""
    for wait_us, step in script:
        t_us += wait_us
        match step:
            case InputKind():
                device.input(step, 1, t_us)
            case bytes():
                device.receive(step, t_us)
            case "reset":
                device.reset(t_us)
            case Message():
                last = step.frame(1)
                device.receive(last, t_us)
            case _:
                device.receive(last + last, t_us)
    device.advance(t_us + 1_000_000)
    edges = device.take_edges()
    pulses = [edge for edge in edges if edge.pin is Pin.VALVE]
    for up, down in zip(pulses[::2], pulses[1::2], strict=True):
        assert (up.level, down.level) == (1, 0)
        assert down.t_us - up.t_us <= MAX_OPEN_US
    assert not light_without_gate(edges)
    trains = [edge.request_id for edge in pulses if edge.level]
    starts = [r for n, r in enumerate(trains) if n == 0 or trains[n - 1] != r]
    assert len(starts) == len(set(starts))
    assert FrameDecoder().feed(device.take_output())
    assert all(device.level(pin) == 0 for pin in Pin)


def test_protocol_numbers_do_not_change() -> None:
    """Firmware in the field speaks them."""
    assert protocol.PROTOCOL_VERSION == 1
    assert {kind.__name__: kind.TYPE for kind in protocol.HOST_MESSAGES} == {
        "Hello": 1,
        "KeepAlive": 2,
        "Reward": 3,
        "Light": 4,
        "Gate": 5,
        "Safe": 6,
        "Clock": 7,
        "Ring": 8,
        "Arm": 9,
        "Set": 10,
        "Learn": 11,
        "Keep": 12,
        "Name": 13,
        "Count": 14,
        "SelfTest": 15,
    }


def test_inputs_are_counted_and_the_self_test_answers_in_safe_too() -> None:
    device = Device()
    for kind, value in [(InputKind.LICK, 1), (InputKind.LICK, 0), (InputKind.WHEEL, -7)]:
        device.input(kind, value, 1_000)
    device.input(InputKind.FRAME_TTL, 1, 2_000)
    device.take_output()
    assert tell(device, Count(), 3_000, 5) == [Counts(5, 1, 2, 0, 0, 0, -7, 0)]
    [health] = tell(device, SelfTest(), 3_000, 6)
    assert isinstance(health, Health)
    assert health.faults == 0


def test_repeated_arm_triggers_the_scope_once() -> None:
    device = greeted()
    assert tell(device, Arm(1), 0, 7) == tell(device, Arm(1), 5_000, 7) == [Ack(7, Arm.TYPE, 0)]
    device.advance(100_000)
    assert len(device.take_edges()) == 2


def test_arm_of_another_session_is_another_one_though_it_has_the_same_number() -> None:
    device = greeted()
    tell(device, Arm(1), 0, 7)
    device.input(InputKind.FRAME_TTL, 1, 2_000)
    device.advance(100_000)
    device.take_edges()
    tell(device, msgspec.structs.replace(HELLO, session=10), 100_000)
    tell(device, Arm(1), 110_000, 7)
    device.input(InputKind.FRAME_TTL, 1, 112_000)
    device.advance(200_000)
    assert [edge.level for edge in device.take_edges() if edge.pin is Pin.SCOPE] == [1, 0]
    [event] = [message for message in heard(device) if isinstance(message, Event)]
    assert event.value == 0


def test_open_time_of_ten_seconds_is_a_budget_that_comes_back() -> None:
    device, t_us = greeted(), 0

    def ask(request_id: int) -> list[Message]:
        return tell(device, Reward(request_id, MAX_OPEN_US, 1, 0), t_us)

    for request_id in range(1, 6):
        assert ask(request_id)[-1] == Ack(1, Reward.TYPE, request_id)
        t_us += 250_000
        tell(device, KeepAlive(), t_us)
    assert reasons(ask(6)) == [Reason.DUTY]
    while t_us < DUTY_WINDOW_US:
        assert reasons(ask(6)) == [Reason.DUTY]
        t_us += 250_000
        tell(device, KeepAlive(), t_us)
    t_us += 250_000
    tell(device, KeepAlive(), t_us)
    t_us += 250_000
    tell(device, KeepAlive(), t_us)
    assert ask(6)[-1] == Ack(1, Reward.TYPE, 6)


def lit() -> Device:
    device = greeted()
    for message in (Gate(1), Light(1)):
        tell(device, message, 0)
    return device


def moves(device: Device) -> list[tuple[int, Pin, int]]:
    return [(edge.t_us, edge.pin, edge.level) for edge in device.take_edges()]


def test_frame_that_comes_too_fast_lowers_both_and_starts_neither() -> None:
    device = lit()
    device.input(InputKind.FRAME_TTL, 1, 0)
    device.input(InputKind.FRAME_TTL, 1, 3_000)
    device.advance(20_000)
    assert moves(device)[2:] == [(3_000, Pin.LIGHT, 0), (3_000, Pin.GATE, 0)]


def test_light_forbidden_goes_down_at_once_and_the_gate_stays_its_time() -> None:
    device = lit()
    device.input(InputKind.FRAME_TTL, 1, 0)
    tell(device, Light(0), 2_000)
    device.advance(20_000)
    assert moves(device)[2:] == [(2_000, Pin.LIGHT, 0), (7_000, Pin.GATE, 0)]


def test_light_set_longer_than_the_gate_ends_with_it_before_it() -> None:
    device = lit()
    tell(device, Set(SetKey.LIGHT_US, 30_000), 0)
    device.input(InputKind.FRAME_TTL, 1, 0)
    device.advance(20_000)
    assert moves(device)[2:] == [(7_000, Pin.LIGHT, 0), (7_000, Pin.GATE, 0)]


def test_safe_lowers_the_light_before_the_gate_and_forbids_both() -> None:
    device = lit()
    device.input(InputKind.FRAME_TTL, 1, 0)
    tell(device, Safe(), 2_000)
    tell(device, HELLO, 50_000)
    device.input(InputKind.FRAME_TTL, 1, 60_000)
    device.advance(80_000)
    assert moves(device)[2:] == [(2_000, Pin.LIGHT, 0), (2_000, Pin.GATE, 0)]
