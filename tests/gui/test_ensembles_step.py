"""The Ensembles step scores a real baseline, takes a choice by key and click, and keeps it."""

from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from pytestqt.qtbot import QtBot
from running_session import DEMO

from bci.analysis.baseline.calibration import calibrate_ensembles
from bci.analysis.baseline.proposal import Ensembles
from bci.analysis.baseline.recording import read_baseline
from bci.core.ensembles import CHOSEN_BEFORE
from bci.core.loop_types import BlockBegun, BlockKind, TaskState
from bci.gui.choice import MINUS, NONE, PLUS, ChoiceBook, Sides
from bci.gui.day import Day, Phase
from bci.gui.permissions import Action, refusals
from bci.gui.steps.ensembles import EnsemblesStep
from bci.gui.theme import Light
from bci.recording.subject import StoredEnsembles, SubjectFolder, now_iso

OWN = Sides(
    ("roi0000", "roi0002", "roi0004", "roi0006"), ("roi0008", "roi0010", "roi0012", "roi0014")
)
HELD = (
    "experiment.hold=true",
    "experiment.decoder.f0_window_s=3",
    "experiment.baseline.duration_s=12",
    "experiment.task.trial_s=2",
    "experiment.blocks=[]",
    "rig.stream.speed=4",
    "rig.screen.backend=null",
    "experiment.faults.stall_s=60",
    "rig.files_at_end=false",
)


@pytest.fixture
def step(qtbot: QtBot, day: Day) -> EnsemblesStep:
    step = EnsemblesStep(day)
    qtbot.addWidget(step)
    day.session_changed.connect(step.session_changed)
    day.ticked.connect(step.refresh)
    step.show()
    return step


def score(qtbot: QtBot, step: EnsemblesStep) -> None:
    qtbot.waitUntil(step.score_button.isEnabled)
    step.score_button.click()
    qtbot.waitUntil(lambda: step.found is not None or bool(step.trouble))
    assert not step.trouble


def test_choice_is_calibrated_as_bci_calibrate_does_and_kept(
    qtbot: QtBot, day: Day, step: EnsemblesStep, finished_session: Path, tmp_path: Path
) -> None:
    assert step.status().light is Light.IDLE
    assert not step.propose_button.isEnabled()
    day.attach(finished_session)
    score(qtbot, step)
    assert step.book.sides == OWN
    assert step.table.n_rows == 20
    assert step.map.spots()["roi0008"] == "s"

    step.table.mark("roi0008")
    qtbot.keyClick(step.table, Qt.Key.Key_Delete)
    assert step.book.sides.side_of("roi0008") == NONE
    step.map.picked.emit("roi0016")
    assert step.book.sides.side_of("roi0016") == PLUS
    qtbot.keyClick(step.table, Qt.Key.Key_Minus)
    assert step.book.sides.side_of("roi0016") == MINUS
    changed = step.book.sides
    qtbot.waitUntil(lambda: step.found is not None and not step.busy)
    assert step.found is not None
    chosen = Ensembles(changed.plus, changed.minus)
    expected = calibrate_ensembles(read_baseline(finished_session, None), chosen)
    # by their words: an unknown chance is no number, and equals none
    assert repr(step.found.result) == repr(expected.result)
    assert f"{expected.result.t:.3f}" in step.figures.text()
    assert step.status().reason.startswith(f"T {expected.result.t:.3f}")

    qtbot.waitUntil(step.use_button.isEnabled)
    with qtbot.waitSignal(day.said) as said:
        step.use_button.click()
    assert "kept: " in said.args[0]
    kept = SubjectFolder(tmp_path, "demo")
    stored = kept.ensembles()
    assert stored is not None
    assert Sides(stored.p_plus, stored.p_minus) == changed
    assert [one.t for one in kept.calibrations()] == [expected.result.t]
    for _ in range(3):
        step.undo()
    assert step.book.sides == OWN


def test_other_seeds_propose_other_splits_of_the_same_rois(
    qtbot: QtBot, day: Day, step: EnsemblesStep, finished_session: Path
) -> None:
    day.attach(finished_session)
    score(qtbot, step)
    step.propose()
    first = step.book.sides
    assert not step.trouble
    for _ in range(6):
        step.split()
    assert sorted(step.book.sides.labels) == sorted(first.labels)
    assert step.book.sides != first
    assert step.seed.value() == 7
    step.table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert step.table.labels() == sorted(step.table.labels())
    qtbot.waitUntil(lambda: not step.busy)


def test_missing_neurons_wait_for_the_operator_and_can_come_back(
    qtbot: QtBot, day: Day, step: EnsemblesStep, finished_session: Path, tmp_path: Path
) -> None:
    with_missing = Sides(("roi0000", "roi0002", "roi0900"), OWN.minus)
    SubjectFolder(tmp_path, "demo").add(
        StoredEnsembles(at=now_iso(), p_plus=with_missing.plus, p_minus=with_missing.minus)
    )
    day.attach(finished_session)
    qtbot.waitUntil(step.score_button.isEnabled)
    step.score()
    qtbot.waitUntil(lambda: step.scored is not None)
    assert step.book.sides == with_missing
    assert step.status() == (Light.FAIL, "missing today: roi0900")
    assert not step.use_button.isEnabled()
    assert step.rest_button.isVisible()
    step.rest_button.click()
    qtbot.waitUntil(lambda: step.found is not None)
    assert step.book.sides.plus == ("roi0000", "roi0002")
    assert step.status().light is not Light.FAIL
    step.undo()
    assert step.book.sides == with_missing
    step.go_on_with_the_rest()
    qtbot.waitUntil(step.use_button.isEnabled)
    # the animal has ensembles: another choice for all days is asked for twice
    step.use_button.click()
    assert "Really choose anew" in step.use_button.text()
    assert len(list((tmp_path / "demo" / "subject").iterdir())) == 1
    with qtbot.waitSignal(day.said):
        step.use_button.click()
    stored = SubjectFolder(tmp_path, "demo").ensembles()
    assert stored is not None
    assert stored.p_plus == ("roi0000", "roi0002")


def test_a_session_that_began_with_ensembles_is_asked_for_no_others(
    qtbot: QtBot, day: Day, step: EnsemblesStep, finished_session: Path
) -> None:
    day.attach(finished_session)
    score(qtbot, step)
    qtbot.waitUntil(step.use_button.isEnabled)
    day.phase = Phase.RUNNING
    step.refresh()
    assert (step.use_button.isEnabled(), step.use_button.toolTip()) == (False, CHOSEN_BEFORE)
    day.phase = Phase.ENDED


@pytest.mark.timeout(400)
def test_running_session_decodes_the_choice(qtbot: QtBot, day: Day, step: EnsemblesStep) -> None:
    scorable: set[TaskState | None] = set()

    def look() -> None:
        if step.score_button.isEnabled():
            scorable.add(day.model.state)

    day.ticked.connect(look)
    day.load(DEMO, HELD)
    day.start_session()
    qtbot.waitUntil(lambda: not refusals(day)[Action.BEGIN])
    day.ask(BlockBegun(BlockKind.BASELINE))
    qtbot.waitUntil(lambda: day.model.threshold is not None)
    before = day.model.threshold
    score(qtbot, step)
    step.assign("roi0008", NONE)
    step.assign("roi0020", MINUS)
    qtbot.waitUntil(step.use_button.isEnabled)
    step.use_button.click()
    qtbot.waitUntil(lambda: day.model.threshold is not before)
    assert step.found is not None
    assert day.model.threshold is not None
    assert day.model.threshold.t == pytest.approx(step.found.result.t)
    assert scorable == {TaskState.WAITING}


def test_choices_are_taken_back_one_by_one() -> None:
    book = ChoiceBook()
    book.set(Sides(("a",), ("b",)))
    book.set(book.sides.with_roi("a", MINUS))
    assert book.sides == Sides((), ("b", "a"))
    book.set(book.sides)
    book.undo()
    assert book.sides == Sides(("a",), ("b",))
    book.undo()
    assert book.sides == Sides()
    assert not book.can_undo
    book.undo()
    assert book.sides == Sides()
