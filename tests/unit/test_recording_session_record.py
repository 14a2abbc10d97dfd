import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import numpy as np
import pytest
from recorded_session import NAME, inputs, record_session, small_info, small_session
from waiting import WAIT_S

from bci.config import SettingsError, settings_hash
from bci.core.board_types import BoardEvent, BoardEventKind
from bci.core.calibration import CalibrationResult
from bci.core.frame_header import pack_header
from bci.core.loop_types import LedgerEntry, LedgerKind, Pause, Start
from bci.core.messages import NotAMessage
from bci.core.process import ProcessEvent
from bci.core.stimulus_types import FlipKind, FlipReport, MissedFlips, ScreenHello
from bci.core.stream_types import RoiFrame
from bci.recording.contents import DamagedJournal
from bci.recording.folder import (
    JOURNAL,
    MANIFEST,
    read_endpoints,
    session_folder,
    write_endpoints,
)
from bci.recording.manifest import (
    NoManifest,
    finish_manifest,
    make_manifest,
    read_manifest,
    seal_holds,
    write_manifest,
)
from bci.recording.records import CommandSent, Note, SequencedEvent, Topic
from bci.recording.session_record import ReceivedFrame, SessionRecord
from bci.recording.subject import SubjectDamaged, SubjectFolder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session")
    record_session(folder)
    return folder


def test_inputs_are_the_list_that_the_loop_was_fed(folder):
    record = SessionRecord.read(folder)
    expected = list(inputs(small_info(), 40))
    assert len(record.inputs) == len(expected) == 43
    for sequence, (item, given) in enumerate(zip(record.inputs, expected, strict=True), start=1):
        assert item.sequence == sequence
        if isinstance(item, ReceivedFrame):
            assert item.t_received_ns == sequence
            assert item.frame.frame_id == given.frame_id
            assert np.array_equal(item.frame.fluorescence, given.fluorescence)
        else:
            assert item == SequencedEvent(sequence, given)
    assert isinstance(record.inputs[0].event, Start)
    assert isinstance(record.inputs[21:23][0].event, Pause)


def test_arrays_hold_what_the_records_hold(folder):
    record = SessionRecord.read(folder)
    frames = [i.frame for i in record.inputs if isinstance(i, ReceivedFrame)]
    assert record.frames["frame_id"].tolist() == [f.frame_id for f in frames]
    assert record.frames["t_scope_ns"].tolist() == [f.t_scope_ns for f in frames]
    assert np.array_equal(record.fluorescence(0), np.stack([f.fluorescence for f in frames]))
    assert record.fluorescence(0).dtype == np.float32
    assert (
        record.decision_table["s3"].tobytes()
        == np.array([d.s3 for d in record.decisions]).tobytes()
    )
    assert record.decision_table["state"].tolist() == [int(d.state) for d in record.decisions]


def test_everything_else_is_read_back(tmp_path):
    journal = record_session(tmp_path, 4, close=False)
    flip = FlipReport(3, FlipKind.SHOWN, 1, 2, 3, 0, False)
    hello = ScreenHello("null", "none", ":0", 800, 600, 60.0, False)
    sent = CommandSent(3, 4, 5, 6, 7)
    board = BoardEvent(1, BoardEventKind.REWARD_DONE, 12, 34, 40.0)
    entry = LedgerEntry(3, LedgerKind.BOARD_LOST, "reward withheld")
    process = ProcessEvent("stimulus", "died", 42, "signal 9")
    result = CalibrationResult(0.3, -0.1, 0.0, 0.1, 3.0, 0.5, 100, 10, float("nan"), ())
    journal.append(Topic.SCREEN, hello)
    journal.append(Topic.SCREEN, flip)
    journal.append(Topic.SCREEN, MissedFlips(2, 9))
    journal.append(Topic.SENT, sent)
    journal.append(Topic.BOARD, board)
    journal.append(Topic.LEDGER, entry, 100, 200)
    journal.append(Topic.PROCESS, process)
    journal.append(Topic.CALIBRATION, result)
    journal.close("done")
    record = SessionRecord.read(tmp_path)
    assert [r.value for r in record.screen] == [hello, flip, MissedFlips(2, 9)]
    assert list(record.sent) == [sent]
    assert list(record.board) == [board]
    ours = [r for r in record.ledger if r.value == entry]
    assert [(r.wall_ns, r.perf_ns) for r in ours] == [(100, 200)]
    assert [r.value for r in record.processes] == [process]
    assert record.calibrations[0].t == 0.3
    assert [r.value for r in record.notes] == [Note("the animal sits well")]
    assert record.end.reason == "done"
    assert record.start.session == NAME


def test_ledger_merges_what_the_loop_noted(tmp_path):
    journal = record_session(tmp_path, 4, close=False)
    journal.close("done")
    record = SessionRecord.read(tmp_path)
    noted = [entry for d in record.decisions for entry in d.ledger]
    assert [timed.value for timed in record.ledger] == noted


def test_running_session_reads_as_far_as_it_is(tmp_path):
    journal = record_session(tmp_path, close=False)
    record = SessionRecord.read(tmp_path)
    assert record.end is None
    assert len(record.inputs) <= 43
    journal.close("done")
    assert SessionRecord.read(tmp_path).end is not None


def test_damaged_journal_says_what_to_do(tmp_path):
    record_session(tmp_path)
    content = bytearray((tmp_path / JOURNAL).read_bytes())
    content[content.index(b"the animal sits")] ^= 0xFF
    (tmp_path / JOURNAL).write_bytes(content)
    with pytest.raises(DamagedJournal, match="bci recover"):
        SessionRecord.read(tmp_path)


def test_frames_of_another_size_are_left_out_of_the_traces(tmp_path):
    journal = record_session(tmp_path, 4, close=False)
    info = small_info()
    odd = RoiFrame(info.session_hash, 0, 0, 9, 0, 0, 0, np.zeros(3, np.float32))
    journal.append_frame(99, 1, pack_header(odd), odd.fluorescence.tobytes())
    journal.close("done")
    record = SessionRecord.read(tmp_path)
    assert record.fluorescence(0).shape == (4, 4)
    assert len(record.frames) == 5


def test_manifest_makes_the_same_session_again(tmp_path):
    session = small_session()
    started = datetime(2026, 11, 22, 8, 15, tzinfo=timezone(timedelta(hours=9)))
    manifest = make_manifest(NAME, session, started, [{"check": "disk", "status": "pass"}])
    write_manifest(tmp_path, manifest)
    again = read_manifest(tmp_path)
    assert seal_holds(tmp_path, again)
    assert msgspec.structs.replace(again, seal=manifest.seal) == manifest
    assert again.session_settings() == session
    assert again.settings_hash == again.stored_hash == settings_hash(session)
    assert datetime.fromisoformat(again.started) == started
    assert again.packages["numpy"] == np.__version__
    assert again.host.n_cores >= 1
    assert again.host.memory_bytes > 2**20
    finish_manifest(tmp_path, {"reason": "done"})
    assert read_manifest(tmp_path).outcome == {"reason": "done"}
    assert list(tmp_path.iterdir()) == [tmp_path / MANIFEST]


def test_manifest_imports_no_package_for_its_version():
    code = (
        "import sys; from bci.recording.manifest import package_versions as v; v();"
        "assert not {'psychopy', 'pynwb', 'serial', 'zmq'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=WAIT_S)


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [("bci.session.control", {"scipy.stats"}), ("bci.session.run", {"scipy"})],
)
def test_session_starts_without_what_only_files_and_reports_need(module, unwanted):
    unwanted = {"pynwb", "h5py", "plotly", *unwanted}
    code = f"import sys, {module}; found = {unwanted} & set(sys.modules); assert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=WAIT_S)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', "\x00"])
def test_unreadable_manifest_is_refused_with_its_path(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(NoManifest, match=MANIFEST):
        read_manifest(tmp_path)


def test_manifest_of_settings_unknown_to_this_version_names_the_key(tmp_path):
    write_manifest(tmp_path, make_manifest(NAME, small_session(), datetime.now(UTC)))
    data = json.loads((tmp_path / MANIFEST).read_text())
    data["settings"]["experiment"]["decoder"]["magic"] = 1
    (tmp_path / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(SettingsError, match=r"experiment\.decoder\.magic"):
        read_manifest(tmp_path).session_settings()


def test_sessions_of_one_second_have_folders_of_their_own(tmp_path):
    now = datetime(2026, 11, 22, 8, 15, 0)
    folders = [session_folder(tmp_path, "mouse1", now) for _ in range(3)]
    names = [folder.name for folder in folders]
    assert names == ["20261122T081500", "20261122T081500-2", "20261122T081500-3"]
    assert all(folder.is_dir() and folder.parent.name == "mouse1" for folder in folders)
    assert not any(":" in name for name in names)


def test_endpoints_are_replaced_as_a_whole(tmp_path):
    write_endpoints(tmp_path, {"frames": "tcp://127.0.0.1:1"}, "token")
    write_endpoints(tmp_path, {"telemetry": "tcp://127.0.0.1:2"}, "token")
    assert read_endpoints(tmp_path) == {"telemetry": "tcp://127.0.0.1:2"}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "content",
    [b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b'{"frames": 5}', b"[]", b"", b'{"a": "\xff"}'],
)
def test_endpoints_of_others_are_refused_with_one_error(tmp_path, content):
    (tmp_path / "endpoints.json").write_bytes(content)
    with pytest.raises(NotAMessage):
        read_endpoints(tmp_path)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b'{"a": "\xff"}'])
def test_deep_or_odd_manifest_and_subject_are_refused_with_their_error(tmp_path, content):
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(NoManifest):
        read_manifest(tmp_path)
    subject = SubjectFolder(tmp_path, "mouse")
    subject.path.mkdir(parents=True)
    (subject.path / "ensembles-20261130T200000.json").write_bytes(content)
    with pytest.raises(SubjectDamaged):
        subject.ensembles()
