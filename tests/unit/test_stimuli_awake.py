"""Idle time starts again before any screen saver would look."""

from bci.stimuli.awake import Awake


def test_idle_time_is_reset_at_once_and_then_twice_a_minute() -> None:
    resets: list[float] = []
    now_s = 0.0
    awake = Awake(lambda: resets.append(now_s))
    while now_s < 100.0:
        awake.turn(round(now_s * 1e9))
        now_s += 0.5
    assert resets == [0.0, 30.0, 60.0, 90.0]
