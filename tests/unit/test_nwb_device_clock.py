"""Licks and wheel lie where the board sensed them, on the session's clock."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.core.board_types import BoardEvent, BoardEventKind
from bci.recording.device_clock import DeviceClock, fit_clock

PERF0_NS = 5_000_000_000


def lick(device_s: float, heard_s: float) -> BoardEvent:
    heard_ns = PERF0_NS + round(heard_s * 1e9)
    return BoardEvent(0, BoardEventKind.LICK, round(device_s * 1e6), heard_ns, 1.0)


def sensed(events: list[BoardEvent]) -> NDArray[np.float64]:
    return DeviceClock(events, lambda t_ns: (t_ns - PERF0_NS) / 1e9).times_s


def test_clock_drift_and_late_bytes_do_not_move_events() -> None:
    rng = np.random.default_rng(1)
    truth_s = 10 + np.sort(rng.uniform(0, 2400, 400))
    device_s = (truth_s - 4) * (1 + 50e-6)
    late_s = 1e-3 + 2e-4 * rng.random(400) + 0.2 * (rng.random(400) < 0.1)
    events = [lick(d, t + late) for d, t, late in zip(device_s, truth_s, late_s, strict=True)]
    found_s = sensed(events)
    np.testing.assert_allclose(found_s, truth_s, atol=2e-3)


def test_events_heard_in_one_read_keep_their_order_in_time() -> None:
    events = [lick(5 + 0.01 * i, 8.1) for i in range(10)]
    found_s = sensed(events)
    np.testing.assert_allclose(np.diff(found_s), 0.01)


def test_board_started_anew_has_a_line_of_its_own() -> None:
    before = [lick(100.0 + i, 110.0 + i) for i in range(5)]
    after = [lick(2.0 + i, 130.0 + i) for i in range(5)]
    found_s = sensed([*before, *after])
    np.testing.assert_allclose(found_s, [110, 111, 112, 113, 114, 130, 131, 132, 133, 134])


def pairs(
    rng: np.random.Generator, span_s: float, drift: float, queue_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """True host times, and device, sent and heard times of questions with queues on both ways."""
    n = max(int(span_s), 2)
    truth_s = 100 + np.sort(rng.uniform(0, span_s, n))
    busy = rng.random((2, n)) < 0.3
    out_s, back_s = 1e-3 + 2e-4 * rng.random((2, n)) + busy * rng.exponential(queue_s, (2, n))
    return truth_s, (truth_s - 60) / (1 + drift), truth_s - out_s, truth_s + back_s


@given(
    st.integers(0, 1000),
    st.floats(2, 3000),
    st.floats(-300e-6, 300e-6),
    st.floats(0, 0.3),
)
def test_clock_is_found_within_the_error_that_it_states(
    seed: int, span_s: float, drift: float, queue_s: float
) -> None:
    truth_s, device_s, sent_s, heard_s = pairs(np.random.default_rng(seed), span_s, drift, queue_s)
    line = fit_clock(device_s, sent_s, heard_s)
    assert np.max(np.abs(line.at(device_s) - truth_s)) <= line.error_s
    if span_s > 600:
        # a queue of 0.3 s neither moves the line nor blows the bound up
        assert line.error_s < 4e-3
        assert abs(line.drift - drift) < 5e-6


def test_questions_and_answers_place_the_other_events() -> None:
    truth_s, device_s, sent_s, heard_s = pairs(np.random.default_rng(3), 900, 80e-6, 0.2)
    asked = [
        BoardEvent(
            0,
            BoardEventKind.CLOCK,
            round(d * 1e6),
            PERF0_NS + round(h * 1e9),
            (h - s) * 1e6,
        )
        for d, s, h in zip(device_s, sent_s, heard_s, strict=True)
    ]
    # every lick was heard half a second late, which a line through hearing could not know
    licks = [lick(d, t + 0.5) for d, t in zip(device_s, truth_s, strict=True)]
    events = [event for two in zip(asked, licks, strict=True) for event in two]
    clock = DeviceClock(events, lambda t_ns: (t_ns - PERF0_NS) / 1e9)
    [segment] = clock.segments
    np.testing.assert_allclose(clock.times_s[1::2], truth_s, atol=segment.line.error_s)
    assert "drift +80." in clock.description
    assert "error at most" in clock.description
