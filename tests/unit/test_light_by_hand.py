"""Light by hand through journal, verify, files and window: what the board confirmed counts."""

from pathlib import Path

import pytest
from played_session import Played, made_session
from pynwb import NWBHDF5IO

from bci.core.light import has_light
from bci.core.loop_types import LightSet, Pause, Resume, TaskState
from bci.gui.model import SessionModel
from bci.recording.folder import JOURNAL
from bci.recording.history import HistoryReader, HistoryRequest
from bci.recording.nwb import export_nwb
from bci.recording.session_record import SessionRecord
from bci.recording.tail import JournalTail
from bci.recording.verify import VerdictKind, verify

SESSION = made_session(
    experiment={"light": {"trials": "fraction", "fraction": 0.25, "seed": 3, "blanked_rows": 0}}
)
Told = tuple[Path, dict[int, str]]


def trial_in(state: TaskState, session: Played, *, planned: bool) -> int:
    """Go on to this state of a later trial with or without planned light; its number."""
    loop, present = session.loop, session.loop.trial
    for _ in range(4000):
        session.frame(loop.last_frame_id + 1)
        if loop.trial > present and loop.state is state:
            if has_light(SESSION.experiment.light, loop.trial) is planned:
                return loop.trial
            present = loop.trial
    raise AssertionError(f"{state} never came")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A session's folder, and the light that some of its trials had."""
    session = Played(tmp_path_factory.mktemp("light"), SESSION).start()
    loop, light = session.loop, dict[int, str]()

    def applied(event: LightSet | Pause | Resume) -> None:
        session.apply(event, session.time_s(loop.last_frame_id) + 0.01)

    light[trial_in(TaskState.GREY, session, planned=True)] = "trial"
    light[trial_in(TaskState.RUN, session, planned=False)] = "part"
    applied(LightSet(True))
    session.frames(loop.last_frame_id + 1, loop.last_frame_id + 4)
    applied(LightSet(False))
    light[trial_in(TaskState.GREY, session, planned=True)] = "none"
    light[trial_in(TaskState.BLACK, session, planned=False)] = "part"
    applied(LightSet(True))
    by_hand = loop.trial + 1
    while loop.trial <= by_hand:
        session.frame(loop.last_frame_id + 1)
    light[by_hand] = "trial"
    applied(Pause())
    applied(Resume())
    light[trial_in(TaskState.GREY, session, planned=True)] = "trial"
    trial_in(TaskState.GREY, session, planned=False)
    session.board_answers = False
    light[trial_in(TaskState.GREY, session, planned=True)] = "none"
    trial_in(TaskState.GREY, session, planned=False)
    session.close()
    return session.folder, light


def test_trials_on_file_have_the_light_that_the_board_confirmed(told: Told) -> None:
    folder, light = told
    with NWBHDF5IO(export_nwb(folder), "r") as io:
        file = io.read()
        trials = file.trials.to_dataframe().set_index("trial")
        events = file.get_events_table("events").to_dataframe()
    assert {trial: trials.light[trial] for trial in light} == light
    assert events[events.kind == "light_set"].value.tolist() == [1.0, 0.0, 1.0]


def test_light_by_hand_is_computed_again(told: Told) -> None:
    assert verify(told[0]).kind is VerdictKind.IDENTICAL


@pytest.mark.parametrize("n_records", [1, 7, 3000])
def test_window_counts_the_trials_with_light_as_the_file_does(
    told: Told, n_records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bci.recording.history.MOST_RECORDS", n_records)
    record, model = SessionRecord.read(told[0]), SessionModel(SESSION, told[0])
    with JournalTail(told[0] / JOURNAL) as tail:
        reader, position, at_end = HistoryReader(tail), 0, False
        while not at_end:
            chunk = reader.read(HistoryRequest(position))
            model.take(chunk)
            position, at_end = chunk.position, chunk.at_end
    trials = [end.trial for end in record.trials]
    assert [model.lit.of_trial(t) for t in trials] == [record.lit.of_trial(t) for t in trials]
    assert model.lit.n_trials == record.lit.n_trials > 3
