"""`bci bench screen`: from command to flip, and to light where a photodiode tells of it."""

from collections.abc import Callable

import numpy as np

from bci.analysis.report.latency import lit_of
from bci.bench.sessions import bench_session, recorded
from bci.bench.table import Bench, Row, make_bench
from bci.config.rig import Board, Screen
from bci.core.loop_types import LedgerKind
from bci.core.stimulus_types import FlipKind, FlipReport, ScreenHello
from bci.hardware.board.chip import LOST_PACE
from bci.recording.session_record import SessionRecord

N_ROIS = 64
RATE_HZ = 30.0


def bench_screen(
    duration_s: float = 15.0,
    screen: Screen | None = None,
    board: Board | None = None,
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Flips and light of a whole session whose picture changes with every frame.

    Parameters
    ----------
    duration_s
        Frame time.
    screen, board
        Of a rig; None: a PsychoPy window as it comes, and the simulated board.
    tell
        Called with what runs now.
    """
    session = bench_session(N_ROIS, RATE_HZ, screen=True)
    changes = {"screen": screen or session.rig.screen, "board": board or session.rig.board}
    rig = session.rig.model_copy(update=changes)
    session = session.model_copy(update={"rig": rig})
    tell(f"a session of {duration_s:g} s, a new picture with every frame at {RATE_HZ:g} Hz")
    with recorded(session, duration_s) as record:
        hellos = [one.value for one in record.screen if isinstance(one.value, ScreenHello)]
        hello = hellos[-1]
        rows = _rows(record)
    diode = rig.screen.photodiode.enabled
    settings = {
        "display": hello.display,
        "renderer": hello.renderer,
        "refresh_hz": round(hello.refresh_hz, 2),
        "screen": "vsync" if hello.blanks else "no vsync",
        "photodiode": _photodiode(rig.board.kind) if diode else "none",
    }
    return make_bench("screen", settings, rows)


def _photodiode(kind: str) -> str:
    if kind == "serial":
        return "on the board"
    return f"a wire from the flip to the {kind} board, no light"


def _rows(record: SessionRecord) -> list[Row]:
    flips = [
        one.value
        for one in record.screen
        if isinstance(one.value, FlipReport) and one.value.kind is FlipKind.SHOWN
    ]
    sent_ns = {one.command_id: one.t_frame_sent_ns for one in record.sent if one.t_frame_sent_ns}
    counts = dict.fromkeys(LedgerKind, 0)
    for timed in record.ledger:
        counts[timed.value.kind] += timed.value.count
    from_frames = [one for one in flips if one.command_id in sent_ns]
    lit = lit_of(record)
    rows = [
        Row.of("draw and flip", "ms", [(f.t_flip_ns - f.t_draw_ns) * 1e-6 for f in flips]),
        Row.of("arrived_to_flip", "ms", [(f.t_flip_ns - f.t_received_ns) * 1e-6 for f in flips]),
        Row.of(
            "sent_to_flip",
            "ms",
            [(f.t_flip_ns - sent_ns[f.command_id]) * 1e-6 for f in from_frames],
        ),
        Row.of("between new pictures", "ms", np.diff([f.t_flip_ns for f in flips]) * 1e-6),
        Row.one("flips missed", "", counts[LedgerKind.FLIP_MISSED], n=len(flips)),
    ]
    if not record.session.rig.screen.photodiode.enabled:
        return rows
    seen = [one for one in lit if one.command_id in sent_ns]
    unmatched = counts[LedgerKind.FLIP_WITHOUT_LIGHT] + counts[LedgerKind.LIGHT_WITHOUT_FLIP]
    if record.session.rig.board.kind == "chip":
        lost = record.folder / LOST_PACE
        n_lost = len(lost.read_text("utf-8").splitlines()) if lost.exists() else 0
        rows.append(Row.one("pace of the chip lost", "", n_lost, n=len(flips)))
    return [
        *rows,
        Row.of("flip to light", "ms", [(one.t_light_ns - one.t_flip_ns) * 1e-6 for one in lit]),
        Row.of(
            "sent_to_light",
            "ms",
            [(one.t_light_ns - sent_ns[one.command_id]) * 1e-6 for one in seen],
        ),
        Row.one("unmatched", "", unmatched, n=len(flips)),
    ]
