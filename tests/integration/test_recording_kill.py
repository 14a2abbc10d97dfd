"""kill -9 of a process that records, and what is left of its journal."""

import subprocess
import sys
import time

import msgspec
import numpy as np
from waiting import WAIT_S

from bci.recording.folder import JOURNAL
from bci.recording.records import Note, Topic
from bci.recording.recover import recover
from bci.recording.scan import JournalBytes, Message

# Appends a note and a frame every millisecond and then tells, unbuffered, what it has appended.
RECORDER = """
import os, sys, time
from pathlib import Path
from bci.recording.journal import Journal
from bci.recording.records import JournalStart, Note, Topic
from bci.core.frame_header import pack_header
from bci.core.stream_types import RoiFrame
import numpy as np

values = np.zeros(200, np.float32)
header, buffer = pack_header(RoiFrame(1, 1, 0, 0, 0, 0, 0, values)), values.tobytes()
start = JournalStart("s", "h", time.time_ns(), time.perf_counter_ns())
journal = Journal(Path(sys.argv[1]), start)
number = 0
while True:
    now = time.perf_counter_ns()
    journal.append_frame(number + 1, now, header, buffer)
    journal.append(Topic.NOTE, Note(str(number)), None, now)
    os.write(1, f"{number} {now}\\n".encode())
    number += 1
    time.sleep(0.001)
"""


def test_killed_recorder_loses_at_most_a_tenth_of_a_second(tmp_path):
    lost_s = []
    for n_lines in (350, 550, 750):
        folder = tmp_path / str(n_lines)
        folder.mkdir()
        lost_s.append(lost_by_kill(folder, n_lines))
    # one of them may meet a disk, or a machine, that is at other things just then
    assert sorted(lost_s)[1] <= 0.1, f"{lost_s} s are lost"


def lost_by_kill(folder, n_lines):
    """How much of the end is lost where the recorder is killed after so many lines, s."""
    path = folder / JOURNAL
    with subprocess.Popen(
        [sys.executable, "-c", RECORDER, str(path)], stdout=subprocess.PIPE, text=True
    ) as recorder:
        lines = []
        deadline = time.monotonic() + WAIT_S
        for line in recorder.stdout:
            lines.append(line)
            if len(lines) == n_lines:
                break
            assert time.monotonic() < deadline
        recorder.kill()
        lines += [line for line in recorder.stdout if line.endswith("\n")]
    appended = np.array([[int(word) for word in line.split()] for line in lines])
    report = recover(folder)
    assert report.damaged is not None
    with JournalBytes(path) as journal:
        found = list(journal.scan())
        assert all(isinstance(item, Message) for item in found)
        kept = [
            int(msgspec.msgpack.decode(journal.data[m.payload], type=Note).text)
            for m in found
            if m.topic is Topic.NOTE
        ]
    assert kept == list(range(len(kept)))
    # more may be kept than was told
    if len(kept) >= len(appended):
        return 0.0
    return (appended[-1, 1] - appended[max(len(kept), 1) - 1, 1]) / 1e9
