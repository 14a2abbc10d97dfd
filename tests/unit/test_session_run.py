"""What keeps a session from being begun, or from being kept, is told."""

import io
import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from recorded_session import record_session
from rich.console import Console
from running_session import DEMO

from bci.config import Override, SettingsError, load_session
from bci.recording.integrity import Integrity, check_journal
from bci.recording.manifest import WRITING, Manifest, read_manifest
from bci.recording.scan import JournalBytes
from bci.recording.subject import SubjectFolder
from bci.session import run
from bci.session.run import run_session
from bci.session.sole_session import sole_session
from bci.session.supervisor import Ending

pytestmark = pytest.mark.slow


def refused(root: Path, *overrides: Override) -> str:
    with pytest.raises(SettingsError) as error:
        run_session(load_session(DEMO, overrides), root, Console(file=io.StringIO()))
    (fault,) = error.value.faults
    return str(fault)


@pytest.mark.skipif(os.name == "nt", reason="paths are Unicode there")
def test_folder_whose_name_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    told = refused(root)
    assert "--out" in told
    assert "UTF-8" in told
    assert "\\udcff" in told
    assert not root.exists()


@pytest.mark.parametrize("key", ["rig.stream.operator_port", "rig.source.port"])
def test_an_address_that_is_taken_is_refused_before_a_folder_is_made(
    tmp_path: Path, key: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        door = {"kind": "tcp", "n_rois": 40, "rate_hz": 30.0, "n_planes": 2}
        overrides = [Override("rig.source", door)] if "source" in key else []
        with pytest.raises(SettingsError) as raised:
            run_session(
                load_session(DEMO, [*overrides, Override(key, port)]),
                tmp_path / "out",
                Console(file=io.StringIO()),
            )
    assert [(fault.key, fault.value) for fault in raised.value.faults] == [(key, port)]
    assert not (tmp_path / "out").exists()


def test_an_address_of_another_computer_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    session = load_session(DEMO)
    # TEST-NET-1: nobody's
    stream = session.rig.stream.model_copy(update={"host": "192.0.2.1", "exposed": True})
    rig = session.rig.model_copy(update={"stream": stream})
    session = session.model_copy(update={"rig": rig})
    with pytest.raises(SettingsError) as raised:
        run_session(session, tmp_path / "out", Console(file=io.StringIO()))
    assert raised.value.faults[0].key == "rig.stream.host"
    assert not (tmp_path / "out").exists()


def test_full_disk_leaves_no_folder_of_a_session_that_never_was(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        told = refused(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "--out" in told
    assert "make room" in told.lower()
    assert list((tmp_path / "demo").iterdir()) == []


@pytest.mark.parametrize(("name", "is_folder"), [("subject", False), ("rewards.csv", True)])
def test_session_whose_drops_and_days_could_not_be_kept_is_refused(
    name: str, is_folder: bool, tmp_path: Path
) -> None:
    barred = tmp_path / "demo" / name
    barred.parent.mkdir()
    barred.mkdir() if is_folder else barred.touch()
    told = refused(tmp_path)
    assert "--out" in told
    assert f"{barred} must be writable" in told


class Over:
    """A session that is recorded, and ends as asked."""

    def __init__(self, _session: object, folder: Path, *_: object) -> None:
        self._folder = folder

    def ask_to_stop(self) -> None: ...

    def tell_own(self, kind: str, detail: str) -> None: ...

    def lose_folder(self, what: str) -> None: ...

    def run(self) -> Ending:
        record_session(self._folder)
        return Ending(True, "task over", None)


def test_day_that_could_not_be_kept_is_a_fault_of_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithoutSubject(Over):
        """Its subject has no folder by then."""

        def run(self) -> Ending:
            (tmp_path / "nobody").touch()
            return super().run()

    monkeypatch.setattr(run, "Supervisor", WithoutSubject)
    result = run_session(load_session(DEMO), tmp_path, Console(file=io.StringIO()))
    assert not result.ok
    assert "the subject's folder does not hold this session" in result.reason
    assert {"nwb", "report"} <= result.files.keys()
    assert read_manifest(Path(result.folder)).outcome["reason"] == result.reason


def test_files_can_be_left_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Supervisor", Over)
    session = load_session(DEMO, [Override("rig.files_at_end", False)])
    result = run_session(session, tmp_path, Console(file=io.StringIO()))
    assert result.ok, result.reason
    assert result.files.keys() == {"journal", "log"}
    manifest = read_manifest(Path(result.folder))
    assert manifest.outcome == msgspec.to_builtins(result)
    (day,) = SubjectFolder(tmp_path, manifest.subject).days()
    assert day.session == manifest.session


class Unforeseen(Exception):
    """Of no kind that anybody expects."""


@pytest.mark.parametrize(
    "broken", ["settle_session", "keep_day", "check_journal", "_write_nwb", "write_report"]
)
def test_step_of_the_end_that_fails_unforeseen_keeps_no_other_from_its_turn(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def step(name: str) -> Callable[..., int]:
        def take(*_: object, **__: object) -> int:
            made.append(name)
            if name == broken:
                raise Unforeseen(name)
            return 0

        return take

    def look(journal: JournalBytes) -> Integrity:
        made.append("check_journal")
        if broken == "check_journal":
            raise Unforeseen
        return check_journal(journal)

    class Failed(Over):
        def run(self) -> Ending:
            super().run()
            return Ending(False, "the board is gone", None)

    exports = tuple(
        one._replace(write=step("_write_nwb" if one.kind == "nwb" else "write_report"))
        for one in run.EXPORTS
    )
    monkeypatch.setattr(run, "EXPORTS", exports)
    monkeypatch.setattr(run, "settle_session", step("settle_session"))
    monkeypatch.setattr(run, "keep_day", step("keep_day"))
    monkeypatch.setattr(run, "check_journal", look)
    monkeypatch.setattr(run, "Supervisor", Failed)
    result = run_session(load_session(DEMO), tmp_path, Console(file=io.StringIO()))
    expected = ["settle_session", "keep_day", "check_journal", "_write_nwb", "write_report"]
    assert made == (expected[:3] if broken == "check_journal" else expected)
    assert not result.ok
    assert "Unforeseen" in result.reason
    outcome = read_manifest(Path(result.folder)).outcome
    assert outcome["reason"] == result.reason
    assert WRITING not in outcome
    assert "Unforeseen" in (Path(result.folder) / "log.jsonl").read_text("utf-8")


def test_end_is_told_before_the_files_that_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash of HDF5 takes the process down: rewards, day and outcome are on file by then."""
    seen: list[Manifest] = []
    exports = tuple(
        one._replace(write=lambda folder: seen.append(read_manifest(folder))) for one in run.EXPORTS
    )
    monkeypatch.setattr(run, "EXPORTS", exports)
    monkeypatch.setattr(run, "Supervisor", Over)
    result = run_session(load_session(DEMO), tmp_path, Console(file=io.StringIO()))
    assert result.ok
    for manifest in seen:
        assert manifest.outcome["ok"] is True
        assert manifest.outcome[WRITING] == ["session.nwb", "report.html"]
        assert not manifest.is_over
    assert len(seen) == 2
    assert read_manifest(Path(result.folder)).is_over


@pytest.mark.skipif(os.name == "nt", reason="locks keep nobody out there")
def test_animal_that_is_in_a_session_is_in_no_other_one(tmp_path: Path) -> None:
    arduino = (
        Override("rig.board.kind", "arduino"),
        Override("rig.board.port", "socket://127.0.0.1:9"),
    )
    with sole_session(tmp_path, "demo"):
        told = refused(tmp_path, *arduino)
        assert f"is in a session of process {os.getpid()}" in told
        assert not [path for path in (tmp_path / "demo").iterdir() if path.is_dir()]
        with sole_session(tmp_path, "another"):
            pass
    with sole_session(tmp_path, "demo"):
        pass


def test_folder_that_was_moved_while_the_session_ran_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Moved:
        """A supervisor whose session's folder is moved by somebody."""

        def __init__(self, _: object, folder: Path, *__: object) -> None:
            self._folder = folder

        def ask_to_stop(self) -> None:
            raise AssertionError

        def lose_folder(self, what: str) -> None: ...

        def tell_own(self, kind: str, detail: str) -> None:
            raise AssertionError

        def run(self) -> Ending:
            self._folder.rename(tmp_path / "elsewhere")
            return Ending(True, "task over", None)

    monkeypatch.setattr(run, "Supervisor", Moved)
    result = run_session(load_session(DEMO), tmp_path, Console(file=io.StringIO()))
    assert not result.ok
    assert "was moved while it ran" in result.reason
    assert result.files == {}
