"""Whatever a line does in the middle of a pulse, the compiled firmware ends it in time."""

from collections.abc import Callable

from chip_script import GREETING, Live, Lived, Script
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bci.hardware.board.protocol import Gate, KeepAlive, Light, Message, Reward

START_US = 200_000
PULSE_US = 450_000
PERIOD_US = 32_342
WATCHDOG_US = 304_000
WITHIN_US = 20

Damage = Callable[[bytes], bytes]

few = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def lost(at: int) -> Damage:
    return lambda frame: frame[: at % len(frame)] + frame[at % len(frame) + 1 :]


def flipped(at: int) -> Damage:
    def damage(frame: bytes) -> bytes:
        byte, bit = divmod(at % (8 * len(frame)), 8)
        return frame[:byte] + bytes([frame[byte] ^ 1 << bit]) + frame[byte + 1 :]

    return damage


def followed_by(garbage: bytes) -> Damage:
    return lambda frame: frame + garbage


place = st.integers(0, 400)
damages = st.one_of(
    st.just(lambda frame: frame),
    st.just(lambda frame: frame + frame),
    st.just(lambda _: b""),
    place.map(lost),
    place.map(flipped),
    st.binary(max_size=40).map(followed_by),
)


def never_lit_without_the_gate(lived: Lived) -> bool:
    gate = light = 0
    for edge in lived.edges:
        gate = edge["level"] if edge["pin"] == "gate" else gate
        light = edge["level"] if edge["pin"] == "light" else light
        if light and not gate:
            return False
    return True


@few
@given(
    damaged=st.lists(damages, min_size=12, max_size=12),
    silent_from=st.integers(3, 12),
    endless=st.binary(max_size=8),
    reset_us=st.none() | st.integers(0, PULSE_US),
)
def test_damaged_line_in_a_pulse_opens_once_at_most_and_shuts_in_time(
    live: Live, damaged: list[Damage], silent_from: int, endless: bytes, reset_us: int | None
) -> None:
    said: list[tuple[int, Message]] = [(-60_000, Gate(1)), (-50_000, Light(1))]
    said += [(0, Reward(1, PULSE_US, 1, 0)), (5_000, Reward(1, PULSE_US, 1, 0))]
    said += [(60_000 * i, KeepAlive()) for i in range(1, 9)]
    script = Script()
    script.square("frame_ttl", 150_000, 1_400_000, PERIOD_US)
    heard = list(zip(said, damaged, strict=True))[:silent_from]
    for sequence, ((t_us, message), damage) in enumerate(heard, 2):
        script.send(START_US + t_us, damage(message.frame(sequence)))
    last_us = START_US + heard[-1][0][0]
    for i in range(200):  # garbage without end, where there is any
        script.send(last_us + 5_000 + i * 4_000, endless)
    if reset_us is not None:
        script.reset(START_US + reset_us)
    lived = live(script, 1_500_000)
    pulses = lived.pulses()
    assert len(pulses) <= 1
    assert all(down - up <= GREETING.max_open_us + WITHIN_US for up, down in pulses)
    assert all(down <= last_us + WATCHDOG_US for _, down in pulses)
    if reset_us is not None and pulses:
        assert pulses[0][1] <= max(START_US + reset_us + WITHIN_US, pulses[0][0])
    assert never_lit_without_the_gate(lived)
    assert {edge["pin"]: edge["level"] for edge in lived.edges}.get("light", 0) == 0
