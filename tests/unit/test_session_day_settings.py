"""What a day brings along: ensembles, T of day 1 or of today, what an interrupted session left."""

import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from played_session import NAME, Played, made_session

from bci.config import Session, SettingsError
from bci.core.calibration import CalibrationResult
from bci.core.chance import Chance
from bci.core.loop_types import BlockKind, Stop, ThresholdSet
from bci.recording.folder import JOURNAL
from bci.recording.manifest import Program
from bci.recording.performance import chance_of
from bci.recording.records import Topic
from bci.recording.session_record import SessionRecord
from bci.recording.subject import StoredCalibration, StoredEnsembles, SubjectFolder
from bci.recording.verify import verify
from bci.session import day as day_module
from bci.session import resume
from bci.session.blocks import threshold_of
from bci.session.check import Status
from bci.session.day import DayOptions, begin_day
from bci.session.day_words import check_subject, day_words

TODAY = date.today()
YESTERDAY = f"{TODAY - timedelta(days=1)}T08:15:00+01:00"
BASELINE = {"threshold": None, "baseline": {"duration_s": 4.0}}
OPEN = {"decoder": {"p_plus": [], "p_minus": [], "f0_window_s": 1.0}}
CHOSEN = StoredEnsembles(
    at=YESTERDAY, p_plus=("a", "b", "e"), p_minus=("c", "d"), weights_plus=(1.0, 2.0, 3.0),
    weights_minus=(1.0, 1.0),
)  # fmt: skip


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' day lasts until they are over, midnight or not."""
    monkeypatch.setattr(day_module, "_today", TODAY.isoformat)


def session_with(**tables: Any) -> Session:
    return made_session(experiment={**BASELINE, **OPEN, **tables})


def calibration(
    at: str, z_t: float, p_plus: tuple[str, ...] = ("a", "b", "e")
) -> StoredCalibration:
    return StoredCalibration(
        at=at, session="mouse-1", settings_hash="ab", program=Program("0.1", None, None), seed=1,
        p_plus=p_plus, p_minus=("c", "d"), t=0.5, lo=-0.25, mu=0.0, sigma=0.1, z_t=z_t,
        success_fraction=0.5, n_frames=900, run_frames=20, baseline_median=104.0, chance=0.4,
        chance_low=0.3, chance_high=0.5, p_minus_max=0.02,
    )  # fmt: skip


def subject(root: Path, *stored: Any) -> SubjectFolder:
    folder = SubjectFolder(root, "mouse")
    for one in stored:
        folder.add(one)
    return folder


def refused(session: Session, options: DayOptions) -> str:
    with pytest.raises(SettingsError) as caught:
        begin_day(session, options)
    return str(caught.value)


def test_on_day_1_a_baseline_comes_first_and_ensembles_are_chosen_on_it(tmp_path: Path) -> None:
    day = begin_day(session_with(), DayOptions(tmp_path))
    assert day.experiment.decoder.p_plus == ()
    text = refused(session_with(), DayOptions(tmp_path, block="closed_loop"))
    assert "experiment.decoder.p_plus" in text
    assert "record a baseline" in text


def test_later_days_take_ensembles_and_z_of_day_1_from_the_subject(tmp_path: Path) -> None:
    today = f"{TODAY}T09:00:00+01:00"
    subject(tmp_path, CHOSEN, calibration(YESTERDAY, 1.5), calibration(today, 7.0))
    day = begin_day(session_with(), DayOptions(tmp_path))
    decoder = day.experiment.decoder
    assert (decoder.p_plus, decoder.p_minus) == (("a", "b", "e"), ("c", "d"))
    assert decoder.weights_plus == (1.0, 2.0, 3.0)
    assert day.experiment.calibration.z_first == 1.5
    assert YESTERDAY[:10] in day.day.ensembles_from


def test_ensembles_that_the_experiment_names_owe_nothing_to_the_subject(tmp_path: Path) -> None:
    subject(tmp_path, CHOSEN, calibration(YESTERDAY, 1.5))
    named = {"decoder": {"p_plus": ["a", "b"], "p_minus": ["c"], "f0_window_s": 1.0}}
    day = begin_day(session_with(**named), DayOptions(tmp_path))
    assert day.experiment.decoder.p_plus == ("a", "b")
    assert day.experiment.calibration.z_first is None


def test_day_1_carries_nothing_over_however_often_its_baseline_is_repeated(tmp_path: Path) -> None:
    now = f"{TODAY}T09:00:00+01:00"
    subject(tmp_path, msgspec.structs.replace(CHOSEN, at=now), calibration(now, 1.5))
    day = begin_day(session_with(), DayOptions(tmp_path))
    assert day.experiment.calibration.z_first is None


def test_the_rest_goes_on_without_a_missing_neuron_and_the_next_day_has_it_again(
    tmp_path: Path,
) -> None:
    folder = subject(tmp_path, CHOSEN, calibration(YESTERDAY, 1.5))
    before = sorted(path.read_bytes() for path in folder.path.iterdir())
    day = begin_day(session_with(), DayOptions(tmp_path, without=("e",)))
    decoder = day.experiment.decoder
    assert (decoder.p_plus, decoder.p_minus) == (("a", "b"), ("c", "d"))
    assert (decoder.weights_plus, decoder.weights_minus) == (None, None)
    assert day.day.without == ("e",)
    assert day.experiment.calibration.z_first == 1.5
    assert sorted(path.read_bytes() for path in folder.path.iterdir()) == before
    assert begin_day(session_with(), DayOptions(tmp_path)).experiment.decoder.p_plus[2] == "e"


def test_too_few_left_or_a_neuron_of_no_ensemble_is_refused(tmp_path: Path) -> None:
    subject(tmp_path, CHOSEN)
    text = refused(session_with(), DayOptions(tmp_path, without=("d",)))
    assert "at least 2 ROIs left a side; p_minus would have fewer" in text
    text = refused(session_with(), DayOptions(tmp_path, without=("z",)))
    assert "--without = ['z']" in text
    assert "P+ is a, b, e" in text


def test_a_closed_loop_alone_takes_t_of_todays_baseline_and_of_no_other(tmp_path: Path) -> None:
    folder = subject(tmp_path, CHOSEN, calibration(YESTERDAY, 1.5))
    options = DayOptions(tmp_path, block="closed_loop")
    assert f"a T of today, {TODAY}" in refused(session_with(), options)
    higher = ((0.8, 0.3, 0.2, 0.4),)
    newest = calibration(f"{TODAY}T09:00:00+01:00", 2.0)
    folder.add(msgspec.structs.replace(newest, t=0.75, higher=higher))
    day = begin_day(session_with(), options)
    assert day.day.blocks == ("closed_loop",)
    assert day.day.threshold is not None
    assert (day.day.threshold.t, day.day.threshold.chance) == (0.75, 0.4)
    assert day.day.threshold.higher == higher
    event = threshold_of(day.day.threshold)
    assert (event.t, event.lo, event.baseline_median) == (0.75, -0.25, 104.0)
    assert event.guards is not None
    assert event.guards.p_minus_max == 0.02


@pytest.fixture(autouse=True)
def recorded_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions of these tests are recorded at a fixed time, however long ago that is."""
    monkeypatch.setattr(resume, "SAME_DAY", timedelta(days=100_000))


@pytest.fixture
def interrupted(tmp_path: Path) -> Played:
    """A baseline, then closed loop, and then the power failed: the journal was never closed."""
    tables = {**BASELINE, "task": {"session_s": 60.0, "trial_s": 1.0}}
    played = Played(tmp_path / "mouse" / "20260301T101500", made_session(experiment=tables))
    played.start().frames(0, 81)
    played.apply(ThresholdSet(0.3, -0.3, 102.0, "calibration"), 7.2)
    played.frames(81, 400)
    played.journal.close("cut")
    path = played.folder / JOURNAL
    os.truncate(path, path.stat().st_size - 300)
    return played


def test_an_interrupted_day_goes_on_with_its_t_its_trials_and_the_time_that_is_left(
    interrupted: Played, tmp_path: Path
) -> None:
    session = interrupted.session
    day = begin_day(session, DayOptions(tmp_path, resume=interrupted.folder))
    loop, resumed, threshold = interrupted.loop, day.day.resumed, day.day.threshold
    assert day.day.blocks == ("closed_loop",)
    assert resumed is not None
    assert threshold is not None
    assert resumed.session == NAME
    assert resumed.trials == loop.trial > 3
    assert resumed.session_spent_s == pytest.approx(loop.session_s, abs=0.2)
    paid = sum(d.reward is not None for d in interrupted.decisions)
    assert paid - 1 <= resumed.rewards <= paid
    assert resumed.volume_ul == 4.0 * resumed.rewards
    assert (threshold.t, threshold.lo, threshold.baseline_median) == (0.3, -0.3, 102.0)
    assert NAME in threshold.origin

    rest = Played(tmp_path / "mouse" / "20260301T111500", day)
    rest.start().apply(threshold_of(threshold), 2.5)
    rest.frames(0, 200)
    assert rest.loop.trial > resumed.trials
    trials = [d.trial_end.trial for d in rest.decisions if d.trial_end is not None]
    assert trials[0] == resumed.trials + 1
    left_s = session.experiment.task.session_s - resumed.session_spent_s
    rest.frames(200, 200 + int(left_s * 20))
    ends = [t for d in rest.decisions for t in d.blocks if not t.begins]
    assert [end.kind for end in ends] == [BlockKind.CLOSED_LOOP]
    begun = next(t.frame_id for d in rest.decisions for t in d.blocks if t.begins)
    assert (ends[0].frame_id - begun) / 20.0 == pytest.approx(left_s, abs=3.0)
    rest.close()
    assert verify(rest.folder).ok


def test_a_day_that_was_resumed_may_be_interrupted_again(
    interrupted: Played, tmp_path: Path
) -> None:
    first = begin_day(interrupted.session, DayOptions(tmp_path, resume=interrupted.folder))
    assert first.day.threshold is not None
    assert first.day.resumed is not None
    again = Played(tmp_path / "mouse" / "20260301T111500", first)
    again.start().apply(threshold_of(first.day.threshold), 2.5)
    again.frames(0, 100)
    again.apply(Stop("by hand"), 9.0)
    again.close()
    second = begin_day(interrupted.session, DayOptions(tmp_path, resume=again.folder)).day
    assert second.resumed is not None
    assert second.resumed.trials == again.loop.trial > first.day.resumed.trials
    assert second.resumed.rewards >= first.day.resumed.rewards
    assert second.resumed.session_spent_s > first.day.resumed.session_spent_s + 3.0
    assert second.threshold is not None
    assert second.threshold.t == first.day.threshold.t


def test_a_raised_t_goes_on_with_its_steps_and_their_chance(tmp_path: Path) -> None:
    adaptive = {"hit_rate": 0.5, "n_trials": 2, "step": 0.05, "max_steps": 4}
    tables = {**BASELINE, "adaptive": adaptive, "task": {"session_s": 60.0, "trial_s": 1.0}}
    first = Played(tmp_path / "mouse" / "20260301T101500", made_session(experiment=tables))
    steps = [0.3 + 0.05 * k for k in range(1, 5)]
    at_step = [(t, Chance(0.5 - k / 10, 0.1, 0.9, 9)) for k, t in enumerate(steps, start=1)]
    found = CalibrationResult(0.3, -0.3, 0, 0.1, 3, 0.5, 900, 20, 102.0, ())
    first.start().frames(0, 81)
    first.journal.append(
        Topic.CALIBRATION, found.with_chance(Chance(0.5, 0.1, 0.9, 9, (*at_step,)))
    )
    first.apply(found.threshold, 7.2)
    frame = 81
    while first.loop.t < steps[1]:
        first.frames(frame, frame + 1)
        frame += 1
    first.close("cut")

    day = begin_day(first.session, DayOptions(tmp_path, resume=first.folder))
    known = day.day.threshold
    assert known is not None
    assert (known.t, known.raised_from) == (steps[1], 0.3)
    assert [above[:2] for above in known.higher] == [(steps[2], 0.5 - 0.3), (steps[3], 0.5 - 0.4)]

    rest = Played(tmp_path / "mouse" / "20260301T111500", day)
    rest.start().apply(threshold_of(known), 2.5)
    rest.frames(0, 700)
    rest.close()
    assert [d.raised_t for d in rest.decisions if d.raised_t is not None] == steps[2:]
    assert verify(rest.folder).ok
    words = chance_of(SessionRecord.read(rest.folder)).words
    assert words.endswith("(10–90 %), mean over 3 T")


def test_a_baseline_that_was_interrupted_is_recorded_again(tmp_path: Path) -> None:
    session = made_session(experiment={**BASELINE})
    played = Played(tmp_path / "mouse" / "20260301T101500", session).start()
    played.frames(0, 50)
    played.close("stopped")
    day = begin_day(session, DayOptions(tmp_path, resume=played.folder)).day
    assert day.blocks == ("baseline", "closed_loop")
    assert day.threshold is None
    assert day.resumed is not None
    assert day.resumed.session_spent_s == 0.0


def test_t_of_another_day_is_not_gone_on_with(
    interrupted: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "SAME_DAY", timedelta(hours=12))
    text = refused(interrupted.session, DayOptions(tmp_path, resume=interrupted.folder))
    assert "within the last 12 hours" in text


def test_what_cannot_be_resumed_is_refused_with_the_reason(
    interrupted: Played, tmp_path: Path
) -> None:
    session = interrupted.session
    options = DayOptions(tmp_path, resume=interrupted.folder)
    other = session.model_copy(update={"subject": "other"})
    assert "this is one of mouse" in refused(other, options).lower()
    longer = session.experiment.task.model_copy(update={"hit_s": 0.75})
    changed = session.experiment.model_copy(update={"task": longer})
    text = refused(session.model_copy(update={"experiment": changed}), options)
    assert "experiment.task.hit_s = 0.75: 2.0, as in" in text
    assert (
        "no journal.mcap in it" in refused(session, DayOptions(tmp_path, resume=tmp_path)).lower()
    )
    both = DayOptions(tmp_path, block="baseline", resume=interrupted.folder)
    assert "--block" in refused(session, both)


def test_what_the_day_brings_along_is_told_and_checked_before_it_begins(tmp_path: Path) -> None:
    session = session_with()
    assert "chosen after the baseline" in " ".join(day_words(session))
    assert check_subject(session, tmp_path).status is Status.WARN
    folder = subject(tmp_path, CHOSEN, calibration(YESTERDAY, 1.5))
    told = " ".join(day_words(begin_day(session, DayOptions(tmp_path, without=("e",)))))
    assert "P+ a, b; P- c, d" in told
    assert "without e today" in told
    assert "z of T of day 1 is 1.500, carried over by the rule z" in told
    found = check_subject(session, tmp_path)
    assert found.status is Status.OK
    assert "1 calibration; ensembles of" in found.message
    (folder.path / "calibration-20260101T080000.json").write_text("{", "utf-8")
    assert check_subject(session, tmp_path).status is Status.FAIL
    assert "calibration-20260101T080000.json" in refused(session, DayOptions(tmp_path))
