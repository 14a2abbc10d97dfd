"""`bci bench window`: what the loop notices of the operator window, pair by pair."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.bench.sessions import bench_session, recorded
from bci.bench.table import Bench, Row, make_bench
from bci.bench.watched_window import WatchedWindow
from bci.recording.session_record import SessionRecord

N_ROIS = 2000
RATE_HZ = 30.0
PAIRS = 5
DURATION_S = 10.0
DECIDED_MS = {"p50": 0.2, "p99": 0.4}
MOST_DIFFERENCE_MS = 0.3
MOST_CPU_PERCENT = 40.0


def bench_window(
    n_rois: int = N_ROIS,
    pairs: int = PAIRS,
    duration_s: float = DURATION_S,
    *,
    screen: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Sessions with and without a window, in turn.

    Parameters
    ----------
    n_rois
        Of the stream, all shown.
    pairs
        How many of each.
    duration_s
        Frame time of each session.
    screen
        False: without the PsychoPy window.
    tell
        Called with what runs now.
    """
    without: list[NDArray[np.float64]] = []
    beside: list[NDArray[np.float64]] = []
    cpu_percent: list[float] = []
    lost = 0
    session = bench_session(n_rois, RATE_HZ, screen=screen)
    for pair in range(pairs):
        # whatever else the computer does shall favour neither
        for shown in (False, True) if pair % 2 == 0 else (True, False):
            tell(f"pair {pair + 1} of {pairs}, {'with' if shown else 'without'} window")
            if not shown:
                with recorded(session, duration_s) as record:
                    without.append(_decided_ms(record))
                continue
            windows: list[WatchedWindow] = []

            def opened(folder: Path, windows: list[WatchedWindow] = windows) -> WatchedWindow:
                windows.append(WatchedWindow(folder))
                return windows[0]

            with recorded(session, duration_s, opened) as record:
                beside.append(_decided_ms(record))
                lost += _lost(record)
            cpu_percent.append(windows[0].cpu_percent)
    settings = {
        "n_rois": n_rois,
        "rate_hz": RATE_HZ,
        "screen": screen,
        "journal": True,
        "window": True,
        "pairs": pairs,
    }
    return make_bench("window", settings, _rows(without, beside, cpu_percent, lost))


def _decided_ms(record: SessionRecord) -> NDArray[np.float64]:
    sent = [s.t_sent_ns - s.t_received_ns for s in record.sent if s.t_frame_sent_ns]
    return np.array(sent, np.float64) * 1e-6


def _lost(record: SessionRecord) -> int:
    ids = record.frames["frame_id"]
    return int(ids[-1] - ids[0]) + 1 - len(ids)


def _rows(
    without: list[NDArray[np.float64]],
    beside: list[NDArray[np.float64]],
    cpu_percent: list[float],
    lost: int,
) -> list[Row]:
    differences = [
        float(np.percentile(b, 99) - np.percentile(a, 99))
        for a, b in zip(without, beside, strict=True)
    ]
    median = float(np.median(differences))
    return [
        Row.of("received_to_sent, without", "ms", np.concatenate(without), DECIDED_MS),
        Row.of("received_to_sent, with window", "ms", np.concatenate(beside), DECIDED_MS),
        Row.one("p99 with − without, median", "ms", median, MOST_DIFFERENCE_MS, n=len(differences)),
        Row.of("window, of one core", "%", cpu_percent, {"max": MOST_CPU_PERCENT}),
        Row.one("frames lost with window", "", float(lost), 0.0, n=sum(map(len, beside))),
    ]
