import datetime
import json
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from bci.config import (
    Override,
    Session,
    SettingsError,
    dump_session,
    load_session,
    validate_session,
)
from bci.config import settings_hash as hash_of

RIG = """
name = "desk"
[source]
kind = "simulated"
n_rois = 8
[board]
kind = "simulated"
"""
EXPERIMENT = """
name = "short"
[decoder]
p_plus = ["roi0000"]
p_minus = ["roi0001"]
f0_window_s = 5.0
[baseline]
duration_s = 60.0
"""
SESSION = 'subject = "m1"\nrig = "rigs/desk.toml"\nexperiment = "short.toml"\n'


@pytest.fixture
def session_file(tmp_path: Path) -> Path:
    (tmp_path / "rigs").mkdir()
    (tmp_path / "rigs" / "desk.toml").write_text(RIG)
    (tmp_path / "short.toml").write_text(EXPERIMENT)
    path = tmp_path / "session.toml"
    path.write_text(SESSION)
    return path


def faults_of_file(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_session(path, [Override.parse(text) for text in overrides])
    return [str(fault) for fault in caught.value.faults]


def test_session_file_names_a_rig_and_an_experiment(session_file: Path) -> None:
    session = load_session(session_file)
    assert (session.subject, session.rig.name, session.experiment.name) == ("m1", "desk", "short")


def test_tables_may_stand_in_the_session_file_itself(tmp_path: Path, session_file: Path) -> None:
    whole = tmp_path / "whole.toml"
    whole.write_text(tomli_w.dumps(dump_session(load_session(session_file))))
    assert load_session(whole) == load_session(session_file)


def test_every_session_file_of_the_project_is_valid() -> None:
    configs = Path(__file__).parents[2] / "configs"
    files = sorted(configs.glob("*.toml"))
    assert files
    for path in files:
        load_session(path)


def test_settings_survive_a_round_trip_through_json(session_file: Path) -> None:
    session = load_session(session_file)
    again, faults = validate_session(json.loads(json.dumps(dump_session(session))))
    assert faults == []
    assert again == session
    assert again is not None
    assert hash_of(again) == hash_of(session)


@given(
    trial_s=st.floats(0.1, 40.0),
    labels=st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=8, unique=True),
    seed=st.integers(0, 2**62),
    threshold=st.one_of(st.none(), st.tuples(st.floats(-1, 0), st.floats(0.001, 1))),
)
def test_any_valid_settings_survive_a_round_trip(
    trial_s: float, labels: list[str], seed: int, threshold: tuple[float, float] | None
) -> None:
    block = (
        {"baseline": {"duration_s": 100.0}}
        if threshold is None
        else {"threshold": {"lo": threshold[0], "t": threshold[1]}}
    )
    session, faults = validate_session(
        {
            "rig": {
                "name": "r",
                "source": {"kind": "simulated", "seed": seed},
                "board": {"kind": "simulated"},
            },
            "experiment": {
                "name": "e",
                "decoder": {"p_plus": labels[1:], "p_minus": labels[:1]},
                "task": {"trial_s": trial_s},
                **block,
            },
        }
    )
    assert faults == []
    assert session is not None
    again, _ = validate_session(json.loads(json.dumps(dump_session(session))))
    assert again == session


def test_equal_settings_have_equal_hashes_however_they_were_written(session_file: Path) -> None:
    set_to_default = load_session(session_file, [Override("experiment.task.grey_s", 0.5)])
    assert hash_of(set_to_default) == hash_of(load_session(session_file))
    changed = load_session(session_file, [Override("experiment.task.grey_s", 0.6)])
    assert hash_of(changed) != hash_of(set_to_default)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("experiment.task.trial_s=10", "experiment.task.trial_s", 10),
        ("rig.stream.delivery=lossless", "rig.stream.delivery", "lossless"),
        ('subject="42"', "subject", "42"),
        ("experiment.decoder.p_plus=['a','b']", "experiment.decoder.p_plus", ["a", "b"]),
        (" subject = m2 ", "subject", "m2"),
        ("rig.board.port=socket://127.0.0.1:9?a=b", "rig.board.port", "socket://127.0.0.1:9?a=b"),
        ("rig.source.loop=true", "rig.source.loop", True),
        ("subject=", "subject", ""),
    ],
)
def test_override_is_toml_or_else_plain_text(text: str, key: str, value: object) -> None:
    assert Override.parse(text) == Override(key, value)


@pytest.mark.parametrize("text", ["", "subject", "=3", "  =3", "a=\udcff", "a=1\nb=2"])
def test_override_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--set"):
        Override.parse(text)


@given(st.text())
def test_override_of_any_text_parses_or_is_refused(text: str) -> None:
    try:
        override = Override.parse(text)
    except SettingsError:
        return
    assert override.key


def test_later_override_wins(session_file: Path) -> None:
    overrides = [Override("experiment.task.trial_s", value) for value in (10.0, 12.0)]
    assert load_session(session_file, overrides).experiment.task.trial_s == 12.0


def test_override_makes_the_table_that_is_not_there(session_file: Path) -> None:
    session = load_session(session_file, [Override("rig.screen.photodiode.enabled", True)])
    assert session.rig.screen.photodiode.enabled


def test_override_below_a_value_is_refused(session_file: Path) -> None:
    (fault,) = faults_of_file(session_file, "subject.name=m2")
    assert "`subject` is a value, not a table" in fault


def test_override_names_another_rig_from_where_it_was_typed(
    session_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = session_file.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "other.toml").write_text(RIG.replace("desk", "other"))
    monkeypatch.chdir(elsewhere)
    assert load_session(session_file, [Override("rig", "other.toml")]).rig.name == "other"


def test_recording_is_found_beside_the_file_that_names_it(
    session_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = session_file.parent / "rigs"
    (folder / "desk.toml").write_text(
        'name = "r"\n[source]\nkind = "recording"\npath = "../data/f.npy"\nrate_hz = 30.0\n'
        '[board]\nkind = "simulated"\n'
    )
    source = load_session(session_file).rig.source
    assert source.kind == "recording"
    assert source.path == (session_file.parent / "data" / "f.npy").resolve()
    monkeypatch.chdir(folder)
    source = load_session(session_file, [Override("rig.source.path", "g.npy")]).rig.source
    assert source.kind == "recording"
    assert source.path == (folder / "g.npy").resolve()


def test_recording_to_replay_takes_the_place_of_the_source(
    session_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(session_file.parent)
    rate = Override("rig.source.rate_hz", 15.0)
    session = load_session(session_file, [rate], Path("recorded.npy"))
    source = session.rig.source
    assert source.kind == "recording"
    assert source.path == (session_file.parent / "recorded.npy").resolve()
    assert source.rate_hz == 15.0


def test_recording_to_replay_keeps_how_the_rig_plays_recordings(session_file: Path) -> None:
    (session_file.parent / "rigs" / "desk.toml").write_text(
        'name = "r"\n[source]\nkind = "recording"\npath = "f.npy"\nbackground_counts = 500.0\n'
        '[board]\nkind = "simulated"\n'
    )
    source = load_session(session_file, recording=session_file.parent / "g.npy").rig.source
    assert source.kind == "recording"
    assert (source.path.name, source.background_counts) == ("g.npy", 500.0)


def test_date_of_a_valve_calibration_needs_no_quotes(session_file: Path) -> None:
    override = Override.parse("rig.board.valve.calibrated_on=2026-11-01")
    assert override.value == datetime.date(2026, 11, 1)
    session = load_session(session_file, [override])
    assert session.rig.board.valve.calibrated_on == datetime.date(2026, 11, 1)
    again, faults = validate_session(json.loads(json.dumps(dump_session(session))))
    assert (again, faults) == (session, [])


def test_byte_order_mark_of_a_windows_editor_is_no_fault(session_file: Path) -> None:
    session_file.write_text(SESSION.replace("\n", "\r\n"), encoding="utf-8-sig")
    assert load_session(session_file).subject == "m1"


def test_missing_session_file_is_one_fault(tmp_path: Path) -> None:
    (fault,) = faults_of_file(tmp_path / "none.toml")
    assert "none.toml" in fault
    assert "No such file" in fault


def test_folder_in_place_of_a_file_is_one_fault(tmp_path: Path) -> None:
    (fault,) = faults_of_file(tmp_path)
    assert "This is a folder" in fault or "The system says" in fault


def test_empty_session_file_asks_for_rig_and_experiment(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.touch()
    assert faults_of_file(path) == [
        'rig: a value (there is no default). Add `rig = "FILE.toml"` to the session file.',
        'experiment: a value (there is no default). Add `experiment = "FILE.toml"` '
        "to the session file.",
    ]


def test_empty_rig_file_asks_for_what_has_no_default(session_file: Path) -> None:
    (session_file.parent / "rigs" / "desk.toml").write_text("")
    keys = [fault.split(":")[0] for fault in faults_of_file(session_file)]
    assert keys == ["rig.name", "rig.source", "rig.board"]


def test_rig_not_found_is_one_fault_beside_those_of_the_experiment(session_file: Path) -> None:
    (session_file.parent / "rigs" / "desk.toml").unlink()
    faults = faults_of_file(session_file, "experiment.task.trial_s=-1", "rig.screen.width_px=800")
    assert len(faults) == 2
    assert "desk.toml" in faults[0]
    assert "No such file" in faults[0]
    assert faults[1].startswith("experiment.task.trial_s = -1: must be above 0.")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"subject = \n", "mend the line"),
        (b"subject = 'a'\nsubject = 'b'\n", "mend the line"),
        (b'rig = "C:\\rigs\\q.toml"\n', "write / or single quotes"),
        (b"subject = '\xff\xfe'\n", "save it as UTF-8"),
        (b"\x00\x01\x02", "mend the line"),
    ],
)
def test_file_that_is_no_toml_says_where(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    (fault,) = faults_of_file(path)
    assert "bad.toml" in fault
    assert told.lower() in fault.lower()


@given(content=st.binary(max_size=200))
def test_no_content_of_a_file_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError):
        load_session(path)


def test_session_is_frozen(session_file: Path) -> None:
    session: Session = load_session(session_file)
    with pytest.raises(ValueError, match="frozen"):
        session.subject = "m2"  # type: ignore[misc]
