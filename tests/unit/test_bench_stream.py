from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from bci.bench.capacity import LAG_MS, Broke, Limit, Step
from bci.bench.sender import N_COLUMNS, prepared_source
from bci.bench.stream import limit_rows, session_rows


def a_step(
    n_rois: int = 200,
    rate_hz: float = 1000.0,
    *,
    lost: int = 0,
    sent_hz: float | None = None,
    lag_ms: float = 0.1,
) -> Step:
    return Step(n_rois, rate_hz, 1000, lost, sent_hz or rate_hz, lag_ms)


def test_only_a_run_without_loss_kept_up_by_both_ends_counts_as_carried() -> None:
    assert a_step().broke is None
    assert a_step(lost=1).broke is Broke.LOST
    assert a_step(lag_ms=2 * LAG_MS).broke is Broke.BEHIND
    assert a_step(sent_hz=900.0).broke is Broke.SLOW


def test_most_is_the_largest_product_of_the_runs_that_were_carried() -> None:
    rows = limit_rows(
        [
            Limit(200, a_step(200, 8000.0), a_step(200, 16000.0, lost=5)),
            Limit(10_000, a_step(10_000, 500.0), None),
            Limit(50_000, None, a_step(50_000, 500.0, lost=9)),
        ]
    )
    assert rows[-1].name == "most ROIs × Hz without loss"
    assert rows[-1].p50 == pytest.approx(5.0)
    assert [row.p50 for row in rows if row.name == "200 ROIs: frames lost"] == [16000.0]


def test_nothing_carried_gives_no_product() -> None:
    rows = limit_rows([Limit(200, None, a_step(lost=1))])
    assert [row.name for row in rows] == ["200 ROIs: frames lost"]


def test_prepared_frames_follow_each_other_and_differ() -> None:
    source = prepared_source(8, 30.0)
    frames = [source.read(0.0) for _ in range(2 * N_COLUMNS)]
    assert [frame.frame_id for frame in frames] == list(range(2 * N_COLUMNS))
    for before, after in pairwise(frames):
        assert (before.fluorescence != after.fluorescence).any()


def test_frames_missing_among_the_ids_are_lost() -> None:
    kinds = [("frame_id", "<u8"), ("t_sent_ns", "<i8"), ("t_received_ns", "<i8")]
    ids = [0, 1, 4, 5, 5, 9]
    frames = np.array([(i, i * 10**6, i * 10**6 + 5 * 10**5) for i in ids], kinds)
    record = SimpleNamespace(frames=frames, ledger=[], sent=[])
    rows = {row.name: row for row in session_rows(record, "case")}  # type: ignore[arg-type]
    assert (rows["case: lost"].n, rows["case: lost"].max) == (10, 5)
    assert rows["case: rate sent"].p50 == pytest.approx(1000.0)
    assert rows["case: sent_to_received"].p99 == pytest.approx(0.5)
