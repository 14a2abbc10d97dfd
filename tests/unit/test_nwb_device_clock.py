"""Licks and wheel lie where the board sensed them, on the session's clock."""

from pathlib import Path

import numpy as np
from played_session import PERF0_NS, Played

from bci.core.board_types import BoardEvent, BoardEventKind
from bci.recording.device_clock import sensed_at
from bci.recording.session_record import SessionRecord
from bci.recording.time_axis import TimeAxis


def lick(device_s: float, heard_s: float) -> BoardEvent:
    heard_ns = PERF0_NS + round(heard_s * 1e9)
    return BoardEvent(0, BoardEventKind.LICK, round(device_s * 1e6), heard_ns, 1.0)


def axis_of(folder: Path) -> TimeAxis:
    Played(folder).start().close()
    return TimeAxis(SessionRecord.read(folder))


def test_clock_drift_and_late_bytes_do_not_move_events(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    truth_s = 10 + np.sort(rng.uniform(0, 2400, 400))
    device_s = (truth_s - 4) * (1 + 50e-6)
    late_s = 1e-3 + 2e-4 * rng.random(400) + 0.2 * (rng.random(400) < 0.1)
    events = [lick(d, t + late) for d, t, late in zip(device_s, truth_s, late_s, strict=True)]
    found_s = sensed_at(events, axis_of(tmp_path))
    np.testing.assert_allclose(found_s, truth_s, atol=2e-3)


def test_events_heard_in_one_read_keep_their_order_in_time(tmp_path: Path) -> None:
    events = [lick(5 + 0.01 * i, 8.1) for i in range(10)]
    found_s = sensed_at(events, axis_of(tmp_path))
    np.testing.assert_allclose(np.diff(found_s), 0.01)


def test_board_started_anew_has_a_line_of_its_own(tmp_path: Path) -> None:
    before = [lick(100.0 + i, 110.0 + i) for i in range(5)]
    after = [lick(2.0 + i, 130.0 + i) for i in range(5)]
    found_s = sensed_at([*before, *after], axis_of(tmp_path))
    np.testing.assert_allclose(found_s, [110, 111, 112, 113, 114, 130, 131, 132, 133, 134])
