"""A stream at another rate than declared is found, and a computer that stands still is none."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bci.core.loop_types import LedgerKind
from bci.session.stream_pace import (
    EVERY_S,
    FEW_FRAMES,
    FIRST_S,
    RateFound,
    StreamLag,
    StreamRate,
)

RATE_HZ = 30.0
MS = 1_000_000


def frames_at(
    true_hz: float, seconds: float, stalls: tuple[tuple[float, float], ...] = (), seed: int = 1
) -> list[tuple[int, int]]:
    """Ids and times of frames: made at a rate, seen when nobody stands still, jitter included.

    Each stall is its beginning and its length, s: what is made in it comes in a burst at its end.
    """
    rng = np.random.default_rng(seed)
    made_s = np.arange(int(seconds * true_hz)) / true_hz
    seen_s = made_s + rng.exponential(0.002, len(made_s))
    for since_s, length_s in stalls:
        held = (seen_s >= since_s) & (seen_s < since_s + length_s)
        seen_s[held] = since_s + length_s
    seen_s = np.maximum.accumulate(seen_s)
    return [(k, round(t * 1e9)) for k, t in enumerate(seen_s)]


def judged(rate: StreamRate, frames: list[tuple[int, int]], first_id: int = 0) -> list[RateFound]:
    """Every verdict on frames that come with the computer's clock alone."""
    found = []
    for frame_id, t_ns in frames:
        rate.frame(first_id + frame_id, t_ns, 0)
        if (verdict := rate.judge()) is not None:
            found.append(verdict)
    return found


@pytest.mark.parametrize("declared_hz", [5.0, 30.0, 1000.0])
@pytest.mark.parametrize("factor", [0.5, 0.97, 1.03, 2.0])
def test_another_rate_is_wrong_after_three_seconds_and_sixty_frames(
    declared_hz: float, factor: float
) -> None:
    rate, true_hz = StreamRate(declared_hz), declared_hz * factor
    seconds = max(FIRST_S, FEW_FRAMES / true_hz)
    assert not judged(rate, frames_at(true_hz, 0.9 * seconds), 10**9)
    (found,) = judged(StreamRate(declared_hz), frames_at(true_hz, seconds + 3.0), 10**9)
    assert found.is_wrong
    assert found.clock == "computer"
    assert found.rate_hz == pytest.approx(true_hz, rel=0.01)


@pytest.mark.parametrize("factor", [0.99, 1.0, 1.01])
def test_the_declared_rate_is_right_and_looked_at_once_a_minute(factor: float) -> None:
    found = judged(StreamRate(RATE_HZ), frames_at(RATE_HZ * factor, FIRST_S + 2.5 * EVERY_S))
    assert len(found) == 3
    assert not any(one.is_wrong for one in found)


def test_a_rate_that_changes_is_found_within_a_minute_or_two() -> None:
    rate = StreamRate(RATE_HZ)
    right = frames_at(RATE_HZ, 70.0)
    last_id, last_ns = right[-1]
    slow = [(last_id + 1 + k, last_ns + t + 60 * MS) for k, t in frames_at(20.0, 150.0)]
    assert not any(one.is_wrong for one in judged(rate, right))
    assert any(one.is_wrong for one in judged(rate, slow))


@given(
    st.lists(st.tuples(st.floats(0, 9), st.floats(0.05, 4.0)), max_size=3),
    st.integers(0, 1000),
)
@example([(0.125, 3.0)], 0)
@settings(max_examples=60, deadline=None)
def test_a_computer_that_stands_still_is_no_wrong_rate(
    stalls: list[tuple[float, float]], seed: int
) -> None:
    found = judged(StreamRate(RATE_HZ), frames_at(RATE_HZ, 30.0, tuple(stalls), seed))
    assert not any(one.is_wrong for one in found)


def test_a_computer_that_stands_still_every_second_is_no_wrong_rate() -> None:
    for offset_s in np.arange(0.0, 1.0, 0.1):
        stalls = tuple((k + offset_s, 0.2) for k in range(30))
        found = judged(StreamRate(RATE_HZ), frames_at(RATE_HZ, 30.0, stalls))
        assert not any(one.is_wrong for one in found)


def test_a_wrong_rate_is_found_although_the_computer_stood_still() -> None:
    found = judged(StreamRate(RATE_HZ), frames_at(15.0, 60.0, ((1.0, 2.5),)))
    assert found[0].is_wrong
    assert found[0].rate_hz == pytest.approx(15.0, rel=0.02)


def with_clocks(
    scope: Callable[[int], int] | None, board: Callable[[int], int] | None, true_hz: float
) -> RateFound | None:
    rate = StreamRate(RATE_HZ)
    for frame_id, t_ns in frames_at(true_hz, 8.0):
        rate.frame(frame_id, t_ns, scope(frame_id) if scope else 0)
        if board:
            rate.ttl(frame_id, board(frame_id))
        if (found := rate.judge()) is not None:
            return found
    return None


def test_the_best_clock_decides() -> None:
    """The board's, else the microscope's, else the computer's."""
    by_scope = with_clocks(lambda k: round(k * 1e9 / 15) + 1, None, 15.0)
    assert by_scope is not None
    assert by_scope.is_wrong
    assert (by_scope.clock, by_scope.rate_hz) == ("microscope", pytest.approx(15.0))
    by_board = with_clocks(lambda k: k + 1, lambda k: round(k * 1e6 / 15), 15.0)
    assert by_board is not None
    assert (by_board.clock, by_board.rate_hz) == ("board", pytest.approx(15.0, rel=1e-4))


def test_a_clock_in_another_unit_is_no_wrong_rate() -> None:
    found = with_clocks(lambda k: round(k * 1e6 / RATE_HZ) + 1, None, RATE_HZ)
    assert found is not None
    assert (found.clock, found.is_wrong) == ("computer", False)


# -- lag -----------------------------------------------------------------------------------------


def told(lag: StreamLag, lags_ms: list[float], offset_ns: int = 0) -> list[tuple[int, LedgerKind]]:
    """Entries, each with the number of its frame, where frames come so much late."""
    found = []
    for k, late_ms in enumerate(lags_ms):
        t_sent_ns = round(k * 1e9 / RATE_HZ)
        entry = lag.frame(k, t_sent_ns, t_sent_ns + offset_ns + round(late_ms * MS))
        if entry is not None:
            found.append((k, entry.kind))
    return found


@given(st.integers(-(10**18), 10**18))
def test_lag_above_two_frames_for_a_second_is_told_and_its_end(offset_ns: int) -> None:
    """Whatever the two clocks have to do with each other."""
    lag = StreamLag(RATE_HZ)
    course = [1.0] * 60 + [80.0] * 60 + [50.0] * 60 + [5.0] * 60
    found = told(lag, course, offset_ns)
    assert [kind for _, kind in found] == [LedgerKind.LAG, LedgerKind.LAG_OVER]
    assert 60 + 29 <= found[0][0] <= 60 + 31
    assert 180 + 29 <= found[1][0] <= 180 + 31
    assert not lag.is_behind


def test_a_burst_after_a_stall_is_no_lag() -> None:
    lag = StreamLag(RATE_HZ)
    burst = [3000.0 - k * 1000.0 / RATE_HZ for k in range(90)]
    assert not told(lag, [1.0] * 30 + burst + [1.0] * 60)


def test_lag_between_the_two_limits_is_told_neither_time() -> None:
    assert not told(StreamLag(RATE_HZ), [1.0] * 10 + [60.0] * 300)
