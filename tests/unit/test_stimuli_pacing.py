"""Pacing on a clock that the test turns."""

import math

import pytest

from bci.stimuli.pacing import FlipPacer, measure_blanking

REFRESH_S = 1 / 60


class FakeScreen:
    """Flips that take `work_s` and then, where it blanks, wait for the next blank."""

    def __init__(self, *, blanks: bool, work_s: float) -> None:
        self.now_s = 0.0
        self.blanks = blanks
        self.work_s = work_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def flip(self) -> int:
        self.now_s += self.work_s
        if self.blanks:
            self.now_s = (math.floor(self.now_s / REFRESH_S) + 1) * REFRESH_S
        return round(self.now_s * 1e9)


def pacer(*, blanks: bool) -> FlipPacer:
    return FlipPacer(REFRESH_S, blanks=blanks, pre_blank_s=0.005, t_start_s=0.0)


def test_screen_that_blanks_is_recognised_and_measured() -> None:
    screen = FakeScreen(blanks=True, work_s=0.001)
    blanks, interval_s = measure_blanking(screen.flip, screen.sleep)
    assert blanks
    assert interval_s == pytest.approx(REFRESH_S)


@pytest.mark.parametrize("work_s", [0.0002, 0.004, REFRESH_S])
def test_slow_drawing_is_not_taken_for_a_screen(work_s: float) -> None:
    screen = FakeScreen(blanks=False, work_s=work_s)
    assert not measure_blanking(screen.flip, screen.sleep)[0]


def test_command_is_taken_shortly_before_the_next_blank() -> None:
    plan = pacer(blanks=True)
    plan.flipped(1.0)
    t_take_s, t_seen_s = plan.plan(1.0005)
    assert t_seen_s == pytest.approx(1.0 + REFRESH_S)
    assert t_take_s == pytest.approx(t_seen_s - 0.005)


def test_after_a_missed_blank_the_next_one_is_aimed_at() -> None:
    plan = pacer(blanks=True)
    plan.flipped(1.0)
    assert plan.plan(1.0 + 2.2 * REFRESH_S)[1] == pytest.approx(1.0 + 3 * REFRESH_S)


def test_timer_keeps_the_nominal_rate_and_does_not_drift() -> None:
    plan, now_s, seen_s = pacer(blanks=False), 0.0, []
    for flip in range(600):
        t_take_s, t_seen_s = plan.plan(now_s)
        assert t_take_s == t_seen_s
        now_s = max(now_s, t_take_s) + (0.012 if flip % 3 else 0.004)
        assert plan.flipped(now_s) == 0
        seen_s.append(t_seen_s)
    assert seen_s == pytest.approx([(index + 1) * REFRESH_S for index in range(600)])


def test_timer_that_was_held_up_skips_ticks_and_does_not_hurry() -> None:
    plan = pacer(blanks=False)
    plan.plan(0.0)
    seen_s = [plan.plan(10.4 * REFRESH_S)[1], plan.plan(10.5 * REFRESH_S)[1]]
    assert seen_s == pytest.approx([10 * REFRESH_S, 11 * REFRESH_S])


@pytest.mark.parametrize("blanks", [True, False])
def test_missed_refreshes_are_counted(blanks: bool) -> None:
    plan = pacer(blanks=blanks)
    assert plan.flipped(1.0) == 0
    assert plan.flipped(1.0 + 1.4 * REFRESH_S) == 0
    assert plan.flipped(1.0 + 3.4 * REFRESH_S) == 1
    assert plan.flipped(1.0 + 8.4 * REFRESH_S) == 4
