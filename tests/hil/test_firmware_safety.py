"""The compiled firmware shuts everything when it must; its light is never up without the gate."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from chip_script import GREETING, READY_US, Live, Lived, Script
from core_session import session_of
from test_firmware_valve import RULES as VALVE_RULES

from bci.core.light import LightRule
from bci.core.loop_types import TaskState
from bci.hardware.board.chip import FIRMWARE
from bci.hardware.board.codes import DeviceFault, DeviceState, InputKind, Reason, RingState, SetKey
from bci.hardware.board.light import LightRequests
from bci.hardware.board.outbox import Outbox
from bci.hardware.board.protocol import (
    Ack,
    Clock,
    Cut,
    Done,
    Gate,
    Health,
    Hello,
    Identity,
    Light,
    Nack,
    Reward,
    Ring,
    RingEntry,
    Safe,
    SelfTest,
    Set,
    Status,
)

WITHIN_US = 20.0
START_US = 200_000
PERIOD_US = 32_342
TIMSK1, UCSR0B = 0x6F, 0xC1
SENDS_NO_MORE, ON_SENT = 0x98, 0xD8
"""Of UCSR0B: the interrupt that sends, off; the one of all sent, which has no program, on."""


def levels_agree(lived: Lived) -> bool:
    """Whether the light was up within the gate alone, by the order of the edges."""
    gate = light = 0
    for edge in lived.edges:
        gate = edge["level"] if edge["pin"] == "gate" else gate
        light = edge["level"] if edge["pin"] == "light" else light
        if light and not gate:
            return False
    return True


def lit(script: Script, t_us: float = 120_000) -> Script:
    script.tell(t_us, Gate(1))
    script.tell(t_us + 5_000, Light(1))
    return script


def silence_shuts_the_valve(live: Live, firmware: Path | None = None) -> None:
    script = Script()
    script.tell(START_US, Reward(1, 450_000, 1, 0))
    lived = live(script, 1_000_000, firmware)  # greeted once, and then not a word
    [(up_us, down_us)] = lived.pulses()
    assert down_us - READY_US == pytest.approx(300_000, abs=4_000)
    [cut] = lived.heard(Cut)
    assert (cut.request_id, cut.reason) == (1, Reason.HOST_SILENT)
    assert cut.opened_us == pytest.approx(down_us - up_us, abs=WITHIN_US)


def light_only_within_the_gate(live: Live, firmware: Path | None = None) -> None:
    script = lit(Script())
    script.tell(130_000, Set(SetKey.LIGHT_START_US, 9_000))  # the gate is down by then
    script.square("frame_ttl", START_US, 600_000, PERIOD_US)
    script.keep_alive(150_000, 600_000)
    lived = live(script, 700_000, firmware)
    assert levels_agree(lived)
    assert len(lived.pulses("gate")) == 12


def fast_frames_are_not_obeyed(live: Live, firmware: Path | None = None) -> None:
    script = lit(Script())
    script.square("frame_ttl", START_US, 600_000, PERIOD_US / 1.3)
    script.keep_alive(150_000, 600_000)
    lived = live(script, 700_000, firmware)
    assert len(lived.pulses("gate")) == 1
    assert len(lived.told(InputKind.FRAME_TTL)) == 16


def gate_never_up_for_more_than_its_share(live: Live, firmware: Path | None = None) -> None:
    script = lit(Script())
    script.tell(130_000, Set(SetKey.GATE_US, 30_000))
    script.tell(135_000, Set(SetKey.LIGHT_US, 29_000))
    script.square("frame_ttl", START_US, 600_000, PERIOD_US)
    script.keep_alive(150_000, 600_000)
    lived = live(script, 700_000, firmware)
    shares = [(down - up) / (PERIOD_US / 1.2) for up, down in lived.pulses("gate")]
    assert len(shares) == 12
    assert max(shares) <= 0.5
    assert levels_agree(lived)


def hanging_main_loop_ends_with_everything_low(live: Live, firmware: Path | None = None) -> None:
    patient = Hello(1, session=9, max_open_us=500_000, duty_permille=1000, watchdog_ms=60_000)
    script = lit(Script(patient))
    script.square("frame_ttl", 150_000, 600_000, PERIOD_US)
    script.tell(START_US, Reward(1, 450_000, 1, 0))
    script.jam(START_US + 50_000)
    lived = live(script, 700_000, firmware)
    [(_, down_us)] = lived.pulses()
    assert down_us - (START_US + 50_000) < 150_000
    assert all(edge["cycle"] / 16 <= down_us + WITHIN_US for edge in lived.edges)
    assert {edge["pin"]: edge["level"] for edge in lived.edges} == dict.fromkeys(
        ("valve", "gate", "light"), 0
    )


def failed_timer_leaves_the_valve_shut(live: Live, firmware: Path | None = None) -> None:
    script = Script()
    script.tell(START_US, Reward(1, 40_000, 1, 0))
    script.poke(START_US + 20_000, f"@{TIMSK1}", 0)  # no interrupt of the valve's timer any more
    script.keep_alive(150_000, 900_000)
    lived = live(script, 900_000, firmware)
    [width] = lived.widths()
    assert width < 45_000
    [cut] = lived.heard(Cut)
    assert cut.reason == Reason.SELF_TEST


def stack_in_the_variables_ends_all(live: Live, firmware: Path | None = None) -> None:
    script = lit(Script())
    script.square("frame_ttl", 150_000, 600_000, PERIOD_US)
    script.tell(START_US, Reward(1, 400_000, 1, 0))
    script.poke(START_US + 100_000, "__heap_start", 0)
    script.tell(400_000, GREETING)
    script.tell(420_000, SelfTest())
    script.keep_alive(150_000, 600_000)
    lived = live(script, 600_000, firmware)
    assert lived.widths() == pytest.approx([100_000], abs=5_000)
    assert all(edge["cycle"] / 16 < START_US + 105_000 for edge in lived.edges)
    assert [nack.reason for nack in lived.heard(Nack)] == [Reason.SELF_TEST]
    assert lived.heard(Health)[0].faults == DeviceFault.STACK


def nothing_but_keep_alives_feeds_the_watchdog(live: Live, firmware: Path | None = None) -> None:
    script = Script()
    script.tell(START_US, Reward(1, 450_000, 1, 0))
    for t_us in range(START_US + 20_000, 700_000, 40_000):
        script.tell(t_us, Clock())  # a thread that lives on when the host's loop hangs
    [(_, down_us)] = live(script, 800_000, firmware).pulses()
    assert down_us - READY_US == pytest.approx(300_000, abs=4_000)


def safe_board_gives_nothing(live: Live, firmware: Path | None = None) -> None:
    script = Script()
    script.tell(500_000, Reward(1, 10_000, 1, 0))
    lived = live(script, 700_000, firmware)
    assert lived.pulses() == []
    assert [nack.reason for nack in lived.heard(Nack)] == [Reason.SAFE_STATE]


def keep_alives_after_silence_leave_the_board_safe(
    live: Live, firmware: Path | None = None
) -> None:
    script = Script()
    script.keep_alive(520_000, 800_000)
    script.tell(650_000, Reward(1, 10_000, 1, 0))
    assert live(script, 800_000, firmware).pulses() == []


def another_session_cuts_what_runs(live: Live, firmware: Path | None = None) -> None:
    script = Script()
    script.tell(START_US, Reward(1, 400_000, 1, 0))
    script.tell(START_US + 100_000, Hello(1, 10, 500_000, 1000, 300))
    script.keep_alive(150_000, 600_000)
    lived = live(script, 700_000, firmware)
    assert lived.widths() == pytest.approx([100_000], abs=5_000)
    assert [cut.reason for cut in lived.heard(Cut)] == [Reason.NEW_SESSION]


def light_and_gate_fall_at_once(live: Live, firmware: Path | None = None) -> None:
    script = lit(Script())
    script.square("frame_ttl", START_US, START_US + PERIOD_US, PERIOD_US)
    script.tell(START_US + 2_000, Safe())  # amid both
    lived = live(script, 300_000, firmware)
    assert {edge["pin"]: edge["level"] for edge in lived.edges} == {"gate": 0, "light": 0}
    assert lived.edges[-1]["cycle"] / 16 < START_US + 4_000


def reset_in_a_pulse_is_never_given_again(live: Live, firmware: Path | None = None) -> None:
    script = Script()
    script.tell(START_US, Reward(1, 400_000, 1, 0))
    script.reset(300_000)
    script.tell(400_000, GREETING)
    script.tell(420_000, Reward(1, 400_000, 1, 0))
    script.keep_alive(430_000, 900_000)
    assert len(live(script, 1_000_000, firmware).pulses()) == 1


def interrupt_that_nobody_asked_for_ends_all(live: Live, firmware: Path | None = None) -> None:
    script = Script()
    script.tell(START_US, Reward(1, 400_000, 1, 0))
    script.poke(START_US + 49_000, f"@{UCSR0B}", ON_SENT)
    script.keep_alive(150_000, 600_000)
    script.tell(700_000, GREETING)
    lived = live(script, 800_000, firmware)
    assert lived.widths() == pytest.approx([49_000], abs=3_000)
    before, after = lived.heard(Identity)
    assert after.boot == before.boot + 1


RULES = {
    "FEED": nothing_but_keep_alives_feeds_the_watchdog,
    "SAFE_STATE": safe_board_gives_nothing,
    "HELLO_ALONE": keep_alives_after_silence_leave_the_board_safe,
    "NEW_SESSION": another_session_cuts_what_runs,
    "FALL": light_and_gate_fall_at_once,
    "MARK": reset_in_a_pulse_is_never_given_again,
    "STRAY": interrupt_that_nobody_asked_for_ends_all,
    "WATCHDOG": silence_shuts_the_valve,
    "LIGHT_GUARD": light_only_within_the_gate,
    "FASTEST": fast_frames_are_not_obeyed,
    "GATE_SHARE": gate_never_up_for_more_than_its_share,
    "HANG": hanging_main_loop_ends_with_everything_low,
    "STUCK": failed_timer_leaves_the_valve_shut,
    "STACK": stack_in_the_variables_ends_all,
}


@pytest.mark.parametrize("rule", RULES)
def test_firmware_keeps_the_rule(live: Live, rule: str) -> None:
    RULES[rule](live)


@pytest.mark.parametrize("rule", RULES)
def test_firmware_without_the_rule_breaks_the_promise(
    live: Live, firmware_without: Callable[[str], Path], rule: str
) -> None:
    with pytest.raises(AssertionError):
        RULES[rule](live, firmware_without(rule))


def test_every_rule_of_the_firmware_is_shown_to_matter_and_stands_on_the_page() -> None:
    code = "".join(path.read_text("utf-8") for path in FIRMWARE.glob("*.c"))
    written = set(re.findall(r"\bRULE\((\w+)\)", code))
    assert written == RULES.keys() | VALVE_RULES.keys()
    page = (FIRMWARE.parents[2] / "docs" / "firmware.md").read_text("utf-8")
    table = page.split("| rule | without it |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == written


@pytest.mark.parametrize("wraps", [0xFFF0, 0x1FFF0], ids=["36 min", "72 min"])
def test_nothing_is_noticed_when_the_clock_turns_over(live: Live, wraps: int) -> None:
    script = lit(Script())
    for i in range(4):  # turns of timer 1: 32 bits of ticks are full after 0x10000, of us later
        script.poke(140_000, f"wraps+{i}", wraps >> 8 * i & 0xFF)
    n_frames = script.square("frame_ttl", START_US, 1_200_000, PERIOD_US)
    n_licks = script.square("lick", START_US + 7_000, 1_200_000, 50_000)
    for i in range(1, 10):
        script.tell(START_US + i * 100_000, Reward(i, 40_000, 1, 0))
    script.keep_alive(150_000, 1_300_000)
    lived = live(script, 1_300_000)
    turn_us = (wraps + 0x10) << 15
    done = lived.heard(Done)
    assert done[0].t_open_us < turn_us < done[-1].t_open_us
    ahead_us = done[0].t_open_us - lived.pulses()[0][0]
    assert lived.widths() == pytest.approx([40_000] * 9, abs=WITHIN_US)
    for i, name in enumerate(("t_open_us", "t_close_us")):
        told = [getattr(one, name) - ahead_us for one in done]
        assert told == pytest.approx([pulse[i] for pulse in lived.pulses()], abs=WITHIN_US)
    for kind, edges_us in [
        (InputKind.LICK, [START_US + 7_000 + i * 25_000 for i in range(2 * n_licks)]),
        (InputKind.FRAME_TTL, [START_US + i * PERIOD_US for i in range(n_frames)]),
    ]:
        told = [event.t_us - ahead_us for event in lived.told(kind)]
        assert told == pytest.approx(edges_us, abs=40)
    assert len(lived.pulses("gate")) == len(lived.pulses("light")) == n_frames
    assert levels_agree(lived)
    assert len([one for one in lived.heard(Status) if one.state == DeviceState.SAFE]) == 1


def test_line_that_carries_nothing_any_more_ends_in_a_reset(live: Live) -> None:
    patient = Hello(1, session=9, max_open_us=500_000, duty_permille=1000, watchdog_ms=60_000)
    script = lit(Script(patient))
    for t_us in range(START_US, START_US + 150_000, 1_000):
        script.tell(t_us, Ring(0, 0))  # more answers than the line carries
    for i in range(10):  # until it meets the firmware waiting for room
        script.poke(START_US + 130_000 + i * 1_300, f"@{UCSR0B}", SENDS_NO_MORE)
    script.tell(700_000, patient)
    before, after = live(script, 800_000).heard(Identity)
    assert after.boot == before.boot + 1


def test_only_hello_ends_safe_and_everything_else_is_refused(live: Live) -> None:
    script = Script()
    script.tell(500_000, Reward(1, 10_000, 1, 0))
    script.keep_alive(520_000, 800_000)
    script.tell(810_000, Gate(1))
    script.tell(850_000, GREETING)
    script.tell(860_000, Reward(2, 10_000, 1, 0))
    lived = live(script, 1_000_000)
    assert [nack.reason for nack in lived.heard(Nack)] == [Reason.SAFE_STATE] * 2
    assert [edge["request_id"] for edge in lived.of("valve")] == [2, 2]
    unasked = [status for status in lived.heard(Status) if status.answered == 0]
    assert [(status.state, status.reason) for status in unasked] == [
        (DeviceState.SAFE, Reason.RESET),
        (DeviceState.SAFE, Reason.HOST_SILENT),
    ]


@pytest.mark.parametrize(
    ("message", "reason"),
    [(Safe(), Reason.HOST_ASKED), (Hello(1, 10, 500_000, 1000, 300), Reason.NEW_SESSION)],
)
def test_safe_and_another_session_cut_the_pulse_and_lower_everything(
    live: Live, message: Safe | Hello, reason: Reason
) -> None:
    script = lit(Script())
    script.square("frame_ttl", 150_000, 600_000, PERIOD_US)
    script.tell(START_US, Reward(1, 400_000, 1, 0))
    script.tell(START_US + 100_000, message)
    script.keep_alive(150_000, 600_000)
    lived = live(script, 700_000)
    [width] = lived.widths()
    assert width == pytest.approx(100_000, abs=5_000)
    [cut] = lived.heard(Cut)
    assert (cut.reason, cut.request_id) == (reason, 1)
    assert all(edge["cycle"] / 16 < START_US + 105_000 for edge in lived.edges)
    assert levels_agree(lived)


def test_reset_in_a_pulse_leaves_it_interrupted_and_no_mark_is_lost(live: Live) -> None:
    script = Script()
    script.tell(START_US, Reward(1, 400_000, 1, 0))
    script.reset(300_000)
    script.tell(400_000, GREETING)
    script.tell(410_000, Ring(1, 0))
    script.tell(420_000, Reward(1, 400_000, 1, 0))
    lived = live(script, 1_000_000)
    [(_, down_us)] = lived.pulses()
    assert down_us == pytest.approx(300_000, abs=WITHIN_US)
    [entry] = lived.heard(RingEntry)
    assert (entry.state, entry.t_open_us) == (RingState.INTERRUPTED, 0)
    before, after = lived.heard(Identity)
    assert (after.boot, after.losses) == (before.boot + 1, before.losses)


def test_power_lost_in_a_pulse_is_told_and_the_ring_comes_from_the_eeprom(live: Live) -> None:
    script = Script()
    script.tell(START_US, Reward(1, 10_000, 1, 0))
    script.tell(START_US + 150_000, Reward(2, 400_000, 1, 0))
    script.keep_alive(150_000, 500_000)
    first = live(script, 500_000, chip="one")
    script = Script()
    script.tell(150_000, Ring(1, 0))
    script.tell(160_000, Ring(2, 0))
    script.tell(170_000, Ring(0, 0))
    script.tell(180_000, Reward(2, 10_000, 1, 0))
    second = live(script, 300_000, chip="one")
    done, cut, newest = second.heard(RingEntry)
    assert (done.state, done.opened_us) == (RingState.DONE, 10_000)
    assert cut.state == newest.state == RingState.INTERRUPTED
    assert newest.request_id == 2
    [before], [after] = first.heard(Identity), second.heard(Identity)
    assert (after.boot, after.losses) == (before.boot + 1, before.losses + 1)
    assert second.pulses() == []


def test_ring_remembers_sixteen_rewards_newest_first(live: Live) -> None:
    script = Script()
    for i in range(20):
        script.tell(START_US + i * 10_000, Reward(i + 1, 1_000, 1, 0))
    for nth in range(17):
        script.tell(500_000 + nth * 10_000, Ring(0, nth))
    script.tell(700_000, Ring(4, 0))
    script.keep_alive(150_000, 700_000)
    entries = live(script, 800_000).heard(RingEntry)
    assert [entry.request_id for entry in entries[:16]] == list(range(20, 4, -1))
    assert [entry.state for entry in entries[16:]] == [RingState.ABSENT] * 2


def test_light_follows_each_frame_within_the_gate(live: Live) -> None:
    script = lit(Script())
    n = script.square("frame_ttl", START_US, 1_500_000, PERIOD_US)
    script.keep_alive(150_000, 1_600_000)
    lived = live(script, 1_600_000)
    gates, lights = lived.pulses("gate"), lived.pulses("light")
    assert len(gates) == len(lights) == n
    assert [down - up for up, down in gates] == pytest.approx([7_000] * n, abs=50)
    assert [down - up for up, down in lights] == pytest.approx([6_000] * n, abs=50)
    starts = [light[0] - gate[0] for light, gate in zip(lights, gates, strict=True)]
    assert starts == pytest.approx([500] * n, abs=50)
    assert levels_agree(lived)


def test_light_by_hand_rises_within_the_gate_and_leaves_the_gate_running(live: Live) -> None:
    rule = LightRule(session_of(light={"trials": "fraction"}).experiment)
    orders = [rule.command(TaskState.WAITING, 0)]
    for on in (True, False):
        assert not rule.set_by_hand(on, TaskState.WAITING)
        orders.append(rule.command(TaskState.WAITING, 0))
    script, outbox, n_asked = Script(), Outbox(), 0
    line = LightRequests(outbox, 1, lambda *_, **__: None)
    for order, at_us in zip(orders, (120_000, START_US + 5 * PERIOD_US, 600_000), strict=True):
        assert order is not None
        line.want(order)
        while line.advance(0) is not None:
            script.send(at_us + 5_000 * n_asked, outbox.take())
            n_asked += 1
            line.hear_ack(Ack(n_asked, 0, 0), 0)
    n_frames = script.square("frame_ttl", START_US, 900_000, PERIOD_US)
    script.keep_alive(150_000, 950_000)
    lived = live(script, 950_000)
    assert len(lived.pulses("gate")) == n_frames
    lit_us = [up_us for up_us, _ in lived.pulses("light")]
    assert len(lit_us) > 5
    assert START_US + 5 * PERIOD_US < lit_us[0] < lit_us[-1] < 600_000 + PERIOD_US
    assert levels_agree(lived)


def test_missing_frames_leave_gate_and_light_down(live: Live) -> None:
    script = lit(Script())
    script.square("frame_ttl", START_US, START_US + 3 * PERIOD_US, PERIOD_US)
    script.keep_alive(150_000, 900_000)
    lived = live(script, 900_000)
    assert len(lived.pulses("gate")) == len(lived.pulses("light")) == 3
    assert lived.edges[-1]["cycle"] / 16 < START_US + 3 * PERIOD_US
    assert lived.edges[-1]["level"] == 0


@pytest.mark.parametrize("step_us", range(0, 8_000, 400))
def test_light_never_outlasts_the_gate_whenever_the_host_speaks(live: Live, step_us: int) -> None:
    script = lit(Script())
    script.square("frame_ttl", START_US, 800_000, PERIOD_US)
    at_us = START_US + 3 * PERIOD_US + step_us
    script.tell(at_us, Gate(0))
    script.tell(at_us + 2_000, Gate(1))
    script.tell(at_us + PERIOD_US, Light(0))
    script.tell(at_us + 2 * PERIOD_US, Light(1))
    script.tell(at_us + 4 * PERIOD_US, Set(SetKey.GATE_US, 2_000))
    script.tell(at_us + 6 * PERIOD_US, Set(SetKey.LIGHT_US, 1_000))
    script.reset(at_us + 8 * PERIOD_US)
    script.keep_alive(150_000, 900_000)
    lived = live(script, 900_000)
    assert levels_agree(lived)
    assert lived.edges[-1]["level"] == 0


def test_hello_out_of_range_changes_nothing(live: Live) -> None:
    script = Script()
    for i, hello in enumerate(
        [
            Hello(2, 9, 500_000, 500, 300),
            Hello(1, 9, 1_000_001, 500, 300),
            Hello(1, 9, 500_000, 1001, 300),
            Hello(1, 9, 500_000, 500, 20),
        ]
    ):
        script.tell(120_000 + i * 10_000, hello)
    script.tell(180_000, Reward(1, 500_000, 1, 0))
    script.keep_alive(150_000, 900_000)
    lived = live(script, 900_000)
    assert [(nack.reason, nack.argument) for nack in lived.heard(Nack)] == [
        (Reason.VERSION, 1),
        (Reason.OUT_OF_RANGE, 1_000_000),
        (Reason.OUT_OF_RANGE, 1000),
        (Reason.OUT_OF_RANGE, 60_000),
    ]
    assert [done.opened_us for done in lived.heard(Done)] == [500_000]
    assert len(lived.heard(Ack)) == 1
