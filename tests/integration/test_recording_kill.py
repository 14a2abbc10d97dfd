"""kill -9 of a process that records, and what is left of its journal."""

import subprocess
import sys
import time

import msgspec
import numpy as np

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
    journal.append_frame(number, now, header, buffer)
    journal.append(Topic.NOTE, Note(str(number)), None, now)
    os.write(1, f"{number} {now}\\n".encode())
    number += 1
    time.sleep(0.001)
"""


def test_killed_recorder_loses_at_most_a_tenth_of_a_second(tmp_path):
    path = tmp_path / JOURNAL
    with subprocess.Popen(
        [sys.executable, "-c", RECORDER, str(path)], stdout=subprocess.PIPE, text=True
    ) as recorder:
        lines = []
        deadline = time.monotonic() + 60
        for line in recorder.stdout:
            lines.append(line)
            if len(lines) == 700:
                break
            assert time.monotonic() < deadline
        recorder.kill()
        lines += [line for line in recorder.stdout if line.endswith("\n")]
    appended = np.array([[int(word) for word in line.split()] for line in lines])
    report = recover(tmp_path)
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
    n_lost = len(appended) - len(kept)
    if n_lost > 0:
        lost_s = (appended[-1, 1] - appended[len(kept) - 1, 1]) / 1e9
        assert lost_s <= 0.1, f"{n_lost} notes of the last {lost_s:.3f} s are lost"
