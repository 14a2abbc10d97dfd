"""Reading a journal of hours takes no more memory than reading one of minutes."""

import subprocess
import sys
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from played_session import Played, made_session

from bci.analysis.report import write_report
from bci.core.loop_types import EpochStarted
from bci.recording import scan
from bci.recording.folder import JOURNAL
from bci.recording.nwb import export_nwb, series
from bci.recording.session_record import SessionRecord
from bci.recording.verify import verify

pytestmark = pytest.mark.slow

LABELS = tuple(f"roi{i}" for i in range(4000))
N_FRAMES = 2000
SHORT_AND_LONG = (2500, 7500)
MOST_BYTES_A_FRAME = 600
"""Columns of a `SessionRecord` and of what is made of it; one decision as an object takes more."""
MEASURED = """
import re, sys
from pathlib import Path
from bci.recording import scan
from bci.recording.session_record import SessionRecord
from bci.recording.verify import verify

def most_bytes():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

folder, before = Path(sys.argv[1]), most_bytes()
scan.HELD_BYTES //= 16
assert verify(folder).ok
record = SessionRecord.read(folder)
assert len(record.frames) == sum(1 for _ in record.inputs) - 1
print(len(record.frames), most_bytes() - before)
"""
"""In a process of its own: the most memory that one ever took is that of its whole life."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc tells the peak")
def test_a_large_journal_is_verified_and_read_in_a_part_of_its_size(tmp_path: Path) -> None:
    decoder = {"p_plus": ["roi0"], "p_minus": ["roi1"], "f0_window_s": 1.0}
    session = Played(tmp_path, made_session(experiment={"decoder": decoder}), labels=LABELS)
    session.start().frames(0, N_FRAMES)
    session.close()
    n_bytes = (tmp_path / JOURNAL).stat().st_size
    assert n_bytes > 4 * len(LABELS) * N_FRAMES
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, tmp_path], capture_output=True, text=True, check=True
    )
    n_frames, most_bytes = map(int, done.stdout.split())
    assert n_frames == N_FRAMES
    assert most_bytes < n_bytes / 2


def most_bytes_of(work: Callable[[Path], object], folder: Path) -> int:
    tracemalloc.start()
    work(folder)
    most_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most_bytes


def test_verify_takes_no_more_memory_for_a_longer_session(tmp_path: Path) -> None:
    folders = []
    for n_frames in (300, 3000):
        session = Played(tmp_path / str(n_frames)).start()
        session.frames(0, n_frames)
        folders.append(session.close().folder)
    # what is imported and cached once is there
    assert verify(folders[0]).ok
    short, long = (most_bytes_of(verify, folder) for folder in folders)
    assert long < 1.2 * short + 20_000


@pytest.fixture(scope="module")
def short_and_long(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two sessions, each longer than a chunk of an NWB file."""
    folders = []
    for n_frames in SHORT_AND_LONG:
        session = Played(tmp_path_factory.mktemp(f"of-{n_frames}-frames")).start()
        session.frames(0, n_frames)
        folders.append(session.close().folder)
    return folders


@pytest.mark.long
@pytest.mark.parametrize("work", [export_nwb, write_report])
def test_export_and_report_keep_a_few_numbers_a_frame_in_memory(
    short_and_long: list[Path], work: Callable[[Path], object]
) -> None:
    # what is imported and cached once is there
    work(short_and_long[0])
    short, long = (most_bytes_of(work, folder) for folder in short_and_long)
    few, many = SHORT_AND_LONG
    assert long - short < MOST_BYTES_A_FRAME * (many - few)


def test_verify_export_and_report_say_how_far_they_are(disturbed: Played) -> None:
    for work in (verify, export_nwb, write_report):
        told: dict[str, list[float]] = defaultdict(list)

        def tell(doing: str, done: float, told: dict[str, list[float]] = told) -> None:
            told[doing].append(done)

        work(disturbed.folder, tell)
        assert told
        for parts in told.values():
            assert parts == sorted(parts)
            assert parts[0] >= 0.0
            assert parts[-1] <= 1.0


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Two planes, with a gap, a frame that came twice, and an acquisition that started again."""
    folder = tmp_path_factory.mktemp("disturbed")
    session = Played(folder, made_session(2), n_planes=2).start()
    session.frames(0, 101)
    session.frames(110, 160)
    session.frame(159)
    session.apply(EpochStarted(1), session.perf_ns(11.2) / 1e9)
    session.epoch = 1
    session.frames(170, 233)
    return session.close()


@pytest.mark.parametrize("rows", [1, 7, 2048])
def test_fluorescence_on_file_is_that_of_the_journal_wherever_its_blocks_end(
    disturbed: Played, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(series, "CHUNK_ROWS", rows)
    record = SessionRecord.read(disturbed.folder)
    with h5py.File(export_nwb(disturbed.folder)) as file:
        for plane, n_frames in ((0, 108), (1, 106)):
            data = file[f"processing/ophys/Fluorescence/plane{plane}/data"]
            assert data.chunks[0] == min(rows, len(data))
            ids = record.frames["frame_id"][record.plane_rows(plane)]
            # of what came twice, the first
            once = np.sort(np.unique(ids, return_index=True)[1])
            assert len(data) == len(once) == n_frames
            np.testing.assert_array_equal(data[:], record.fluorescence(plane)[once])


@pytest.mark.parametrize("held", [1, 100])
def test_nothing_read_depends_on_how_much_of_the_file_is_held(
    disturbed: Played, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    expected = SessionRecord.read(disturbed.folder)
    of_expected = [expected.frames.tobytes(), expected.decision_table.tobytes()]
    planes = [expected.fluorescence(plane) for plane in (0, 1)]
    monkeypatch.setattr(scan, "HELD_BYTES", held)
    assert verify(disturbed.folder).ok
    record = SessionRecord.read(disturbed.folder)
    assert [record.frames.tobytes(), record.decision_table.tobytes()] == of_expected
    for plane in (0, 1):
        np.testing.assert_array_equal(record.fluorescence(plane), planes[plane])
