"""The compiled firmware counts and stamps every edge of its inputs."""

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from chip_script import GREETING, Live, Script

from bci.hardware.board.codes import DeviceFault, InputKind, SetKey
from bci.hardware.board.protocol import (
    Ack,
    Arm,
    Clock,
    ClockTime,
    Count,
    Counts,
    Event,
    Gate,
    Health,
    Identity,
    Keep,
    Learn,
    Light,
    Name,
    Reward,
    Safe,
    SelfTest,
    Set,
)

START_US = 200_000
WITHIN_US = 40
WHEEL_US = 490


def stamps(events: list[Event]) -> list[int]:
    return [event.t_us for event in events]


def test_frame_clock_counts_from_arming_and_stamps_each_frame(live: Live) -> None:
    script = Script()
    script.square("frame_ttl", 150_000, 180_000, 10_000)
    script.tell(190_000, Arm(1))
    script.square("frame_ttl", START_US, 600_000, 32_342)
    script.keep_alive(150_000, 700_000)
    lived = live(script, 700_000)
    frames = lived.told(InputKind.FRAME_TTL)
    assert [event.value for event in frames] == [0, 1, 2, *range(12)]
    assert stamps(frames[3:]) == pytest.approx(
        [START_US + i * 32_342 for i in range(12)], abs=WITHIN_US
    )
    [(up_us, down_us)] = lived.pulses("scope")
    assert down_us - up_us == pytest.approx(1_000, abs=20)


def test_arm_that_comes_twice_triggers_once(live: Live) -> None:
    script = Script()
    for t_us in (190_000, 195_000):
        script.tell(t_us, Arm(1), sequence=77)
    lived = live(script, 300_000)
    assert len(lived.pulses("scope")) == 1
    assert len(lived.heard(Ack)) == 2


def test_arm_of_another_session_is_another_one_though_it_has_the_same_number(live: Live) -> None:
    script = Script()
    script.tell(150_000, Arm(1), sequence=77)
    frames = script.square("frame_ttl", START_US, START_US + 100_000, 32_342)
    script.tell(START_US + 200_000, msgspec.structs.replace(GREETING, session=10))
    script.tell(START_US + 210_000, Arm(1), sequence=77)
    script.square("frame_ttl", START_US + 250_000, START_US + 350_000, 32_342)
    script.keep_alive(150_000, 700_000)
    lived = live(script, 700_000)
    assert len(lived.pulses("scope")) == 2
    numbers = [event.value for event in lived.told(InputKind.FRAME_TTL)]
    assert numbers == 2 * list(range(frames))


def test_storm_on_every_input_loses_no_edge_and_no_lick_goes_unheard(live: Live) -> None:
    script = Script()
    end_us = START_US + 1_000_000
    frames = script.square("frame_ttl", START_US + 130, end_us, 1_000)
    # 2 kHz of both phases, beside the frames at another place each time
    steps = script.square("wheel_a", START_US + 70, end_us, WHEEL_US)
    script.square("wheel_b", START_US + 70 + WHEEL_US // 4, end_us, WHEEL_US)
    licks = script.square("lick", START_US + 310, end_us, 20_000)
    spares = script.square("aux_1", START_US + 777, end_us, 100_000)
    for request_id in range(1, 20):
        script.tell(START_US + request_id * 50_000, Reward(request_id, 20_000, 1, 0))
    script.tell(end_us + 100_000, Count())
    script.keep_alive(150_000, end_us + 200_000)
    lived = live(script, end_us + 200_000)
    [counts] = lived.heard(Counts)
    assert (counts.frames, abs(counts.wheel)) == (frames, 4 * steps)
    assert (counts.licks, counts.aux_1) == (2 * licks, 2 * spares)
    # the line cannot carry 1,000 frames a second: their numbers are told all the same
    assert counts.unheard > 0
    told = [event.value for event in lived.told(InputKind.FRAME_TTL)]
    assert frames * 0.9 < told[-1] < frames
    assert told == sorted(set(told))
    assert [event.value for event in lived.told(InputKind.LICK)] == [1, 0] * licks
    assert len(lived.told(InputKind.AUX_1)) == 2 * spares
    assert lived.widths() == pytest.approx([20_000] * 19, abs=20)


def test_wheel_counts_both_ways(live: Live) -> None:
    script = Script()
    script.tell(150_000, Set(SetKey.WHEEL_INTERVAL_US, 0))
    quarter = 5_000
    for turn, (first, second) in enumerate([("wheel_a", "wheel_b"), ("wheel_b", "wheel_a")]):
        t_us = START_US + turn * 100_000
        for i, (pin, level) in enumerate([(first, 1), (second, 1), (first, 0), (second, 0)]):
            script.pin(t_us + i * quarter, pin, level)
    script.keep_alive(150_000, 500_000)
    values = [event.value for event in live(script, 500_000).told(InputKind.WHEEL)]
    assert [abs(value) for value in values] == [1, 2, 3, 4, 3, 2, 1, 0]


def test_bouncing_lick_is_one_edge_and_the_level_at_rest_is_told(live: Live) -> None:
    script = Script()
    for i in range(7):  # bounces for 0.6 ms, and ends up
        script.pin(START_US + i * 100, "lick", (i + 1) % 2)
    for i in range(4):  # ends where it was: the level at rest is told after the first edge
        script.pin(START_US + 50_000 + i * 100, "lick", i % 2)
    lived = live(script, 400_000)
    licks = [(event.value, event.t_us) for event in lived.told(InputKind.LICK)]
    assert [value for value, _ in licks] == [1, 0, 1]
    assert licks[0][1] == pytest.approx(START_US, abs=WITHIN_US)
    assert licks[1][1] == pytest.approx(START_US + 50_000, abs=WITHIN_US)


def test_photodiode_switches_with_hysteresis_between_black_and_white(live: Live) -> None:
    script = Script()
    script.tell(110_000, Set(SetKey.PHOTODIODE_BLACK, 100))
    script.tell(115_000, Set(SetKey.PHOTODIODE_WHITE, 700))
    script.pin(120_000, "photodiode", 500)
    for i, volt in enumerate([2.2, 4.0, 2.2, 1.0, 2.2, 3.5]):  # thresholds at 1.5 and 2.4 V
        script.pin(START_US + i * 20_000, "photodiode", round(1000 * volt))
    script.keep_alive(150_000, 500_000)
    events = live(script, 500_000).told(InputKind.PHOTODIODE)
    assert [event.value for event in events] == [1, 0, 1]
    expected = [START_US + i * 20_000 for i in (1, 3, 5)]
    assert stamps(events) == pytest.approx(expected, abs=250)


def test_analog_lick_sensor_takes_the_place_of_the_digital_one(live: Live) -> None:
    script = Script()
    script.tell(150_000, Set(SetKey.LICK_THRESHOLD, 512))  # 2.5 V, and down again at 2.19 V
    for i, volt in enumerate([2.4, 2.6, 2.3, 1.9, 4.0, 0.1]):
        script.pin(START_US + i * 20_000, "lick_analog", round(1000 * volt))
    script.square("lick", START_US, START_US + 100_000, 10_000)
    script.tell(390_000, Set(SetKey.LICK_THRESHOLD, 0))
    script.pin(400_000, "lick", 1)
    script.keep_alive(150_000, 500_000)
    events = live(script, 500_000).told(InputKind.LICK)
    assert [event.value for event in events] == [1, 0, 1, 0, 1]
    expected = [*(START_US + i * 20_000 for i in (1, 3, 4, 5)), 400_000]
    assert stamps(events) == pytest.approx(expected, abs=450)


def test_photodiode_learns_black_and_white_by_looking_and_keeps_them_over_power(
    live: Live,
) -> None:
    script = Script()
    for t_us, volt, white in [(150_000, 0.5, 0), (200_000, 1.5, 1)]:
        script.pin(t_us, "photodiode", round(1000 * volt))
        script.tell(t_us + 20_000, Learn(white))
    script.pin(300_000, "photodiode", 500)
    script.tell(310_000, Set(SetKey.LICK_DEBOUNCE_US, 9_000))
    script.tell(320_000, Keep())
    script.tell(330_000, Name(b"rig-7".ljust(12, b"\0")))
    script.keep_alive(150_000, 700_000)
    first = live(script, 800_000, chip="one")
    seen = [ack.argument for ack in first.heard(Ack) if ack.request_type == Learn.TYPE]
    assert seen == pytest.approx([0.5 / 5 * 1024, 1.5 / 5 * 1024], abs=3)
    script = Script()
    for i, volt in enumerate([0.5, 1.3, 0.7]):  # the thresholds lie at 0.83 and 1.17 V
        script.pin(START_US + i * 20_000, "photodiode", round(1000 * volt))
    for t_us, level in [(300_000, 1), (306_000, 0)]:
        script.pin(t_us, "lick", level)
    script.keep_alive(150_000, 400_000)
    second = live(script, 400_000, chip="one")
    assert [event.value for event in second.told(InputKind.PHOTODIODE)] == [1, 0]
    first_us, second_us = stamps(second.told(InputKind.LICK))
    assert second_us - first_us == pytest.approx(9_000, abs=1_100)
    [identity] = second.heard(Identity)
    assert identity.text.startswith("rig-7, firmware 1.1")


def test_kept_values_that_are_damaged_are_told_and_the_defaults_hold(
    live: Live, tmp_path: Path
) -> None:
    script = Script()
    script.tell(150_000, Set(SetKey.LIGHT_START_US, 3_000))
    script.tell(160_000, Keep())
    live(script, 600_000, chip="one")
    eeprom = tmp_path / "one" / "eeprom.bin"
    image = bytearray(eeprom.read_bytes())
    image[320 + 4 * SetKey.LIGHT_START_US] ^= 1
    eeprom.write_bytes(image)
    script = Script()
    script.tell(150_000, SelfTest())
    script.tell(160_000, Gate(1))
    script.tell(165_000, Light(1))
    script.square("frame_ttl", START_US, START_US + 33_000, 32_342)
    second = live(script, 300_000, chip="one")
    assert second.heard(Health)[0].faults == DeviceFault.VALUES
    [(gate_us, _)], [(light_us, _)] = second.pulses("gate"), second.pulses("light")
    assert light_us - gate_us == pytest.approx(500, abs=50)


def test_self_test_tells_supply_levels_and_why_the_chip_began(live: Live) -> None:
    script = Script()
    script.pin(120_000, "photodiode", 2_500)
    script.pin(120_000, "lick", 1)
    script.tell(150_000, SelfTest())
    script.tell(200_000, Safe())
    script.tell(210_000, SelfTest())
    lived = live(script, 300_000)
    ready, safe = lived.heard(Health)
    assert (ready.faults, safe.faults) == (0, 0)
    assert ready.supply_mv == pytest.approx(5_000, abs=30)
    assert ready.photodiode == pytest.approx(512, abs=3)
    assert ready.inputs & 1


@pytest.mark.parametrize("name", ["aux_1", "aux_2"])
def test_spare_inputs_are_stamped_on_both_edges(live: Live, name: str) -> None:
    script = Script()
    script.pin(START_US, name, 1)
    script.pin(START_US + 3_000, name, 0)
    events = live(script, 300_000).told(InputKind[name.upper()])
    assert [event.value for event in events] == [1, 0]
    assert stamps(events) == pytest.approx([START_US, START_US + 3_000], abs=WITHIN_US)


def test_sync_line_is_irregular_and_every_edge_is_told(live: Live) -> None:
    script = Script()
    script.tell(150_000, Set(SetKey.SYNC_PERIOD_MS, 100))
    script.keep_alive(150_000, 4_000_000)
    lived = live(script, 4_000_000)
    events = lived.told(InputKind.SYNC)
    edges = lived.of("sync")[: len(events)]
    told = stamps(events)
    assert [event.value for event in events] == [edge["level"] for edge in edges]
    assert told == pytest.approx([edge["cycle"] / 16 for edge in edges], abs=WITHIN_US)
    assert len({round(b - a, -3) for a, b in pairwise(told)}) > 20
    mean_ms = (told[-1] - told[0]) / (len(told) - 1) / 1000
    assert 2 * mean_ms == pytest.approx(100, rel=0.2)


def test_board_tells_the_time_of_the_last_byte_of_the_question(live: Live) -> None:
    script = Script()
    times = [START_US + i * 77_777 for i in range(5)]
    for t_us in times:
        script.tell(t_us, Clock())
    script.keep_alive(150_000, 600_000)
    answers = live(script, 600_000).heard(ClockTime)
    arrived = [t_us + 6 * 85 for t_us in times]  # six bytes, 85 us each
    assert [answer.t_us for answer in answers] == pytest.approx(arrived, abs=120)


def test_value_out_of_range_is_refused_with_the_largest(live: Live) -> None:
    script = Script()
    script.tell(150_000, Set(SetKey.GATE_US, 30_001))
    script.tell(160_000, Set(99, 1))
    lived = live(script, 300_000)
    refusals = [message for _, _, message in lived.frames if message.TYPE == 0x83]
    assert [getattr(nack, "argument", None) for nack in refusals] == [30_000, 99]
