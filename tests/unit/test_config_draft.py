from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.config import SettingsError, load_session
from bci.config.draft import Draft

CONFIGS = sorted(Path(__file__).parents[2].joinpath("configs").glob("*.toml"))
DEMO = next(path for path in CONFIGS if path.stem == "demo")
KEYS = (
    "subject",
    "experiment.task.trial_s",
    "experiment.baseline",
    "rig.board.valve.ms_per_ul",
    "rig.source.n_rois",
)


def demo() -> Draft:
    return Draft.read(DEMO)[0]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_saved_settings_are_those_that_were_read(path: Path, tmp_path: Path) -> None:
    draft, faults = Draft.read(path)
    draft.save(tmp_path / "copy.toml")
    assert not faults
    assert load_session(tmp_path / "copy.toml") == load_session(path)
    Draft.of(load_session(path)).save(tmp_path / "whole.toml")
    assert load_session(tmp_path / "whole.toml") == load_session(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("experiment.task.trial_s", "ten"),
        ("experiment.task.reward_delay_s", 9.0),
        ("experiment.decoder.p_plus", []),
        ("rig.source.kind", "microscope"),
        ("subject", "my mouse"),
    ],
)
def test_a_wrong_value_has_the_faults_that_a_file_with_it_has(
    key: str, value: object, tmp_path: Path
) -> None:
    draft = demo()
    draft.put(key, value)
    faults = draft.check()[1]
    draft.save(tmp_path / "wrong.toml")
    with pytest.raises(SettingsError) as told:
        load_session(tmp_path / "wrong.toml")
    assert faults
    assert [str(fault) for fault in faults] == [str(fault) for fault in told.value.faults]
    assert any(fault.key == key for fault in faults)


def test_a_key_put_back_to_none_has_its_default_again() -> None:
    draft = demo()
    draft.put("experiment.task.trial_s", None)
    session, faults = draft.check()
    assert session is None or session.experiment.task.trial_s == 28.0
    assert draft.get("experiment.task.trial_s") is None
    assert [fault.key for fault in faults] == ["experiment.baseline.duration_s"]


@given(
    st.lists(
        st.tuples(st.sampled_from(KEYS), st.none() | st.integers(0, 3) | st.just("x")), max_size=30
    )
)
def test_undo_goes_back_to_the_beginning_and_redo_to_the_end(
    steps: list[tuple[str, object]],
) -> None:
    draft = demo()
    before = draft.values
    for key, value in steps:
        draft.put(key, value)
    after = draft.values
    while draft.can_undo:
        draft.undo()
    assert draft.values == before
    assert not draft.changed
    while draft.can_redo:
        draft.redo()
    assert draft.values == after


def test_typing_a_number_is_one_step_and_the_way_back_another() -> None:
    draft = demo()
    for value in (None, 1, 12, 12.5):
        draft.put("experiment.task.trial_s", value)
    draft.reset("experiment.task.trial_s")
    draft.undo()
    assert draft.get("experiment.task.trial_s") == 12.5
    draft.undo()
    assert draft.get("experiment.task.trial_s") == 6.0
    assert not draft.can_undo
