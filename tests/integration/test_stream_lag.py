"""Frames that control takes late are an alarm, over the sockets of a session."""

from pathlib import Path

import numpy as np
import zmq
from acquired_stream import acquiring, session_of
from waiting import WAIT_MS, WAIT_S, until

from bci.core.frame_header import pack_header
from bci.core.loop_types import LedgerEntry, LedgerKind
from bci.core.stream_types import RoiFrame
from bci.recording.folder import JOURNAL
from bci.recording.journal import Journal
from bci.recording.records import JournalStart
from bci.session.frame_line import FrameLine
from bci.stream.access import Access

RATE_HZ = 2.0
"""Two frames are a second: a computer that stands still for a moment is not behind by as much."""


def test_frames_taken_late_are_reported_and_their_end(tmp_path: Path) -> None:
    source = {"kind": "zmq", "n_rois": 3, "rate_hz": RATE_HZ}
    session = session_of(source)
    with (
        acquiring(session) as (link, _),
        zmq.Context() as context,
        context.socket(zmq.PUSH) as scope,
        Journal(tmp_path / JOURNAL, JournalStart("a session", "hash", 1, 1)) as journal,
    ):
        scope.set(zmq.LINGER, 0)
        scope.set(zmq.SNDTIMEO, WAIT_MS)
        scope.connect(link.wait_announced("door", WAIT_S))
        peers = {name: link.wait_announced(name, WAIT_S) for name in ("frames", "channel")}
        line = FrameLine(session.rig.stream, peers, Access(link.token), journal)
        next_id = 0

        def send() -> None:
            nonlocal next_id
            frame = RoiFrame(0, 0, 0, next_id, 0, 0, 0, np.ones(3, np.float32))
            scope.send_multipart([b"frame", pack_header(frame), frame.fluorescence.tobytes()])
            next_id += 1

        def take() -> tuple[int, LedgerEntry | None]:
            received = line.wait(WAIT_MS)
            assert received is not None
            assert isinstance(received.frame, RoiFrame)
            frame = received.frame
            return frame.frame_id, line.stepped(received, frame)

        def late() -> LedgerEntry | None:
            """They were sent all at once, and are taken one by one."""
            return take()[1]

        def prompt() -> LedgerEntry | None:
            send()
            return take()[1]

        try:
            line.start()
            send()
            assert take() == (0, None)
            for _ in range(300):
                send()
            behind = until(late, every_s=0.05)
            assert behind.kind is LedgerKind.LAG
            assert line.lag.is_behind
            assert line.light.startswith("late by")
            while take()[0] < next_id - 1:
                pass
            assert line.lag.is_behind
            over = until(prompt, every_s=0.02)
            assert over.kind is LedgerKind.LAG_OVER
            assert line.light == "ok"
        finally:
            line.close()
