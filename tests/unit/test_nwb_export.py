"""What stands in session.nwb is what the journal holds."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from msgspec.structs import replace
from nwbinspector import Importance, inspect_nwbfile
from played_session import NAME, RATE_HZ, WALL0_NS, Played, made_session, played
from pynwb import NWBHDF5IO, NWBFile, validate
from recorded_formats import MEAN_IMAGE, write_suite2p

from bci.analysis.report import write_report
from bci.core.board_types import BoardEventKind
from bci.core.calibration import CalibrationResult
from bci.core.chance import Chance
from bci.core.ledger import entry
from bci.core.loop_types import EpochStarted, LedgerKind, Outcome, Stop, TaskState
from bci.recording.contents import DamagedJournal
from bci.recording.folder import JOURNAL
from bci.recording.nwb import export_nwb
from bci.recording.readers.registry import read_traces
from bci.recording.records import Topic
from bci.recording.recover import recover
from bci.recording.rewards import day_volumes
from bci.recording.scan import JournalBytes, Message
from bci.recording.session_record import SessionRecord

pytestmark = pytest.mark.slow


@contextmanager
def opened(folder: Path) -> Iterator[NWBFile]:
    with NWBHDF5IO(export_nwb(folder), mode="r") as io:
        yield io.read()


def decoded(session: Played) -> list[Any]:
    return [d for d in session.decisions if d.decoded]


def trial_ends(session: Played) -> list[Any]:
    return [d.trial_end for d in session.decisions if d.trial_end is not None]


def quoted(text: str) -> str:
    """The first name in quotes; the inspector tells columns by it."""
    return text.split("'")[1] if "'" in text else ""


def test_pynwb_reads_what_the_journal_holds(tmp_path: Path) -> None:
    session = played(tmp_path)
    record = SessionRecord.read(tmp_path)
    with opened(tmp_path) as file:
        bci = file.processing["bci"]
        for name, of in (
            ("s", lambda d: d.s),
            ("s3", lambda d: d.s3),
            ("angle_deg", lambda d: d.angle_deg),
            ("task_state", lambda d: d.state),
            ("frame_id", lambda d: d.frame_id),
        ):
            expected = [of(d) for d in decoded(session)]
            np.testing.assert_array_equal(bci[name].data[:], expected, err_msg=name)
        assert (bci["threshold"].data[:] == 0.3).all()
        ends = trial_ends(session)
        assert {end.outcome for end in ends} >= {Outcome.HIT, Outcome.MISS}
        trials = file.trials.to_dataframe()
        assert trials.outcome.tolist() == [end.outcome.value for end in ends]
        np.testing.assert_array_equal(trials.time_to_hit_s, [end.time_to_hit_s for end in ends])
        for column, attribute in (("start", "start_frame_id"), ("stop", "stop_frame_id")):
            frame_ids = np.array([getattr(end, attribute) for end in ends])
            assert trials[attribute].tolist() == frame_ids.tolist()
            later = np.where(trials.start_frame_id == trials.stop_frame_id, column == "stop", 0)
            expected_s = (frame_ids + later) / RATE_HZ
            np.testing.assert_allclose(trials[f"{column}_time"], expected_s, atol=1e-6)
        assert set(trials.session_type) == {"closed_loop"}
        assert set(trials.light) == {"none"}
        assert trials.chance.isna().all()
        events = file.events["events"].to_dataframe()
        for kind in ("requested", "sent", "acknowledged", "done"):
            of_kind = events[events.kind == f"reward_{kind}"]
            told = [e for e in record.board if e.kind == f"reward_{kind}"]
            assert len(told) >= 3
            first_ns = session.perf_ns(session.time_s(0))
            told_s = [(e.t_host_ns - first_ns) / 1e9 for e in told]
            np.testing.assert_allclose(of_kind.timestamp, told_s, atol=1e-6)
            assert of_kind.t_device_us.tolist() == [e.t_device_us for e in told]
            assert of_kind.request_id.tolist() == [e.request_id for e in told]
        done = events[events.kind == "reward_done"]
        assert set(done.value) == {40_000.0}
        assert set(events[events.kind == "reward_requested"].value) == {4.0}


def test_h5py_alone_finds_every_name(tmp_path: Path) -> None:
    session = Played(tmp_path, made_session(2), n_planes=2).start()
    session.frames(0, 300)
    session.board(BoardEventKind.LICK, session.perf_ns(4.0), value=1.0)
    session.board(BoardEventKind.LICK, session.perf_ns(4.1), value=0.0)
    session.board(BoardEventKind.WHEEL, session.perf_ns(4.2), value=17.0)
    session.board(BoardEventKind.WHEEL, session.perf_ns(4.3), value=19.0)
    session.close()
    with h5py.File(export_nwb(tmp_path), "r") as file:
        ophys, bci = file["processing/ophys"], file["processing/bci"]
        assert set(ophys) == {"ImageSegmentation", "Fluorescence", "DfOverF"}
        assert set(ophys["ImageSegmentation"]) == {"plane0", "plane1"}
        assert set(ophys["Fluorescence"]) == {"plane0", "plane1"}
        assert set(ophys["DfOverF"]) == {"ensembles"}
        names = {"s", "s3", "angle_deg", "threshold", "task_state", "frame_id"}
        assert set(bci) - {"lo"} == names
        assert {len(bci[name]["data"]) for name in names} == {150}
        expected = [d.s3 for d in decoded(session)]
        np.testing.assert_array_equal(bci["s3/data"][:], expected)
        for plane in (0, 1):
            values = [v for _, p, v in session.sent_values if p == plane]
            np.testing.assert_array_equal(ophys[f"Fluorescence/plane{plane}/data"][:], values)
        assert set(file["processing/behavior"]) == {"wheel", "licks"}
        since_first_s = np.array([4.0, 4.1]) - session.time_s(0)
        licks_s = file["processing/behavior/licks/timestamps"][:]
        np.testing.assert_allclose(licks_s, since_first_s, atol=1e-6)
        assert file["processing/behavior/wheel/data"][:].tolist() == [17.0, 19.0]
        columns = {"start_time", "stop_time", "outcome", "time_to_hit_s", "threshold", "chance",
                   "session_type", "light"}  # fmt: skip
        assert columns <= set(file["intervals/trials"])
        outcomes = [text.decode() for text in file["intervals/trials/outcome"][:]]
        assert outcomes == [end.outcome.value for end in trial_ends(session)]
        assert {"timestamp", "kind", "value", "frame_id", "t_device_us"} <= set(
            file["events/events"]
        )
        assert json.loads(file["scratch/settings"][()])["subject"] == "mouse"
        assert json.loads(file["scratch/manifest"][()])["session"] == NAME
        assert json.loads(file["scratch/calibration"][()]) is None


def test_inspector_finds_nothing_of_ours_to_mend(tmp_path: Path) -> None:
    session = Played(tmp_path, made_session(2), n_planes=2).start()
    session.frames(0, 600)
    session.close()
    path = export_nwb(tmp_path)
    assert not validate(path=path)
    messages = inspect_nwbfile(path, importance_threshold=Importance.BEST_PRACTICE_SUGGESTION)
    found = {(m.check_function_name, m.importance, quoted(m.message)) for m in messages}
    suggestion = Importance.BEST_PRACTICE_SUGGESTION
    justified = {
        # names that other programs rely on
        ("check_processing_module_name", suggestion, ""),
        # epochs: this session is one block
        ("check_single_row", suggestion, ""),
        # three outcomes; this session happens to have two
        ("check_column_binary_capability", suggestion, "outcome"),
        # not predicted yet; the column is promised
        ("check_col_not_nan", suggestion, "chance"),
    }
    assert found <= justified


def test_trials_carry_the_chance_that_was_predicted_for_their_threshold(tmp_path: Path) -> None:
    session = Played(tmp_path).start()
    found = CalibrationResult(0.3, -0.3, 0.0, 0.1, 3.0, 0.5, 100, 10, 400.0, ())
    whole = found.with_chance(Chance(0.45, 0.3, 0.6, 30))
    for result in (found, whole, replace(found, t=9.0)):
        session.journal.append(Topic.CALIBRATION, result)
    session.frames(0, 400)
    session.close()
    with opened(tmp_path) as file:
        assert set(file.trials.to_dataframe().chance) == {0.45}


def test_s_follows_from_the_dff_on_file(tmp_path: Path) -> None:
    session = made_session(
        experiment={"decoder": {"p_plus": ["a", "c"], "p_minus": ["d", "b"], "f0_window_s": 1.0}}
    )
    played(tmp_path, 200, session=session)
    with opened(tmp_path) as file:
        series = file.processing["ophys"]["DfOverF"]["ensembles"]
        dff = series.data[:]
        labels = series.rois.to_dataframe()["label"].tolist()
        s = file.processing["bci"]["s"].data[:]
    assert labels == ["a", "c", "d", "b"]
    np.testing.assert_allclose(dff[:, :2].mean(1) - dff[:, 2:].mean(1), s, rtol=1e-12)


def test_frames_lie_on_a_line_through_receive_times_not_on_id_times_period(
    tmp_path: Path,
) -> None:
    period_s = (1 + 500e-6) / RATE_HZ
    session = Played(tmp_path, period_s=period_s).start()
    rng = np.random.default_rng(2)
    for frame_id in range(600):
        # a fifth of them late by up to half a second, as after a hang
        late_s = 0.5 * rng.random() if 200 <= frame_id < 320 else 2e-4 * rng.random()
        session.frame(frame_id, late_s=late_s)
    session.close()
    with opened(tmp_path) as file:
        s3 = file.processing["bci"]["s3"]
        assert s3.timestamps is None
        times_s = s3.starting_time + np.arange(600) / s3.rate
    assert times_s[0] == 0.0
    np.testing.assert_allclose(times_s, np.arange(600) * period_s, atol=4e-4)
    assert abs(times_s[-1] - 599 / RATE_HZ) > 0.01


def test_frames_at_another_rate_than_declared_lie_where_they_came(tmp_path: Path) -> None:
    """As a session that only warns of the rate: frames of one plane declared as those of three."""
    session = Played(tmp_path, period_s=3 / RATE_HZ).start()
    session.frames(0, 100)
    told = entry(99, LedgerKind.WRONG_RATE, "6.67 Hz")
    session.journal.append(Topic.LEDGER, told, t_perf_ns=session.perf_ns(session.time_s(99)))
    session.frames(100, 200)
    session.close()
    with opened(tmp_path) as file:
        s3 = file.processing["bci"]["s3"]
        assert (s3.starting_time, s3.rate) == (0.0, pytest.approx(RATE_HZ / 3))
        events = file.events["events"].to_dataframe()
        [start] = events[events.kind == "start"].timestamp
        assert start == pytest.approx(2.0 - session.time_s(0))


def test_gap_is_seen_in_timestamps(tmp_path: Path) -> None:
    session = Played(tmp_path).start()
    session.frames(0, 100)
    session.frames(107, 200)
    session.close()
    with opened(tmp_path) as file:
        for series in (
            file.processing["bci"]["s3"],
            file.processing["bci"]["frame_id"],
            file.processing["ophys"]["Fluorescence"]["plane0"],
        ):
            assert series.rate is None
            times_s = series.timestamps[:]
            np.testing.assert_allclose(np.diff(times_s)[[98, 99, 100]], [0.05, 0.4, 0.05])
        ledger = file.events["events"].to_dataframe().query("kind == 'ledger'")
        assert ledger.value.tolist() == [7.0]
        assert ledger.annotation.iloc[0].startswith("gap")


def test_each_epoch_has_its_own_line(tmp_path: Path) -> None:
    session = Played(tmp_path).start()
    session.frames(0, 100)
    session.apply(EpochStarted(1), session.time_s(130))
    session.epoch = 1
    for frame_id in range(140, 260):
        session.frame(frame_id, late_s=0.013)
    session.close()
    with opened(tmp_path) as file:
        times_s = file.processing["bci"]["s3"].timestamps[:]
    expected_s = [f / RATE_HZ for f in range(100)]
    expected_s += [0.013 + f / RATE_HZ for f in range(140, 260)]
    np.testing.assert_allclose(times_s, expected_s, atol=1e-6)


def test_every_frame_is_stored_once_with_the_values_it_had(tmp_path: Path) -> None:
    session = Played(tmp_path).start()
    session.frames(0, 50)
    broken = np.array([np.nan, 100, np.inf, 100], np.float32)
    session.frame(50, broken)
    session.frame(50, np.full(4, 7, np.float32))
    session.frame(20, np.full(4, 8, np.float32))
    session.frames(51, 100)
    session.close()
    with opened(tmp_path) as file:
        stored = file.processing["ophys"]["Fluorescence"]["plane0"].data[:]
        frame_ids = file.processing["bci"]["frame_id"].data[:]
    values = {frame_id: v for frame_id, _, v in reversed(session.sent_values)}
    values[20] = next(v for f, _, v in session.sent_values if f == 20)
    values[50] = broken
    np.testing.assert_array_equal(stored, [values[f] for f in range(100)])
    assert frame_ids.tolist() == [*range(50), *range(51, 100)]


def begun_late(folder: Path, **changes: Any) -> tuple[Played, float]:
    """A session of two planes whose baseline, animal and operator were there before its frames.

    The microscope's first frame is 1,003: three must confirm an id that is not a small one.
    """
    settings = {"threshold": None, "baseline": {"duration_s": 5.0}}
    session = Played(folder, made_session(2, experiment=settings, **changes), n_planes=2)
    session.note("asleep", 0.5)
    for place, t_s in enumerate((1.0, 1.5, 60.0)):
        session.board(BoardEventKind.WHEEL, session.perf_ns(t_s), value=place)
        session.board(BoardEventKind.LICK, session.perf_ns(t_s), value=place % 2)
    session.start()
    session.frame(0, np.ones(2, np.float32), t_s=2.5, session_hash=7)
    session.frames(1000, 1300)
    session.note("awake", session.time_s(1100))
    session.close()
    return session, session.time_s(1003)


def test_session_starts_at_its_first_stepped_frame(tmp_path: Path) -> None:
    """What came before it keeps its order and its distances, at negative times."""
    session, start_s = begun_late(tmp_path)
    path = export_nwb(tmp_path)
    with NWBHDF5IO(path, mode="r") as io:
        file = io.read()
        started = datetime.fromtimestamp(WALL0_NS / 1e9 + start_s, UTC)
        assert abs(file.session_start_time - started) < timedelta(milliseconds=1)
        fluorescence = file.processing["ophys"]["Fluorescence"]
        # 1,003 is of plane 1, which the decoder does not read
        assert fluorescence["plane1"].starting_time == 0.0
        assert fluorescence["plane0"].starting_time == pytest.approx(1 / RATE_HZ, abs=1e-6)
        assert file.processing["bci"]["s3"].starting_time > 0
        assert file.epochs["start_time"].data[0] == 0.0
        for name in ("wheel", "licks"):
            times_s = file.processing["behavior"][name].timestamps[:]
            expected_s = np.array([1.0, 1.5, 60.0]) - start_s
            np.testing.assert_allclose(times_s, expected_s, atol=1e-6, err_msg=name)
        events = file.events["events"].to_dataframe()
        assert (np.diff(events.timestamp) >= 0).all()
        (start,) = events[events.kind == "start"].timestamp
        assert start == pytest.approx(2.0 - start_s, abs=1e-6)
        notes = events[events.kind == "note"]
        assert notes.annotation.tolist() == ["asleep", "awake"]
        expected_s = [0.5 - start_s, session.time_s(1100) - start_s]
        np.testing.assert_allclose(notes.timestamp, expected_s, atol=1e-6)
    assert not validate(path=path, use_cached_namespaces=False)
    # negative times are only a suggestion, of the series that have them
    messages = inspect_nwbfile(path, importance_threshold=Importance.BEST_PRACTICE_SUGGESTION)
    told = {
        (m.object_name, m.importance) for m in messages if "not_negative" in m.check_function_name
    }
    suggestion = Importance.BEST_PRACTICE_SUGGESTION
    assert told == {("wheel", suggestion), ("licks", suggestion)}


def test_times_of_frames_with_ttls_count_from_the_first_stepped_one(tmp_path: Path) -> None:
    """The microscope told of it a quarter of a frame before the frame came."""
    board = {"kind": "simulated", "frame_ttl": "start"}
    session = Played(tmp_path, made_session(rig={"board": board})).start()
    session.board(BoardEventKind.ARMED, session.perf_ns(2.0))
    for frame_id in range(1, 200):
        ttl_s = session.time_s(frame_id) - 0.25 / RATE_HZ
        session.board(BoardEventKind.FRAME_TTL, session.perf_ns(ttl_s), value=frame_id)
    session.frames(0, 200)
    session.note("here", session.time_s(100))
    session.close()
    with opened(tmp_path) as file:
        s3 = file.processing["bci"]["s3"]
        assert s3.timestamps[0] == 0.0
        np.testing.assert_allclose(s3.timestamps[:], np.arange(200) / RATE_HZ, atol=1e-5)
        events = file.events["events"].to_dataframe().set_index("kind")
        assert events.timestamp["note"] == pytest.approx(100.25 / RATE_HZ, abs=1e-5)
        started = datetime.fromtimestamp(WALL0_NS / 1e9 + 3.0 - 0.25 / RATE_HZ, UTC)
        assert abs(file.session_start_time - started) < timedelta(milliseconds=1)


@pytest.mark.parametrize("first_id", [0, 10**9])
def test_lossless_run_starts_at_its_first_stepped_frame(tmp_path: Path, first_id: int) -> None:
    settings = made_session(rig={"stream": {"delivery": "lossless"}})
    session = Played(tmp_path, settings).start()
    taken_id = first_id + 3 if first_id else 0
    for frame_id in range(first_id, first_id + 300):
        session.frame(frame_id, t_s=3.0 + (frame_id - first_id) * 1e-4)
    session.close()
    with opened(tmp_path) as file:
        s3 = file.processing["bci"]["s3"]
        assert (s3.starting_time, s3.rate) == (0.0, pytest.approx(RATE_HZ))
        assert file.processing["bci"]["frame_id"].data[0] == taken_id
        events = file.events["events"].to_dataframe()
        assert (events.timestamp >= 0).all()
        started = datetime.fromtimestamp(WALL0_NS / 1e9 + 3.0 + (taken_id - first_id) * 1e-4, UTC)
        assert abs(file.session_start_time - started) < timedelta(milliseconds=1)


def test_lossless_run_has_frame_time(tmp_path: Path) -> None:
    session = Played(
        tmp_path, made_session(rig={"stream": {"delivery": "lossless"}}), period_s=1e-4
    ).start()
    session.frames(0, 300)
    session.note("half way", session.time_s(150))
    session.board(BoardEventKind.LICK, 2_000_000_000, value=1.0)
    session.close()
    with opened(tmp_path) as file:
        s3 = file.processing["bci"]["s3"]
        assert (s3.starting_time, s3.rate) == (0.0, pytest.approx(RATE_HZ))
        assert "frame time" in file.session_description
        events = file.events["events"].to_dataframe().set_index("kind")
        assert events.timestamp["note"] == pytest.approx(150 / RATE_HZ)
        assert events.timestamp["lick"] == pytest.approx(2.0)
        assert events.frame_id["lick"] == 40
        trials = file.trials.to_dataframe()
        durations_s = trials.stop_time - trials.start_time
        hits = trials.time_to_hit_s > 0
        np.testing.assert_allclose(durations_s[hits], trials.time_to_hit_s[hits])


def test_session_stopped_in_its_baseline_has_no_trials(tmp_path: Path) -> None:
    session = Played(
        tmp_path,
        made_session(experiment={"threshold": None, "baseline": {"duration_s": 20.0}}),
    ).start()
    session.frames(0, 60)
    session.apply(Stop("enough"), session.time_s(60))
    session.close()
    with opened(tmp_path) as file:
        assert file.trials is None
        assert np.isnan(file.processing["bci"]["threshold"].data[:]).all()
        assert set(file.processing["bci"]["task_state"].data[:]) == {TaskState.BASELINE}
        assert "stop" in file.events["events"]["kind"].data[:].tolist()
    assert not validate(path=tmp_path / "session.nwb", use_cached_namespaces=False)


def test_session_without_a_frame_is_written(tmp_path: Path) -> None:
    session = Played(tmp_path).start()
    session.frame(0, t_s=4.0, session_hash=7)
    session.close()
    with opened(tmp_path) as file:
        assert abs(file.session_start_time.timestamp() - WALL0_NS / 1e9) < 1e-3
        assert file.trials is None
        assert set(file.processing["ophys"].data_interfaces) == {"ImageSegmentation"}
        assert file.events["events"]["kind"].data[:].tolist() == ["start", "flip", "ledger"]


def test_recovered_session_is_exported_up_to_the_damage(tmp_path: Path) -> None:
    session = played(tmp_path, 200)
    journal = tmp_path / JOURNAL
    content = journal.read_bytes()
    journal.write_bytes(content[: len(content) // 2])
    recover(tmp_path)
    with opened(tmp_path) as file:
        s3 = file.processing["bci"]["s3"].data[:]
    assert 50 < len(s3) < 200
    np.testing.assert_array_equal(s3, [d.s3 for d in decoded(session)][: len(s3)])


def test_session_whose_first_records_are_gone_is_exported_and_says_so(tmp_path: Path) -> None:
    """Nobody's clocks, nobody's description of the stream but the repeated one."""
    session = played(tmp_path, 60)
    path = tmp_path / JOURNAL
    content = bytearray(path.read_bytes())
    with JournalBytes(path) as journal:
        found = [one for one in journal.scan() if isinstance(one, Message)][:2]
    assert [one.topic for one in found] == [Topic.START, Topic.INFO]
    start, stop = found[0].offset, found[1].offset + found[1].size
    content[start:stop] = bytes(stop - start)
    path.write_bytes(content)
    recover(tmp_path)
    with opened(tmp_path) as file:
        s3 = file.processing["bci"]["s3"].data[:]
        (loss,) = SessionRecord.read(tmp_path).losses
        assert loss in file.notes
    np.testing.assert_array_equal(s3, [d.s3 for d in decoded(session)])


def test_reward_ledger_that_cannot_be_read_stops_neither_nwb_nor_report(tmp_path: Path) -> None:
    session = played(tmp_path / "mouse" / "s", 60)
    # not even root can read it
    (tmp_path / "mouse" / "rewards.csv").mkdir()
    record = SessionRecord.read(session.folder)
    assert day_volumes(record).day_ul is None
    assert write_report(session.folder).is_file()
    assert export_nwb(session.folder).is_file()


def test_failed_export_leaves_the_earlier_file(tmp_path: Path) -> None:
    played(tmp_path, 60)
    before = export_nwb(tmp_path).read_bytes()
    journal = tmp_path / JOURNAL
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 1
    journal.write_bytes(content)
    with pytest.raises(DamagedJournal, match="bci recover"):
        export_nwb(tmp_path)
    assert (tmp_path / "session.nwb").read_bytes() == before
    assert not list(tmp_path.glob(".*nwb"))


def test_export_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    played(tmp_path, 30)
    (tmp_path / "session.nwb").mkdir()
    with pytest.raises(OSError, match=r"session\.nwb"):
        export_nwb(tmp_path)
    assert not list(tmp_path.glob(".*nwb"))


def test_disk_that_would_become_full_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(tmp_path, 30)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=3_000_000))
    with pytest.raises(OSError, match=r"may take 20 MB, and 3 MB are free\. Make room"):
        export_nwb(tmp_path)
    assert not list(tmp_path.glob("*nwb"))
    # a network drive that tells nothing
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(total=0, free=0))
    assert export_nwb(tmp_path).exists()


def test_what_nwb_does_not_take_is_an_error_that_a_session_ends_in_order_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(tmp_path, 30)

    def refuse(*_: object) -> None:
        raise Exception("could not create dataset")

    monkeypatch.setattr(NWBHDF5IO, "write", refuse)
    with pytest.raises(RuntimeError, match=r"session\.nwb: could not create dataset"):
        export_nwb(tmp_path)
    assert not list(tmp_path.glob("*nwb"))


def test_identifier_stays_when_exported_again(tmp_path: Path) -> None:
    session = played(tmp_path, 30)
    started = datetime.fromtimestamp(WALL0_NS / 1e9 + session.time_s(0), UTC)
    identifiers = []
    for _ in range(2):
        with opened(tmp_path) as file:
            identifiers.append(file.identifier)
            assert file.session_id == NAME
            assert abs(file.session_start_time - started) < timedelta(milliseconds=1)
            assert file.subject.subject_id == "mouse"
    assert len(set(identifiers)) == 1


def test_dates_are_those_of_the_session_wherever_it_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    animal = {"date_of_birth": date(2025, 12, 1), "sex": "F"}
    played(tmp_path, 30, session=made_session(animal=animal))
    found = []
    for zone in ("Pacific/Auckland", "America/Los_Angeles"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            with opened(tmp_path) as file:
                found.append((file.subject.date_of_birth, file.session_start_time))
        finally:
            monkeypatch.undo()
            time.tzset()
    assert [str(one) for one in found[0]] == [str(one) for one in found[1]]
    assert found[0][0].date() == date(2025, 12, 1)


def test_any_text_of_the_operator_is_stored(tmp_path: Path) -> None:
    session = Played(tmp_path).start()
    session.frames(0, 30)
    # as pasted from a binary file, or the last line of a process that broke
    session.note("licks\0 \N{SNOWMAN} a lot", session.time_s(20))
    session.close()
    with opened(tmp_path) as file:
        told = "licks\N{REPLACEMENT CHARACTER} \N{SNOWMAN} a lot"
        assert file.notes.endswith(told)
        events = file.events["events"].to_dataframe()
        assert events.annotation[events.kind == "note"].tolist() == [told]


def test_threshold_is_told_in_the_unit_of_the_signal(tmp_path: Path) -> None:
    decoder = {"p_plus": ["a"], "p_minus": ["b"], "signal": "raw", "f0_window_s": 1.0}
    threshold = {"t": 30.0, "lo": -30.0}
    session = made_session(experiment={"decoder": decoder, "threshold": threshold})
    played(tmp_path, 200, session=session)
    with opened(tmp_path) as file:
        assert file.trials["threshold"].description.endswith("in counts.")
        assert file.processing["bci"]["threshold"].unit == "counts"


def test_masks_and_mean_image_come_from_the_recording_that_was_played(tmp_path: Path) -> None:
    recording = write_suite2p(tmp_path, np.random.default_rng(0).random((4, 50), "f4"), RATE_HZ)
    source = {"kind": "recording", "path": str(recording)}
    labels = {"p_plus": ["roi0000"], "p_minus": ["roi0001"], "f0_window_s": 1.0}
    session = made_session(rig={"source": source}, experiment={"decoder": labels})
    folder = tmp_path / "session"
    played(folder, 40, session=session, labels=tuple(f"roi{i:04d}" for i in range(4)))
    with opened(folder) as file:
        ophys = file.processing["ophys"]
        table = ophys["ImageSegmentation"]["plane0"]
        assert table["mask_origin"].data[:].tolist() == ["mask"] * 4
        pixels = [[tuple(p) for p in table["pixel_mask"][row]] for row in range(4)]
        assert pixels == [[(2 * i, i, 1.0)] for i in range(4)]
        assert table["ensemble"].data[:].tolist() == ["P+", "P-", "P0", "P0"]
        np.testing.assert_array_equal(ophys["MeanImages"]["plane0"].data[:].T, MEAN_IMAGE)
    np.testing.assert_array_equal(read_traces(folder / "session.nwb").mean_images[0], MEAN_IMAGE)
    assert not validate(path=folder / "session.nwb", use_cached_namespaces=False)
    messages = inspect_nwbfile(folder / "session.nwb")
    assert not [m for m in messages if m.object_type in ("Images", "GrayscaleImage")]


@pytest.mark.parametrize(("image", "origin"), [(True, "centre"), (False, "none")])
def test_without_masks_a_pixel_says_where_it_is_from(
    tmp_path: Path, image: bool, origin: str
) -> None:
    played(tmp_path, 20, image=image)
    with opened(tmp_path) as file:
        table = file.processing["ophys"]["ImageSegmentation"]["plane0"]
        assert set(table["mask_origin"].data[:]) == {origin}
        (x, y, weight), *rest = table["pixel_mask"][1]
        assert not rest
        assert (x, y, weight) == ((11, 20, 1.0) if image else (0, 0, 0.0))


def test_roi_ids_of_a_sender_that_counts_otherwise_do_not_stop_the_export(tmp_path: Path) -> None:
    session = Played(tmp_path, first_roi_id=3).start()
    session.frames(0, 20)
    session.close()
    with opened(tmp_path) as file:
        table = file.processing["ophys"]["ImageSegmentation"]["plane0"]
        assert table["label"].data[:].tolist() == list(session.labels)
        assert table.id[:].tolist() == [0, 1, 2, 3]


def test_garbage_ids_on_the_wire_do_not_stop_the_export(tmp_path: Path) -> None:
    session = Played(tmp_path).start()
    session.frames(0, 50)
    for frame_id in (2**63 + 7, 2**63 - 2):
        session.frame(frame_id, t_s=5.5)
    session.frames(50, 80)
    session.close()
    with opened(tmp_path) as file:
        assert file.processing["bci"]["frame_id"].data[:].tolist() == list(range(80))
        ledger = file.events["events"].to_dataframe().query("kind == 'ledger'")
        assert ledger.frame_id.tolist() == [2**63 - 1, 2**63 - 2]


def test_damage_amid_the_journal_leaves_the_rest(tmp_path: Path) -> None:
    session = played(tmp_path, 400)
    journal = tmp_path / JOURNAL
    content = bytearray(journal.read_bytes())
    for part in (3, 2):
        content[len(content) // part] ^= 1
    journal.write_bytes(content)
    recover(tmp_path)
    record = SessionRecord.read(tmp_path)
    # wherever the damage fell: a decision is told together with its frame
    frames = set(record.inputs.sequences.tolist())
    kept = [d.s3 for d in record.decisions if d.decoded and d.sequence in frames]
    with opened(tmp_path) as file:
        bci = file.processing["bci"]
        np.testing.assert_array_equal(bci["s3"].data[:], kept)
        lengths = {len(series.data) for series in bci.data_interfaces.values()}
        assert lengths == {len(kept)}
        assert len(file.processing["ophys"]["DfOverF"]["ensembles"].data) == len(kept)
    assert len(kept) >= len(decoded(session)) - 2


@pytest.mark.parametrize("image", [True, False])
def test_exported_session_plays_again(tmp_path: Path, image: bool) -> None:
    session = Played(tmp_path, made_session(2), n_planes=2, image=image).start()
    session.frames(0, 100)
    session.close()
    traces = read_traces(export_nwb(tmp_path))
    assert traces.labels == tuple(roi.label for roi in session.info.rois)
    assert traces.info.rate_hz == pytest.approx(RATE_HZ)
    assert len(traces.masks) == (4 if image else 0)
    for plane in (0, 1):
        values = [v for _, p, v in session.sent_values if p == plane]
        np.testing.assert_array_equal(traces.fluorescence[plane], np.transpose(values))
