"""T raised while the animal hits often: a function of the outcomes, recorded and computed again."""

from io import BytesIO
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from core_session import Animal, info_of, session_of, started
from hypothesis import given
from hypothesis import strategies as st
from played_session import Played, made_session

from bci.config.experiment import Adaptive
from bci.core.adaptive import AdaptiveThreshold
from bci.core.loop_types import Decision, Outcome, TaskState, ThresholdSet
from bci.recording.chosen import ensemble_labels
from bci.recording.happenings import happenings
from bci.recording.session_record import SessionRecord
from bci.recording.stepped import ReadOuts, step_again
from bci.recording.time_axis import TimeAxis
from bci.recording.trial_times import trial_spans
from bci.recording.verify import VerdictKind, verify

HIT, MISS, ABORT = Outcome.HIT, Outcome.MISS, Outcome.ABORT


def read_slowly(outcomes: list[Outcome], t: float, settings: Adaptive) -> list[float | None]:
    """What the words of the settings say, trial by trial."""
    raised: list[float | None] = []
    since, steps = 0, 0
    for k in range(len(outcomes)):
        counted = [o is HIT for o in outcomes[since : k + 1] if o is not ABORT]
        last = counted[-settings.n_trials :]
        enough = len(last) == settings.n_trials and outcomes[k] is not ABORT
        new = t + settings.step * (steps + 1)
        fits = steps < settings.max_steps and (settings.max_t is None or new <= settings.max_t)
        if enough and fits and sum(last) / len(last) >= settings.hit_rate:
            steps, since = steps + 1, k + 1
            raised.append(new)
        else:
            raised.append(None)
    return raised


@given(
    st.lists(st.sampled_from([HIT, HIT, MISS, ABORT]), max_size=80),
    st.integers(1, 6),
    st.sampled_from([0.25, 0.5, 0.75, 1.0]),
    st.integers(1, 4),
    st.none() | st.floats(0.3, 1.0),
)
def test_t_is_raised_as_the_settings_say(
    outcomes: list[Outcome], n: int, rate: float, steps: int, max_t: float | None
) -> None:
    settings = Adaptive(hit_rate=rate, n_trials=n, step=0.125, max_steps=steps, max_t=max_t)
    rule = AdaptiveThreshold(settings)
    rule.begin(0.25)
    found = [rule.take(outcome) for outcome in outcomes]
    assert found == read_slowly(outcomes, 0.25, settings)


def test_new_threshold_begins_anew() -> None:
    rule = AdaptiveThreshold(Adaptive(hit_rate=1.0, n_trials=2, step=0.5, max_steps=1))
    rule.begin(1.0)
    assert [rule.take(HIT) for _ in range(5)] == [None, 1.5, None, None, None]
    rule.begin(3.0)
    assert [rule.take(HIT) for _ in range(3)] == [None, 3.5, None]


@given(st.integers(1, 5), st.floats(-1.0, 1.0), st.floats(0.005, 0.3))
def test_a_day_that_goes_on_takes_the_steps_that_are_left(n: int, t: float, step: float) -> None:
    settings = Adaptive(hit_rate=1.0, n_trials=1, step=step, max_steps=n)
    day = AdaptiveThreshold(settings)
    day.begin(t)
    steps = [day.take(HIT) for _ in range(n)]
    for done, reached in enumerate(steps, start=1):
        rest = AdaptiveThreshold(settings)
        assert reached is not None
        rest.begin(reached, t)
        assert [rest.take(HIT) for _ in range(n)] == steps[done:] + [None] * done


def adaptive_loop() -> Animal:
    adaptive = {"hit_rate": 1.0, "n_trials": 2, "step": 0.25, "max_steps": 2}
    session = session_of(threshold=(0.3, -0.3))
    experiment = session.experiment.model_copy(update={"adaptive": Adaptive(**adaptive)})
    session = session.model_copy(update={"experiment": experiment})
    return Animal(started(session, info_of()), info_of())


def next_hit(animal: Animal, activity: float = 3.0) -> Decision:
    animal.until(TaskState.RUN)
    decision = animal.until(TaskState.HIT, activity)
    animal.until(TaskState.GREY)
    return decision


def test_loop_decides_by_the_raised_threshold_from_the_next_frame_on() -> None:
    animal = adaptive_loop()
    assert next_hit(animal).raised_t is None
    second = next_hit(animal)
    assert second.raised_t == animal.loop.t == 0.3 + 0.25
    assert second.trial_end is not None
    assert second.trial_end.outcome is HIT
    animal.until(TaskState.RUN)
    # s3 of 0.4: a hit before, none now
    weak = [animal.acts(0.4) for _ in range(6)]
    assert all(decision.state is TaskState.RUN for decision in weak)
    assert 0.3 < weak[-1].s3 < 0.55
    animal.hears(ThresholdSet(0.2, -0.3, nan, "operator"))
    assert animal.loop.t == 0.2
    hits = [next_hit(animal).raised_t for _ in range(6)]
    assert [t for t in hits if t is not None] == [0.2 + 0.25, 0.2 + 0.5]


def test_raised_threshold_is_on_file_and_verified(tmp_path: Path) -> None:
    adaptive: dict[str, Any] = {"hit_rate": 0.5, "n_trials": 2, "step": 0.05, "max_steps": 3}
    session = Played(tmp_path, made_session(experiment={"adaptive": adaptive})).start()
    session.frames(0, 400)
    session.close()
    verdict = verify(tmp_path)
    assert verdict.kind is VerdictKind.IDENTICAL, verdict
    record = SessionRecord.read(tmp_path)
    axis = TimeAxis(record)
    raises = [d for d in record.decisions if d.raised_t is not None]
    assert [d.raised_t for d in raises] == [0.3 + 0.05 * k for k in (1, 2, 3)]
    ends = [d for d in record.decisions if d.trial_end is not None]
    spans = trial_spans(record, axis)
    expected = [
        ([0.3] + [d.raised_t for d in raises if d.sequence < end.sequence])[-1] for end in ends
    ]
    assert [span.end.threshold for span in spans] == expected
    told = [one for one in happenings(record, axis) if one.kind == "threshold"]
    assert [(one.value, one.frame_id) for one in told] == [(d.raised_t, d.frame_id) for d in raises]
    read_outs = ReadOuts(BytesIO(), len(ensemble_labels(record)))
    stepped = step_again(record, read_outs=read_outs)
    course = read_outs.t(0, len(stepped.decoded))
    rows = record.decision_table[stepped.decoded]
    for decision in raises:
        (at,) = np.flatnonzero(rows["frame_id"] == decision.frame_id)
        assert course[at] < course[at + 1] == decision.raised_t
