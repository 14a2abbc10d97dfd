from hypothesis import given
from hypothesis import strategies as st

from bci.hardware.imaging.pacing import MAX_PACED_GAP_S, Schedule

PERIOD_NS = 100_000_000


def test_times_follow_ids_without_adding_up_errors() -> None:
    schedule = Schedule(30.92, 0, 1000)
    due = [schedule.due_ns(frame_id) for frame_id in range(100_001)]
    assert due[-1] == 1000 + round(100_000 * (1e9 / 30.92))


def test_a_lost_frame_takes_its_time() -> None:
    schedule = Schedule(10.0, 5, 0)
    assert [schedule.due_ns(i) for i in (5, 6, 9)] == [0, PERIOD_NS, 4 * PERIOD_NS]


def test_a_spoilt_id_does_not_make_the_stream_stand_still() -> None:
    schedule = Schedule(10.0, 0, 0)
    due = [schedule.due_ns(i) for i in (0, 1, 2**40, 2, 3)]
    assert due == [0, PERIOD_NS, PERIOD_NS, PERIOD_NS, 2 * PERIOD_NS]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50), st.integers(0, 2**63))
def test_whatever_the_ids_no_wait_is_longer_than_the_longest_gap(
    ids: list[int], first: int
) -> None:
    schedule = Schedule(30.0, first, 0)
    last = 0
    for frame_id in ids:
        due = schedule.due_ns(frame_id)
        assert 0 <= due - last <= (MAX_PACED_GAP_S + 0.1) * 1e9
        last = due
