"""`bci bench stream`: whether frames are lost at the rates that are promised, and at which."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from bci.bench.capacity import LADDERS, STEP_S, Limit, find_limits
from bci.bench.sessions import bench_session, recorded
from bci.bench.table import Bench, Row, make_bench
from bci.core.loop_types import LedgerKind
from bci.recording.session_record import SessionRecord

CASES = ((10_000, 30.0), (200, 1000.0))
"""ROIs and Hz of which no frame may be lost."""
DURATION_S = 6.0
ENDS_AFTER_S = 36.0


def bench_stream(
    cases: Sequence[tuple[int, float]] = CASES,
    duration_s: float = DURATION_S,
    ladders: tuple[tuple[int, float], ...] = LADDERS,
    step_s: float = STEP_S,
    tell: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Frames lost in whole sessions, and the most ROIs × Hz of which none is.

    Sessions run through the real processes: acquisition, control with decoder, task and journal,
    simulated board, null screen. The search for the most has a sending process and the decoder in
    this one; it has no journal.

    Parameters
    ----------
    cases
        ROIs and Hz of each session.
    duration_s
        Frame time of each session.
    ladders, step_s
        As in `bci.bench.capacity.find_limits`.
    tell
        Called with what runs now.
    """
    began = time.monotonic()
    rows: list[Row] = []
    for n_rois, rate_hz in cases:
        tell(f"a session of {n_rois:,} ROIs at {rate_hz:g} Hz, {duration_s:g} s")
        with recorded(bench_session(n_rois, rate_hz, screen=False), duration_s) as record:
            rows += session_rows(record, f"{n_rois} × {rate_hz:g} Hz")
    limits = find_limits(tell, began + ENDS_AFTER_S, ladders, step_s)
    rows += limit_rows(limits)
    settings = {
        "n_rois": [n_rois for n_rois, _ in cases],
        "rate_hz": [rate_hz for _, rate_hz in cases],
        "duration_s": duration_s,
        "screen": False,
        "journal": True,
        "window": False,
    }
    return make_bench("stream", settings, rows)


def session_rows(record: SessionRecord, case: str) -> list[Row]:
    """Rows of one session, their names beginning with `case`.

    Effects are withheld where more than two newer frames wait already: what a stall of the machine
    looks like when it loses nothing.
    """
    frames = record.frames
    ids, sent_ns = frames["frame_id"], frames["t_sent_ns"]
    # ids begin at 0 and go up by one, so the last one tells how many were sent
    n_sent = int(ids.max()) + 1
    n_lost = n_sent - len(np.unique(ids))
    n_late = sum(t.value.count for t in record.ledger if t.value.kind is LedgerKind.LATE)
    sent_hz = (int(ids[-1]) - int(ids[0])) * 1e9 / max(1, int(sent_ns[-1]) - int(sent_ns[0]))
    received = (frames["t_received_ns"].astype(np.int64) - sent_ns) * 1e-6
    decided = [(s.t_sent_ns - s.t_received_ns) * 1e-6 for s in record.sent if s.t_frame_sent_ns]
    return [
        Row.one(f"{case}: lost", "frames", n_lost, 0, n=n_sent),
        Row.one(f"{case}: commands withheld", "frames", n_late, n=n_sent),
        Row.one(f"{case}: rate sent", "Hz", sent_hz, n=n_sent),
        Row.of(f"{case}: sent_to_received", "ms", received),
        Row.of(f"{case}: received_to_sent", "ms", decided),
    ]


def limit_rows(limits: Sequence[Limit]) -> list[Row]:
    """For each number of ROIs the fastest run without loss and the slowest with; the best of all.

    In the rows of single runs `n` is the number of frames that were sent.
    """
    rows = []
    for limit in limits:
        if limit.most is not None:
            step = limit.most
            rows.append(Row.one(f"{step.n_rois} ROIs: carried", "Hz", step.rate_hz, n=step.sent))
        if limit.broke is not None:
            step = limit.broke
            name = f"{step.n_rois} ROIs: {step.broke}"
            rows.append(Row.one(name, "Hz", step.rate_hz, n=step.sent))
    carried = [limit.most.n_rois * limit.most.rate_hz * 1e-6 for limit in limits if limit.most]
    if carried:
        rows.append(Row.one("most ROIs × Hz without loss", "10⁶/s", max(carried)))
    return rows
