"""TTL n belongs to frame n: an offset ends the session, what does not fit is told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.core.board_types import BoardEvent, BoardEventKind
from bci.core.loop_types import LedgerEntry, LedgerKind
from bci.recording.frame_ttls import TtlNumbers, numbered_ttls
from bci.session.frame_clock import FIRST_FRAMES, FrameClock
from bci.session.live_clock import LiveClock

RATE_HZ = 30.92
PERIOD_NS = round(1e9 / RATE_HZ)
MS = 1_000_000
T0_NS = 5_000 * MS


class Scope:
    """A microscope: edges on the wire, frames some time after, both as control hears of them."""

    def __init__(self, *, at: str = "start", way_ms: float = 3.0) -> None:
        self.clock = FrameClock(at, RATE_HZ)  # type: ignore[arg-type]
        self.way_ns = round(way_ms * MS)
        self.shift_ns = PERIOD_NS if at == "start" else 0
        self.lost_ttls: set[int] = set()
        self.lost_frames: set[int] = set()
        self.stray_before: set[int] = set()
        self.first_id = 0
        self.entries: list[LedgerEntry] = []

    def run(self, n: int, late_ms: dict[int, float] | None = None, *, end: bool = True) -> "Scope":
        told: list[tuple[int, int, tuple[int, int] | None]] = []
        count = t_ns = 0
        for i in range(n):
            t_end_ns = T0_NS + (i + 1) * PERIOD_NS
            t_ttl_ns = t_end_ns - self.shift_ns
            if i in self.stray_before:
                told.append((t_ttl_ns - PERIOD_NS // 4, -1, (count, t_ttl_ns - PERIOD_NS // 4)))
                count += 1
            if i not in self.lost_ttls:
                told.append((t_ttl_ns, -1, (count, t_ttl_ns)))
                count += 1
            if i not in self.lost_frames:
                late_ns = round((late_ms or {}).get(i, 0.0) * MS)
                # a queue keeps its order
                t_ns = max(t_ns + 1, t_end_ns + self.way_ns + late_ns)
                told.append((t_ns, i + self.first_id, None))
        for t_ns, frame_id, ttl in sorted(told, key=lambda one: one[0]):
            if ttl is not None:
                self.clock.ttl(ttl[0], ttl[1] // 1000, ttl[1])
            else:
                self.clock.frame(frame_id, t_ns)
            self.entries += self.clock.turn(t_ns)
        if end:
            self.entries += self.clock.turn(told[-1][0] + 3_000 * MS)
            self.entries += self.clock.end()
        return self

    def told(self, kind: LedgerKind) -> list[tuple[int, int]]:
        return [(e.frame_id, e.count) for e in self.entries if e.kind is kind]


@pytest.mark.parametrize("at", ["start", "end"])
@given(st.floats(0, 25), st.integers(0, 100))
def test_frames_and_ttls_that_agree_leave_no_trace(at: str, way_ms: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    late = {int(i): float(rng.exponential(60)) for i in rng.integers(1, 200, 30)}
    scope = Scope(at=at, way_ms=way_ms).run(200, late)
    assert scope.clock.fault == ""
    assert scope.entries == []


@pytest.mark.parametrize("off", [1, -1, 3])
def test_constant_offset_is_an_error_at_the_start(off: int) -> None:
    scope = Scope()
    scope.first_id = off
    if off < 0:
        scope.lost_frames = {0}
    scope.run(FIRST_FRAMES + 20, end=False)
    assert f"TTL 0 belongs to frame {off:+d} " in scope.clock.fault


def test_edge_on_the_wire_before_the_first_frame_is_an_error() -> None:
    clock = FrameClock("start", RATE_HZ)
    clock.ttl(0, T0_NS // 1000 - PERIOD_NS // 1000, T0_NS - PERIOD_NS)
    for i in range(FIRST_FRAMES + 2):
        t_ns = T0_NS + i * PERIOD_NS
        clock.ttl(i + 1, t_ns // 1000, t_ns)
        clock.frame(i, t_ns + PERIOD_NS + 2 * MS)
        clock.turn(t_ns + PERIOD_NS + 3 * MS)
    assert "TTL 0 belongs to frame -1" in clock.fault


def test_no_ttl_at_all_is_an_error_that_names_the_cable() -> None:
    scope = Scope()
    scope.lost_ttls = set(range(60))
    scope.run(60, end=False)
    assert "Look at the cable" in scope.clock.fault


def test_lost_frames_lost_edges_and_stray_edges_are_told_with_their_place() -> None:
    scope = Scope()
    scope.lost_frames = {60, 61, 62}
    scope.lost_ttls = {100}
    scope.stray_before = {140}
    scope.run(200)
    assert scope.clock.fault == ""
    assert scope.told(LedgerKind.TTL_WITHOUT_FRAME) == [(60, 3), (140, 1)]
    assert scope.told(LedgerKind.FRAME_WITHOUT_TTL) == [(100, 1)]


def test_first_frames_that_never_came_are_no_offset() -> None:
    scope = Scope()
    scope.lost_frames = {0, 1, 2, 3}
    scope.run(100)
    assert scope.clock.fault == ""
    assert scope.told(LedgerKind.TTL_WITHOUT_FRAME) == [(0, 4)]


def numbered(edges: list[tuple[float, int]], rate_hz: float) -> dict[int, int]:
    """Number given to each edge: true frame (-1: stray) by its time, as they come."""
    numbers = TtlNumbers(rate_hz)
    found = []
    for count, (t_s, _) in enumerate(edges):
        found += numbers.add(count, round(t_s * 1e6), t_s)
    found += numbers.flush()
    by_time = {ttl.t_us: ttl.number for ttl in found}
    return {true: by_time.get(round(t_s * 1e6), -2) for t_s, true in edges}


@given(
    st.sets(st.integers(3, 12)),
    st.sets(st.integers(3, 12)),
    st.floats(-0.004, 0.004),
)
def test_numbers_of_ttls_outlive_lost_and_stray_edges(
    lost: set[int], stray: set[int], off: float
) -> None:
    # faults some edges apart: each is mended before the next
    lost = {30 * i for i in lost}
    stray = {30 * i + 15 for i in stray}
    edges = []
    for i in range(400):
        if i not in lost:
            edges.append((i / RATE_HZ, i))
        if i in stray:
            edges.append((i / RATE_HZ + 0.013, -1))
    found = numbered(edges, RATE_HZ * (1 + off))
    assert {true: number for true, number in found.items() if true >= 0} == {
        i: i for i in range(400) if i not in lost
    }


@given(st.integers(0, 1000), st.floats(0, 0.3), st.floats(0.01, 0.2))
def test_late_edges_keep_the_number_that_they_were_counted_with(
    seed: int, busy: float, mean_s: float
) -> None:
    rng = np.random.default_rng(seed)
    t_s, edges = 0.0, []
    for i in range(200):
        late_s = rng.exponential(mean_s) * (rng.random() < busy) * (i > 0)
        t_s = max(t_s + 1e-4, i / RATE_HZ + late_s)
        edges.append((t_s, i))
    found = numbered(edges, RATE_HZ)
    wrong = sum(true != number for true, number in found.items())
    # a computer that stands still again and again may look like lost edges for a while
    assert wrong == 0 or busy * mean_s * RATE_HZ > 0.2


@given(
    st.integers(0, 10_000),
    st.integers(100, 600),
    st.integers(9, 300),
    st.floats(-0.004, 0.004),
)
def test_numbers_go_on_behind_a_gap_of_seconds_though_edges_come_some_ms_late(
    seed: int, n_before: int, n_gap: int, off: float
) -> None:
    rng = np.random.default_rng(seed)
    frames = [*range(n_before), *range(n_before + n_gap, n_before + n_gap + 40)]
    late_s = np.abs(rng.normal(0, 0.1, len(frames))) / RATE_HZ
    edges = [(i / RATE_HZ + late, i) for i, late in zip(frames, late_s.tolist(), strict=True)]
    found = numbered(edges, RATE_HZ * (1 + off))
    assert found == {i: i for i in frames}


def test_numbers_on_file_count_from_the_arming() -> None:
    def event(kind: BoardEventKind, t_us: int, value: float = 0.0) -> BoardEvent:
        return BoardEvent(0, kind, t_us, t_us * 1000, value)

    ttl, armed = BoardEventKind.FRAME_TTL, BoardEventKind.ARMED
    events = [
        event(ttl, 0, 7),
        event(armed, 10_000),
        *(event(ttl, 40_000 * (i + 1), i) for i in range(5)),
    ]
    ids, times_s = numbered_ttls(events, np.array([e.t_host_ns / 1e9 for e in events]), 25.0)
    assert ids.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(times_s, 0.04 * np.arange(1, 6))


def test_live_clock_follows_the_newest_pairs_and_a_restart() -> None:
    clock = LiveClock()
    event = BoardEvent(0, BoardEventKind.LICK, 2_000_000, 9_999)
    assert clock.host_ns(event) == 9_999
    for device_s, heard_s in ((1.0, 101.001), (2.0, 102.3), (3.0, 103.001)):
        took_us = (heard_s - device_s - 100) * 2e6
        pair = BoardEvent(
            0, BoardEventKind.CLOCK, round(device_s * 1e6), round(heard_s * 1e9), took_us
        )
        clock.hear(pair)
    assert clock.host_ns(event) == pytest.approx(102e9, abs=1e6)
    clock.hear(BoardEvent(0, BoardEventKind.CLOCK, 500_000, round(200.5e9), 2_000))
    assert clock.host_ns(event) == pytest.approx(202e9, abs=2e6)


def test_numbers_go_on_by_the_hosts_time_where_the_board_restarts() -> None:
    numbers, found = TtlNumbers(25.0), []
    for i in range(100):
        found += numbers.add(i, 40_000 * i, 0.04 * i)
    # frames 100 to 104 passed while the board started; it counts from 0 again
    for i in range(105, 120):
        found += numbers.add(i - 105, 40_000 * (i - 100), 0.04 * i + 0.01)
    assert [ttl.number for ttl in found] == [*range(100), *range(105, 120)]


class Restarted:
    """A board that begins anew in a session whose microscope is faster than is said."""

    TRUE_HZ = 1.019 * RATE_HZ
    N_AFTER = 120

    def __init__(self, n_before: int, n_down: int = 94) -> None:
        self.clock = FrameClock("start", RATE_HZ)
        self.entries: list[LedgerEntry] = []
        period_ns = 1e9 / self.TRUE_HZ
        up_again = n_before + n_down
        told: list[tuple[int, int, tuple[int, int] | None]] = []
        for i in range(up_again + self.N_AFTER):
            t_ns = round(T0_NS + i * period_ns)
            told.append((round(t_ns + period_ns) + 3 * MS, i, None))
            if i < n_before:
                told.append((t_ns, i, (i, t_ns // 1000)))
            elif i >= up_again:
                count = i - up_again
                told.append((t_ns, i, (count, round(count * period_ns) // 1000)))
        for t_ns, frame_id, ttl in sorted(told, key=lambda one: one[0]):
            if ttl is None:
                self.clock.frame(frame_id, t_ns)
            else:
                self.clock.ttl(*ttl, t_ns)
            self.entries += self.clock.turn(t_ns)
        self.entries += self.clock.end()

    @property
    def shifted(self) -> list[str]:
        kind = LedgerKind.FRAME_CLOCK_SHIFTED
        return [entry.detail for entry in self.entries if entry.kind is kind]


def test_ttls_counted_apart_after_a_restart_of_the_board_are_told() -> None:
    # of so few edges the period is not known: of three seconds one frame is lost count of
    restarted = Restarted(n_before=18)
    assert restarted.clock.fault == ""
    assert restarted.shifted == ["since the board began anew TTL n belongs to frame n+1"]
    # of two minutes so many that no edge meets its frame while that is waited for
    restarted = Restarted(n_before=18, n_down=4000)
    assert restarted.shifted == ["since the board began anew only 0 of 60 frames had a TTL"]


def test_ttls_that_go_on_rightly_after_a_restart_leave_no_more_than_the_gap() -> None:
    restarted = Restarted(n_before=60)
    assert {entry.kind for entry in restarted.entries} == {LedgerKind.FRAME_WITHOUT_TTL}
    assert sum(entry.count for entry in restarted.entries) == 94
