"""A small session, recorded by the real loop and the real journal, for the tests of recording."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from bci.config import Session, settings_hash, validate_session
from bci.core.frame_header import pack_header
from bci.core.loop import ClosedLoop
from bci.core.loop_types import LoopEvent, Pause, Resume, Start
from bci.core.stream_types import Roi, RoiFrame, StreamInfo
from bci.recording.folder import JOURNAL
from bci.recording.journal import Journal
from bci.recording.manifest import make_manifest, write_manifest
from bci.recording.records import JournalStart, Note, SequencedEvent, Topic

NAME = "20261122T081500"
T0_NS = 1_795_000_000_000_000_000


def small_session() -> Session:
    data = {
        "rig": {
            "name": "r",
            "source": {"kind": "simulated", "n_rois": 4, "rate_hz": 10.0},
            "board": {"kind": "simulated"},
        },
        "experiment": {
            "name": "e",
            "decoder": {"p_plus": ["a"], "p_minus": ["b"], "f0_window_s": 1.0},
            "threshold": {"t": 0.3, "lo": -0.3},
            "task": {
                "grey_s": 0.2,
                "trial_s": 1.0,
                "hit_s": 0.4,
                "reward_delay_s": 0.2,
                "black_s": 0.2,
                "miss_s": 0.3,
            },
        },
    }
    session, faults = validate_session(data)
    assert session is not None, faults
    return session


def small_info() -> StreamInfo:
    rois = tuple(Roi(i, label, 0) for i, label in enumerate("abcd"))
    return StreamInfo(NAME, 0, "test", 10.0, 1, (0, 0), 1, 0.0, None, rois)


def inputs(info: StreamInfo, n_frames: int, seed: int = 1) -> Iterator[RoiFrame | LoopEvent]:
    rng = np.random.default_rng(seed)
    yield Start()
    for frame_id in range(n_frames):
        if frame_id == n_frames // 2:
            yield Pause()
            yield Resume()
        values = (100 + 40 * rng.random(len(info.rois))).astype(np.float32)
        t_ns = frame_id * 100_000_000
        yield RoiFrame(info.session_hash, info.roi_hash, 0, frame_id, 0, t_ns, t_ns, values)


def record_session(folder: Path, n_frames: int = 40, *, close: bool = True) -> Journal:
    """Record a session as control does; the journal is returned, closed where asked."""
    session, info = small_session(), small_info()
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, make_manifest(NAME, session, datetime.now()))
    start = JournalStart(NAME, settings_hash(session), T0_NS, 0)
    journal = Journal(folder / JOURNAL, start)
    journal.append(Topic.INFO, info)
    loop = ClosedLoop(session, info)
    for sequence, item in enumerate(inputs(info, n_frames), start=1):
        if isinstance(item, RoiFrame):
            journal.append_frame(sequence, sequence, pack_header(item), item.fluorescence.tobytes())
            decision = loop.step(item)
        else:
            journal.append(Topic.EVENT, SequencedEvent(sequence, item))
            decision = loop.apply(item)
        journal.append(Topic.DECISION, decision)
        if sequence == 5:
            journal.append(Topic.NOTE, Note("the animal sits well"))
    if close:
        journal.append(Topic.INFO, info)
        journal.close("done")
        assert journal.fault is None
    return journal
