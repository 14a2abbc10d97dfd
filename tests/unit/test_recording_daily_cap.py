"""What a subject was given today: by local date of the end, over midnight and changes of time."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.config.experiment import Task
from bci.core.rewards import Reward, RewardFate
from bci.recording.daily_cap import DailyCap
from bci.recording.reward_log import RewardLine, local_now

F = RewardFate


class SetClock:
    """Local time that a test sets."""

    def __init__(self, now: str) -> None:
        self.now = datetime.fromisoformat(now)

    def __call__(self) -> datetime:
        return self.now

    def set(self, now: str) -> None:
        self.now = datetime.fromisoformat(now)


def line(time: str, request_id: int, fate: RewardFate = F.DONE, **changes: object) -> RewardLine:
    made = RewardLine(time, "other", request_id, "task", 1, 4.0, fate, "serial")
    return msgspec.structs.replace(made, **changes)


def drop(request_id: int, fate: RewardFate = F.SENT, origin: str = "task") -> Reward:
    return Reward(request_id, origin, 1, 4.0, fate)


def capped(clock: SetClock, cap_ul: float = 8.0, operator_ul: float | None = None) -> DailyCap:
    task = Task(daily_cap_ul=cap_ul, operator_daily_cap_ul=operator_ul)
    return DailyCap(task, "serial", "own", clock)


def test_drop_counts_on_the_date_of_its_end_and_the_cap_is_new_at_midnight() -> None:
    clock = SetClock("2026-11-30T23:59:59.900+01:00")
    cap = capped(clock)
    cap.read([line("2026-11-30T12:00:00+01:00", 1)])
    cap.expect(drop(1))
    assert cap.given().volume_ul == 8.0
    assert cap.why_not(4.0, "task")
    clock.set("2026-12-01T00:00:00.100+01:00")
    # others wrote meanwhile, and the drop that was under way belongs to the day that it ends on
    cap.read([line("2026-12-01T00:00:00.050+01:00", 2)])
    assert cap.given().volume_ul == 8.0
    cap.end(drop(1, F.FAILED), clock.now)
    assert cap.given().volume_ul == 4.0
    assert not cap.why_not(4.0, "task")
    cap.end(drop(2, F.DONE), datetime.fromisoformat("2026-11-30T23:59:59.999+01:00"))
    assert cap.given().volume_ul == 4.0


def test_drop_that_another_session_sent_before_midnight_moves_to_the_date_of_its_end() -> None:
    clock = SetClock("2026-12-01T00:00:05+01:00")
    cap = capped(clock)
    cap.read([line("2026-11-30T23:59:59.900+01:00", 1, F.SENT)])
    assert cap.given().volume_ul == 0.0
    cap.read([line("2026-12-01T00:00:00.100+01:00", 1)])
    assert cap.given().volume_ul == 4.0
    clock.set("2026-11-30T23:59:59+01:00")
    cap.read([])
    assert cap.given().volume_ul == 0.0


@pytest.mark.parametrize(
    ("drop_at", "now"),
    [
        # the hour that comes twice, and the one that never comes
        ("2026-10-25T02:30:00+02:00", "2026-10-25T02:15:00+01:00"),
        ("2026-03-29T01:59:59+01:00", "2026-03-29T03:00:00+02:00"),
        # the computer is taken from Berlin to Tokyo and back: the date of the rig counts
        ("2026-11-30T20:00:00+01:00", "2026-11-30T23:59:59+09:00"),
        ("2026-11-30T00:30:00+09:00", "2026-11-30T09:00:00+01:00"),
    ],
)
def test_change_of_the_offset_neither_loses_a_drop_of_the_date_nor_counts_it_twice(
    drop_at: str, now: str
) -> None:
    cap = capped(SetClock(now))
    cap.read([line(drop_at, 1)])
    assert cap.given().volume_ul == 4.0


def test_zone_in_which_the_date_goes_back_counts_that_date_again() -> None:
    clock = SetClock("2026-12-01T00:30:00+01:00")
    cap = capped(clock)
    cap.read([line("2026-11-30T23:00:00+01:00", 1)])
    assert cap.given().volume_ul == 0.0
    clock.set("2026-11-30T23:30:00+00:00")
    cap.read([])
    assert cap.given().volume_ul == 4.0


def test_own_drops_come_once_although_the_log_has_them_too() -> None:
    cap = capped(SetClock("2026-11-30T12:00:00+01:00"))
    cap.end(drop(1, F.DONE), datetime.fromisoformat("2026-11-30T12:00:00+01:00"))
    cap.read([line("2026-11-30T12:00:00+01:00", 1, session="own")])
    assert cap.given().volume_ul == 4.0


def test_rehearsals_and_real_drops_are_counted_apart() -> None:
    clock = SetClock("2026-11-30T12:00:00+01:00")
    lines = [line("2026-11-30T12:00:00+01:00", n, board=kind) for n, kind in
             enumerate(("serial", "bpod", "chip", "simulated"))]  # fmt: skip
    for kind in ("serial", "simulated"):
        cap = DailyCap(Task(), kind, clock=clock)
        cap.read(lines)
        assert cap.given().volume_ul == 8.0


def test_operator_has_a_cap_of_his_own_within_that_of_all() -> None:
    clock = SetClock("2026-11-30T12:00:00+01:00")
    cap = capped(clock, cap_ul=20.0, operator_ul=8.0)
    cap.read([line("2026-11-30T12:00:00+01:00", 1, origin="operator")])
    assert not cap.why_not(4.0, "operator")
    cap.expect(drop(1, F.REQUESTED, "operator"))
    assert "operator_daily_cap_ul" in cap.why_not(4.0, "operator")
    assert not cap.why_not(12.0, "task")
    assert "task.daily_cap_ul" in cap.why_not(12.1, "task")
    assert "task.daily_cap_ul" in cap.why_not(4.0, "task", owed_ul=12.0)


def test_caps_are_two_millilitres_in_all_and_one_for_the_operator_if_nothing_is_set() -> None:
    task = Task()
    assert (task.daily_cap_ul, task.operator_daily_cap_ul) == (2000.0, 1000.0)


def test_local_time_follows_the_zone_of_the_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for name, hours in (("WEST5", -5), ("EAST-9", 9)):
            monkeypatch.setenv("TZ", name)
            assert local_now().utcoffset() == timedelta(hours=hours)
    finally:
        monkeypatch.undo()
        local_now()


ZONES = ("Europe/Berlin", "America/Santiago", "Asia/Tokyo", "UTC")
T0 = datetime(2026, 3, 28, 12, tzinfo=UTC)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(ZONES),
            st.integers(0, 20_000_000),
            st.sampled_from(["own", "other", "look"]),
            st.sampled_from([F.DONE, F.FAILED, F.UNKNOWN]),
        ),
        max_size=40,
    )
)
def test_today_is_the_sum_of_what_ended_on_the_date_of_the_clock(
    steps: list[tuple[str, int, str, RewardFate]],
) -> None:
    clock = SetClock("2026-03-28T12:00:00+00:00")
    cap = capped(clock)
    model: dict[date, float] = defaultdict(float)
    for number, (zone, seconds, what, fate) in enumerate(steps):
        clock.now = (T0 + timedelta(seconds=seconds)).astimezone(ZoneInfo(zone))
        if what == "own":
            cap.expect(drop(number))
            cap.end(drop(number, fate), clock.now)
        elif what == "other":
            time = clock.now.isoformat(timespec="milliseconds")
            cap.read([line(time, number, F.SENT), line(time, number, fate)])
        if what != "look":
            model[clock.now.date()] += 4.0 * fate.counts_as_given
        cap.read([])
        assert cap.given().volume_ul == model[clock.now.date()]
