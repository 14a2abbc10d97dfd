"""`bci bench loop`: from ROI frame to command, arrival and flip, beside a bare echo."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bci.bench.decoders import (
    BAR_MS,
    N_EACH,
    N_STEPS,
    VOLTAGE_HZ,
    VOLTAGE_ROIS,
    decoder_names,
    decoder_settings,
    step_rows,
)
from bci.bench.echo import Echo
from bci.bench.sessions import bench_session, recorded
from bci.bench.table import Bench, Row, make_bench
from bci.bench.verifying import verify_row
from bci.bench.watched_window import WatchedWindow
from bci.core.stimulus_types import FlipKind, FlipReport
from bci.recording.session_record import SessionRecord

N_ROIS = 1024
RATE_HZ = 30.0
START_S = 1.5
VOLTAGE_S = 6.0
VOLTAGE_DECODER = "spikes/two_populations"
DRAW_SLACK_MS = 3.0
ECHO_RATIO = 1.3


def bench_loop(
    n_rois: int = N_ROIS,
    rate_hz: float = RATE_HZ,
    duration_s: float = 31.5,
    *,
    screen: bool = True,
    window: bool = False,
    decoder: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Latencies of a whole session: acquisition, control, screen, board and journal.

    For all decoders: first the steps of each in this process and what `bci verify` takes, then a
    whole session of the spike decoder on 100 ROIs at 1 kHz.

    Parameters
    ----------
    n_rois, rate_hz
        Of the stream.
    duration_s
        Frame time; the first seconds fill the F0 window and are not counted.
    screen
        False: without the PsychoPy window.
    window
        True: with an operator window that shows all of it; not for all decoders.
    decoder
        One of `decoder_names`, or "all"; None: the usual one.
    tell
        Called with what runs now.
    """
    settings: dict[str, Any] = {
        "n_rois": n_rois,
        "rate_hz": rate_hz,
        "screen": screen,
        "journal": True,
        "window": window,
    }
    if decoder == "all":
        rows = [
            *step_rows(n_rois, rate_hz, N_STEPS, tell),
            verify_row(tell),
            *_voltage_rows(screen=screen, tell=tell),
        ]
        return make_bench("loop", settings | {"decoder": decoder}, rows)
    tell(f"a session of {n_rois:,} ROIs at {rate_hz:g} Hz, {duration_s:g} s, beside an echo")
    session = bench_session(n_rois, rate_hz, screen=screen)
    if decoder is not None:
        chosen = decoder_settings(decoder_names()[decoder], N_EACH)
        session = bench_session(n_rois, rate_hz, screen=screen, decoder=chosen)
        settings["decoder"] = decoder
    echo_s = max(1.0, duration_s - START_S)
    with (
        Echo(4 * n_rois, rate_hz, echo_s) as echo,
        recorded(session, duration_s, WatchedWindow if window else nullcontext) as record,
    ):
        echo_ms = echo.round_trips_ns() * 1e-6
        rows = _rows(record, echo_ms, 1000 / session.rig.screen.refresh_hz)
    return make_bench("loop", settings, rows)


def _voltage_rows(*, screen: bool, tell: Callable[[str], None]) -> list[Row]:
    tell(f"a session of {VOLTAGE_ROIS} ROIs at {VOLTAGE_HZ:g} Hz, {VOLTAGE_S:g} s")
    chosen = decoder_settings(decoder_names()[VOLTAGE_DECODER], VOLTAGE_ROIS // 2)
    session = bench_session(VOLTAGE_ROIS, VOLTAGE_HZ, screen=screen, decoder=chosen)
    with recorded(session, VOLTAGE_S) as record:
        decided = [(s.t_sent_ns - s.t_received_ns) * 1e-6 for s in record.sent if s.t_frame_sent_ns]
        ids = record.frames["frame_id"].astype(np.int64)
    lost = int(ids.max() - ids.min() + 1 - len(ids)) if len(ids) else 0
    name = f"{VOLTAGE_DECODER}, {VOLTAGE_ROIS} ROIs at {VOLTAGE_HZ:g} Hz"
    return [
        Row.of(f"received_to_sent, {name}", "ms", decided, BAR_MS),
        Row.one(f"frames lost, {name}", "frames", lost, 0, len(ids)),
    ]


def _rows(record: SessionRecord, echo_ms: ArrayLike, refresh_ms: float) -> list[Row]:
    sent = {s.command_id: s for s in record.sent if s.t_frame_sent_ns}
    flips = [
        timed.value
        for timed in record.screen
        if isinstance(timed.value, FlipReport)
        and timed.value.kind is FlipKind.SHOWN
        and timed.value.command_id in sent
    ]
    frames = record.frames
    received = (frames["t_received_ns"].astype(np.int64) - frames["t_sent_ns"]) * 1e-6
    decided = [(s.t_sent_ns - s.t_received_ns) * 1e-6 for s in sent.values()]
    arrived = [(f.t_received_ns - sent[f.command_id].t_frame_sent_ns) * 1e-6 for f in flips]
    drawn = [(f.t_flip_ns - f.t_draw_ns) * 1e-6 for f in flips]
    flipped = [(f.t_flip_ns - sent[f.command_id].t_frame_sent_ns) * 1e-6 for f in flips]
    echo = Row.of("bare pyzmq echo, there and back", "ms", echo_ms)
    draw = Row.of("draw and flip", "ms", drawn)
    limit = {"p50": ECHO_RATIO * echo.p50, "p99": ECHO_RATIO * echo.p99}
    arrival = Row.of("sent_to_arrived", "ms", arrived, limit)
    latest_ms = refresh_ms + draw.p99 + DRAW_SLACK_MS
    return [
        Row.of("sent_to_received", "ms", received),
        Row.of("received_to_sent", "ms", decided, BAR_MS),
        arrival,
        echo,
        Row.one("sent_to_arrived / echo, p50", "×", arrival.p50 / echo.p50, ECHO_RATIO),
        Row.one("sent_to_arrived / echo, p99", "×", arrival.p99 / echo.p99, ECHO_RATIO),
        draw,
        Row.of("sent_to_flip", "ms", flipped, {"p99": latest_ms}),
    ]
