"""What is carried from day to day is readable, dated and never written over."""

import json
from pathlib import Path

import pytest

from bci.core.calibration import CalibrationResult
from bci.core.loop_types import GuardLevels
from bci.recording.manifest import Program
from bci.recording.subject import (
    DayNote,
    StoredCalibration,
    StoredEnsembles,
    SubjectDamaged,
    SubjectFolder,
    stored_calibration,
)

DAY_1, DAY_2 = "2026-11-22T08:15:00.000+01:00", "2026-11-23T08:20:00.000+01:00"
CHOSEN = StoredEnsembles(at=DAY_1, p_plus=("a", "b"), p_minus=("c", "d"), seed=3)


def calibration(
    at: str, z_t: float = 1.5, p_plus: tuple[str, ...] = ("b", "a")
) -> StoredCalibration:
    found = CalibrationResult(
        t=0.4, lo=-0.2, mu=0.0, sigma=0.1, z_t=z_t, success_fraction=0.5, n_frames=900,
        run_frames=100, baseline_median=float("nan"), warnings=("look",),
        guards=GuardLevels(float("nan"), (0.1, 0.2)),
    )  # fmt: skip
    return stored_calibration(
        found, at=at, session="mouse-1", settings_hash="ab",
        program=Program("0.1", "c0ffee", False), seed=1, p_plus=p_plus, p_minus=("c", "d"),
    )  # fmt: skip


def test_nothing_is_there_and_nothing_is_made_before_something_is_stored(tmp_path: Path) -> None:
    folder = SubjectFolder(tmp_path, "mouse")
    assert folder.ensembles() is None
    assert folder.calibrations() == []
    assert not folder.path.exists()


def test_a_second_thing_of_the_same_second_gets_a_file_of_its_own(tmp_path: Path) -> None:
    folder = SubjectFolder(tmp_path, "mouse")
    first = folder.add(CHOSEN)
    before = first.read_bytes()
    second = folder.add(StoredEnsembles(at=DAY_1, p_plus=("x", "y"), p_minus=("c", "d")))
    assert first.name == "ensembles-20261122T081500.json"
    assert second.name == "ensembles-20261122T081500-2.json"
    assert first.read_bytes() == before
    newest = folder.ensembles()
    assert newest is not None
    assert newest.p_plus == ("x", "y")


def test_a_calibration_comes_back_as_it_was_with_what_is_unknown_as_null(tmp_path: Path) -> None:
    folder = SubjectFolder(tmp_path, "mouse")
    path = folder.add(calibration(DAY_1))
    text = json.loads(path.read_text("utf-8"))
    assert text["program"]["commit"] == "c0ffee"
    assert text["chance"] is None
    stored = folder.calibrations()[0]
    assert stored == calibration(DAY_1)
    assert stored.guards is not None
    assert stored.guards.others_min == (0.1, 0.2)
    assert stored.guards.p_minus_max != stored.guards.p_minus_max


def test_z_of_day_1_is_of_the_first_day_that_calibrated_these_ensembles(tmp_path: Path) -> None:
    folder = SubjectFolder(tmp_path, "mouse")
    assert folder.first_calibration(CHOSEN) is None
    # of a part of them, earlier; twice on day 1; on day 2
    folder.add(calibration("2026-11-21T08:00:00+01:00", z_t=9.0, p_plus=("a",)))
    folder.add(calibration(DAY_2, z_t=2.0))
    folder.add(calibration(DAY_1, z_t=1.0))
    folder.add(calibration("2026-11-22T09:15:00+01:00", z_t=1.25))
    first = folder.first_calibration(CHOSEN)
    assert first is not None
    assert first.z_t == 1.25
    newest = folder.newest_calibration(("a", "b"), ("c", "d"), "2026-11-22")
    assert newest is not None
    assert newest.z_t == 1.25
    assert folder.newest_calibration(("a",), ("c", "d"), "2026-11-22") is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = SubjectFolder(tmp_path, "mouse")
    folder.add(DayNote(at=DAY_1, weight_g=24.5))
    assert folder.notes()[0].weight_g == 24.5
    bad = folder.path / "note-20261123T081500.json"
    bad.write_text('{"at": "2026-11-23T08', "utf-8")
    with pytest.raises(SubjectDamaged, match=r"note-20261123T081500\.json.*[Mm]ove it out"):
        folder.notes()


def test_a_full_disk_leaves_no_part_of_a_file_behind(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    folder = SubjectFolder(tmp_path, "mouse")
    folder.add(calibration(DAY_1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            folder.add(calibration(DAY_2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [stored.at for stored in folder.calibrations()] == [DAY_1]
    assert len(list(folder.path.iterdir())) == 1


def test_a_name_that_was_taken_and_never_filled_holds_up_no_day(tmp_path: Path) -> None:
    folder = SubjectFolder(tmp_path, "mouse")
    folder.add(CHOSEN)
    (folder.path / "ensembles-20261123T081500.json").touch()
    assert folder.ensembles() == CHOSEN


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    folder = SubjectFolder(tmp_path, "mouse")
    folder.path.parent.mkdir()
    folder.path.write_text("no folder", "utf-8")
    with pytest.raises(SubjectDamaged, match="subject: cannot be read"):
        folder.ensembles()
    # what is wrong with the folder of all subjects is told where that is chosen
    assert SubjectFolder(folder.path, "mouse").ensembles() is None
