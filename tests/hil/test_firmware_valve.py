"""The compiled firmware opens the valve for what was asked, once, and never longer than it may."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from chip_script import GREETING, Live, Script
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bci.hardware.board.codes import Reason, SetKey
from bci.hardware.board.framing import encode_frame
from bci.hardware.board.limits import HARD_MAX_OPEN_US
from bci.hardware.board.protocol import (
    DUTY_WINDOW_US,
    Ack,
    Done,
    Hello,
    Nack,
    Reward,
    Set,
)

WITHIN_US = 20.0
START_US = 200_000
WHEEL_US = 490
LONG = Hello(1, session=9, max_open_us=HARD_MAX_OPEN_US, duty_permille=1000, watchdog_ms=300)

few = settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def storm(script: Script, from_us: float, to_us: float) -> None:
    """Frame TTLs at 1 kHz, both phases of the encoder at 2 kHz, licks at 50 Hz."""
    script.square("frame_ttl", from_us + 130, to_us, 1_000)
    script.square("wheel_a", from_us + 70, to_us, WHEEL_US)
    script.square("wheel_b", from_us + 70 + WHEEL_US // 4, to_us, WHEEL_US)
    script.square("lick", from_us + 310, to_us, 20_000)


def reason(answer: Nack) -> Reason:
    return Reason(answer.reason)


@pytest.mark.parametrize("around", ["calm", "storm", "storm, analog lick sensor"])
def test_width_is_what_was_asked_within_20_us_from_the_shortest_to_a_second(
    live: Live, around: str
) -> None:
    widths = [100, 111, 112, 113, 150, 1_000, 1_234, 10_000, 32_767, 32_768, 32_848, 40_000]
    widths += [65_536, 65_617, 100_000, 250_001, 500_000, 1_000_000]
    script = Script(LONG)
    t_us = START_US
    for request_id, width_us in enumerate(widths, 1):
        script.tell(t_us, Reward(request_id, width_us, 1, 0))
        t_us += width_us + 30_000
    script.keep_alive(150_000, t_us)
    if around != "calm":
        storm(script, START_US - 10_000, t_us)
    if "analog" in around:
        script.tell(150_000, Set(SetKey.LICK_THRESHOLD, 512))
        script.square("lick_analog", START_US, t_us, 20_000, high=4_000)
    lived = live(script, t_us)
    assert lived.widths() == pytest.approx(widths, abs=WITHIN_US)
    assert [edge["request_id"] for edge in lived.of("valve")[::2]] == [*range(1, len(widths) + 1)]
    assert [done.opened_us for done in lived.heard(Done)] == widths


def test_train_of_pulses_keeps_widths_and_gaps_and_is_one_reward(live: Live) -> None:
    script = Script()
    script.tell(START_US, Reward(5, 1_500, 20, 33_000))
    script.keep_alive(150_000, 1_200_000)
    lived = live(script, 1_200_000)
    pulses = lived.pulses()
    assert lived.widths() == pytest.approx([1_500] * 20, abs=WITHIN_US)
    gaps = [b[0] - a[1] for a, b in itertools.pairwise(pulses)]
    assert gaps == pytest.approx([33_000] * 19, abs=WITHIN_US)
    [done] = lived.heard(Done)
    assert (done.request_id, done.opened_us) == (5, 30_000)
    assert done.t_open_us == pytest.approx(pulses[0][0], abs=WITHIN_US)
    assert done.t_close_us == pytest.approx(pulses[-1][1], abs=WITHIN_US)


def test_valve_opens_within_5_ms_of_the_first_byte(live: Live) -> None:
    script = Script()
    times = [START_US + i * 61_237 for i in range(20)]
    for request_id, t_us in enumerate(times, 1):
        script.tell(t_us, Reward(request_id, 20_000, 1, 0))
    script.keep_alive(150_013, times[-1])
    opened = [up for up, _ in live(script, times[-1] + 50_000).pulses()]
    assert len(opened) == 20
    assert max(up - t for up, t in zip(opened, times, strict=True)) < 5_000


def given_once(live: Live, firmware: Path | None = None) -> None:
    script = Script()
    for t_us in (0, 4_000, 60_000, 90_000):
        script.tell(START_US + t_us, Reward(7, 30_000, 1, 0))
    script.keep_alive(150_000, 400_000)
    lived = live(script, 400_000, firmware)
    assert [ack.argument for ack in lived.heard(Ack)] == [7] * 4
    assert len(lived.pulses()) == 1


def never_longer_than_the_host_allowed(live: Live, firmware: Path | None = None) -> None:
    script = Script()
    script.tell(START_US, Reward(1, GREETING.max_open_us + 1, 1, 0))
    script.tell(START_US + 50_000, Reward(2, 0xFFFF_FFFF, 255, 0xFFFF_FFFF))
    script.keep_alive(150_000, 2_000_000)
    lived = live(script, 2_000_000, firmware)
    assert lived.pulses() == []
    assert [reason(nack) for nack in lived.heard(Nack)] == [Reason.WIDTH] * 2


def never_more_than_its_share(live: Live, firmware: Path | None = None) -> None:
    permille = 50
    script = Script(Hello(1, 9, 200_000, permille, 300))
    times = range(START_US, 23_000_000, 230_000)
    for request_id, t_us in enumerate(times, 1):
        script.tell(t_us, Reward(request_id, 100_000, 1, 0))
    script.keep_alive(150_000, 23_000_000)
    lived = live(script, 23_500_000, firmware)
    pulses = lived.pulses()
    assert len(pulses) >= 10
    for _, end_us in pulses:
        begin_us = end_us - DUTY_WINDOW_US
        open_us = sum(
            min(down, end_us) - max(up, begin_us)
            for up, down in pulses
            if down > begin_us and up < end_us
        )
        assert open_us <= DUTY_WINDOW_US * permille / 1000 + WITHIN_US
    assert {reason(nack) for nack in lived.heard(Nack)} == {Reason.DUTY}


def damaged_frame_does_nothing(live: Live, firmware: Path | None = None) -> None:
    frame = bytearray(Reward(1, 30_000, 1, 0).frame(2))
    frame[7] ^= 0x10  # a width of another length
    script = Script()
    script.send(START_US, bytes(frame))
    script.keep_alive(150_000, 400_000)
    lived = live(script, 400_000, firmware)
    assert lived.pulses() == []


def no_host_raises_the_limit_that_is_compiled_in(live: Live, firmware: Path | None = None) -> None:
    script = Script(Hello(1, 9, 3 * HARD_MAX_OPEN_US, 1000, 300))
    script.tell(START_US, Reward(1, 2 * HARD_MAX_OPEN_US, 1, 0))
    script.keep_alive(150_000, 2_600_000)
    lived = live(script, 2_600_000, firmware)
    assert all(width <= HARD_MAX_OPEN_US + WITHIN_US for width in lived.widths())
    assert reason(lived.heard(Nack)[0]) is Reason.OUT_OF_RANGE


def shorter_than_the_timer_can_is_refused(live: Live, firmware: Path | None = None) -> None:
    script = Script()
    script.tell(START_US, Reward(1, 50, 1, 0))
    script.keep_alive(150_000, 400_000)
    assert live(script, 400_000, firmware).pulses() == []


def second_reward_during_a_pulse_is_refused(live: Live, firmware: Path | None = None) -> None:
    script = Script()
    script.tell(START_US, Reward(1, 40_000, 1, 0))
    script.tell(START_US + 10_000, Reward(2, 40_000, 1, 0))
    script.keep_alive(150_000, 400_000)
    lived = live(script, 400_000, firmware)
    assert [reason(nack) for nack in lived.heard(Nack)] == [Reason.BUSY]
    assert lived.widths() == pytest.approx([40_000], abs=WITHIN_US)


RULES = {
    "HARD_LIMIT": no_host_raises_the_limit_that_is_compiled_in,
    "MIN_OPEN": shorter_than_the_timer_can_is_refused,
    "BUSY": second_reward_during_a_pulse_is_refused,
    "ONCE": given_once,
    "MAX_OPEN": never_longer_than_the_host_allowed,
    "DUTY": never_more_than_its_share,
    "CRC": damaged_frame_does_nothing,
}


@pytest.mark.parametrize("rule", RULES)
def test_valve_keeps_the_rule(live: Live, rule: str) -> None:
    RULES[rule](live)


@pytest.mark.parametrize("rule", RULES)
def test_valve_without_the_rule_breaks_the_promise(
    live: Live, firmware_without: Callable[[str], Path], rule: str
) -> None:
    firmware = firmware_without(rule)
    with pytest.raises(AssertionError):
        RULES[rule](live, firmware)


@pytest.mark.parametrize(
    ("request_", "refused"),
    [
        (Reward(1, 50, 1, 0), Reason.WIDTH),
        (Reward(0, 1_000, 1, 0), Reason.OUT_OF_RANGE),
        (Reward(1, 1_000, 0, 0), Reason.OUT_OF_RANGE),
        (Reward(1, 1_000, 2, 10), Reason.OUT_OF_RANGE),
        (Reward(1, 500_000, 255, 1_000), Reason.DUTY),
    ],
)
def test_senseless_reward_is_refused_and_nothing_moves(
    live: Live, request_: Reward, refused: Reason
) -> None:
    script = Script()
    script.tell(START_US, request_)
    script.keep_alive(150_000, 400_000)
    lived = live(script, 400_000)
    assert [(reason(nack), nack.argument) for nack in lived.heard(Nack)] == [
        (refused, request_.request_id)
    ]
    assert lived.edges == []


@few
@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=20))
def test_garbage_never_opens_the_valve_and_a_reward_after_it_is_given(
    live: Live, pieces: list[bytes]
) -> None:
    script = Script()
    t_us = START_US
    for piece in pieces:
        script.send(t_us, piece)
        t_us += len(piece) * 90 + 1_000
    script.send(t_us, b"\x00")
    # garbage may have stood where a keep-alive was to be: the host greets anew
    script.tell(t_us + 50_000, GREETING)
    script.tell(t_us + 60_000, Reward(1, 5_000, 1, 0))
    script.keep_alive(150_000, t_us + 200_000)
    lived = live(script, t_us + 100_000)
    assert lived.widths() == pytest.approx([5_000], abs=WITHIN_US)
    assert lived.pulses()[0][0] > t_us + 50_000


@few
@given(
    st.lists(
        st.builds(
            lambda kind, body: encode_frame(bytes([kind, 1]) + body),
            st.sampled_from([0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x33]),
            st.binary(max_size=20),
        ),
        max_size=30,
    )
)
def test_frames_of_any_content_leave_the_valve_within_its_limits(
    live: Live, frames: list[bytes]
) -> None:
    script = Script()
    t_us = START_US
    for frame in frames:
        script.send(t_us, frame)
        t_us += 8_000
    script.keep_alive(150_000, t_us)
    lived = live(script, t_us + 600_000)
    assert all(width <= GREETING.max_open_us + WITHIN_US for width in lived.widths())
