"""How fast `bci verify` computes a session again: one recorded in this process, no other beside."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bci.bench.decoders import F0_WINDOW_S, PLANE_ROIS, PLANES, PLANES_HZ, planes_decoder
from bci.bench.sessions import BenchFailed, bench_session
from bci.bench.table import Row
from bci.config import Session, settings_hash
from bci.core.frame_header import pack_header
from bci.core.loop import ClosedLoop
from bci.core.loop_types import Start
from bci.core.stream_types import RoiFrame
from bci.recording.folder import JOURNAL
from bci.recording.journal import Journal
from bci.recording.manifest import make_manifest, write_manifest
from bci.recording.records import JournalStart, SequencedEvent, Topic
from bci.recording.verify import verify
from bci.simulation.field_of_view import SimulatedFieldOfView

DURATION_S = 300.0
N_TIMES = 5
MOST_S_PER_HOUR = 3.6
"""1,000 times real time."""
_NAME = "bench"


def verify_row(tell: Callable[[str], None], duration_s: float = DURATION_S) -> Row:
    """Time that `bci verify` takes for an hour of 2 planes of 60 ROIs at 30.92 Hz, s.

    Parameters
    ----------
    tell
        Called with what runs now.
    duration_s
        Frame time of the session that is verified.

    Raises
    ------
    BenchFailed
        If the session does not verify.
    """
    name = f"verify {PLANES} planes × {PLANE_ROIS} ROIs at {PLANES_HZ:g} Hz"
    tell(name)
    session = bench_session(
        PLANES * PLANE_ROIS,
        PLANES_HZ,
        screen=False,
        f0_window_s=F0_WINDOW_S,
        n_planes=PLANES,
        decoder=planes_decoder(),
    )
    took_s = []
    with TemporaryDirectory() as folder:
        _record(Path(folder), session, round(duration_s * PLANES_HZ))
        for _ in range(N_TIMES):
            started_ns = time.perf_counter_ns()
            verdict = verify(Path(folder))
            took_s.append((time.perf_counter_ns() - started_ns) * 1e-9 * 3600 / duration_s)
            if not verdict.ok:
                raise BenchFailed(str(verdict))
    return Row.of(name, "s / hour", took_s, {"p50": MOST_S_PER_HOUR})


def _record(folder: Path, session: Session, n_frames: int) -> None:
    """Record the frames of a simulated source as control does, as fast as it goes."""
    write_manifest(folder, make_manifest(_NAME, session, datetime.now().astimezone()))
    source = SimulatedFieldOfView(session.rig.source)  # type: ignore[arg-type]
    info = source.info
    loop = ClosedLoop(session, info)
    start = JournalStart(_NAME, settings_hash(session), time.time_ns(), time.perf_counter_ns())
    with Journal(folder / JOURNAL, start) as journal:
        journal.append(Topic.INFO, info)
        journal.append(Topic.EVENT, SequencedEvent(1, Start()))
        journal.append(Topic.DECISION, loop.apply(Start()))
        for _ in range(n_frames):
            read = source.read(0.0)
            assert read is not None, "a simulated source without an end"
            now_ns = time.perf_counter_ns()
            frame = RoiFrame(
                info.session_hash, info.roi_hash, 0, read.frame_id, read.plane, now_ns, now_ns,
                read.fluorescence,
            )  # fmt: skip
            decision = loop.step(frame)
            header, values = pack_header(frame), frame.fluorescence.tobytes()
            journal.append_frame(decision.sequence, now_ns, header, values)
            journal.append(Topic.DECISION, decision)
