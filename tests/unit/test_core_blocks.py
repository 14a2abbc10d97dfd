"""The blocks of a day, and ensembles that are chosen within it."""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from core_session import frame_of, info_of, kinds, session_of, started
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.config import Session
from bci.core.blocks import BaselineClock
from bci.core.loop import ClosedLoop
from bci.core.loop_types import (
    BlockBegun,
    BlockEnded,
    BlockKind,
    BlockTurn,
    CalibrationRefused,
    Decision,
    EnsemblesSet,
    EpochStarted,
    Finish,
    LedgerKind,
    LoopEvent,
    Pause,
    Resume,
    Stalled,
    Start,
    TaskState,
    ThresholdSet,
)
from bci.core.stream_types import RoiFrame

S = TaskState
BASELINE, CLOSED_LOOP = BlockKind.BASELINE, BlockKind.CLOSED_LOOP
T = ThresholdSet(0.3, -0.3, float("nan"), "operator")
CHOSEN = EnsemblesSet(("a", "b"), ("c", "d"))
INFO = info_of()


def day(**tables: Any) -> Session:
    """A baseline of 3 s at 10 Hz, F0 of 1 s, closed loop of 4 s."""
    tables = {"task": {"session_s": 4.0}, "baseline_s": 3.0} | tables
    return session_of(**{"p_plus": ("a", "b"), "p_minus": ("c", "d")} | tables)


def frames(n: int, first: int = 0, seed: int = 1, epoch: int = 0) -> list[RoiFrame]:
    rng = np.random.default_rng([seed, first])
    return [
        frame_of(INFO, first + i, 100 * (1 + rng.exponential(0.4, 4)), epoch=epoch)
        for i in range(n)
    ]


def play(loop: ClosedLoop, inputs: Iterable[RoiFrame | LoopEvent]) -> list[Decision]:
    return [loop.step(one) if isinstance(one, RoiFrame) else loop.apply(one) for one in inputs]


def turns(decisions: Iterable[Decision]) -> list[BlockTurn]:
    return [turn for decision in decisions for turn in decision.blocks]


def refusal(decision: Decision) -> str:
    assert kinds(decision.ledger) == [LedgerKind.REFUSED], decision.ledger
    return decision.ledger[0].detail


def test_a_day_is_baseline_and_then_closed_loop_and_then_over() -> None:
    loop = ClosedLoop(day(), INFO)
    told = play(loop, [Start(), *frames(31)])
    assert loop.needs_calibration
    assert loop.state is S.WAITING
    told += play(loop, [T, *frames(60, 31)])
    assert loop.state is S.DONE
    assert [(t.number, t.kind, t.begins, t.frame_id) for t in turns(told)] == [
        (1, BASELINE, True, 0),
        (1, BASELINE, False, 30),
        (2, CLOSED_LOOP, True, 31),
        (2, CLOSED_LOOP, False, told[-1].frame_id - 90 + turns(told)[-1].frame_id),
    ]


def test_a_baseline_alone_ends_the_session_and_leaves_its_calibration() -> None:
    loop = ClosedLoop(day(blocks=["baseline"]), INFO)
    play(loop, [Start(), *frames(31)])
    assert loop.state is S.DONE
    assert loop.needs_calibration
    result = loop.calibrate()
    assert loop.apply(result.threshold).ledger == ()
    assert not loop.needs_calibration


def test_held_blocks_wait_for_the_operator_and_may_be_repeated() -> None:
    loop = ClosedLoop(day(hold=True), INFO)
    play(loop, [Start(), *frames(20)])
    assert loop.state is S.WAITING
    assert "T" in refusal(loop.apply(BlockBegun(CLOSED_LOOP)))
    told = play(loop, [BlockBegun(BASELINE), *frames(31, 20)])
    assert "WAITING" not in refusal(loop.apply(BlockBegun(CLOSED_LOOP)))
    first = loop.calibrate()
    told += play(loop, [first.threshold, *frames(9, 51)])
    assert loop.state is S.WAITING
    told += play(loop, [BlockBegun(BASELINE), *frames(31, 60)])
    second = loop.calibrate()
    # F0 was settled all the time: nothing of the second is dropped
    assert (first.n_frames, second.n_frames) == (30, 30)
    assert second.lo != first.lo
    told += play(loop, [second.threshold, BlockBegun(CLOSED_LOOP), *frames(60, 91)])
    n_trials = loop.trial
    assert loop.state is S.WAITING
    assert n_trials > 1
    told += play(loop, [BlockBegun(CLOSED_LOOP), *frames(5, 151)])
    assert loop.trial == n_trials + 1
    begun = [(t.number, t.kind) for t in turns(told) if t.begins]
    assert begun == [(1, BASELINE), (2, BASELINE), (3, CLOSED_LOOP), (4, CLOSED_LOOP)]
    assert loop.apply(Finish("enough")).state is S.RUN
    play(loop, frames(40, 156))
    assert loop.state is S.DONE


def test_a_block_that_the_operator_ends_is_over_after_its_trial() -> None:
    loop = ClosedLoop(day(hold=True, task={"session_s": 100.0}), INFO)
    play(loop, [Start(), T, BlockBegun(CLOSED_LOOP), *frames(15)])
    assert loop.state in (S.GREY, S.RUN)
    assert loop.apply(BlockEnded()).ledger == ()
    assert loop.state in (S.GREY, S.RUN)
    play(loop, frames(25, 15))
    assert loop.state is S.WAITING
    assert loop.trial == 1
    assert refusal(loop.apply(BlockEnded())) == "BlockEnded while WAITING"


def test_a_baseline_that_the_operator_ends_gives_no_threshold() -> None:
    loop = ClosedLoop(day(hold=True), INFO)
    play(loop, [Start(), BlockBegun(BASELINE), *frames(25), BlockEnded()])
    assert loop.state is S.WAITING
    assert not loop.needs_calibration


def test_a_refused_baseline_leaves_t_as_it_was() -> None:
    loop = ClosedLoop(day(hold=True), INFO)
    play(loop, [Start(), T, BlockBegun(BASELINE), *frames(31)])
    assert not loop.is_ready
    decision = loop.apply(CalibrationRefused("flat"))
    assert kinds(decision.ledger) == [LedgerKind.BASELINE_REFUSED]
    assert (loop.t, loop.is_ready) == (T.t, True)
    assert refusal(loop.apply(CalibrationRefused("again")))


@pytest.mark.parametrize("wait", [1, 7, 40])
@pytest.mark.parametrize("trouble", ["none", "gap", "epoch", "pause"])
def test_ensembles_chosen_after_the_baseline_decode_as_from_the_start(
    wait: int, trouble: str
) -> None:
    first: list[RoiFrame | LoopEvent] = [Start(), *frames(22)]
    first += {
        "none": [],
        "gap": frames(10, 22 + 60),
        "epoch": [EpochStarted(1)],
        "pause": [Pause(), *frames(25, 22), Resume()],
    }[trouble]
    epoch = int(trouble == "epoch")
    after = {"none": 22, "gap": 92, "epoch": 22, "pause": 47}[trouble]
    first += frames(40, after, epoch=epoch)
    known = ClosedLoop(day(hold=True), INFO)
    open_ = ClosedLoop(day(hold=True, p_plus=(), p_minus=()), INFO)
    begin = [Start(), BlockBegun(BASELINE), *first[1:]]
    for loop in (known, open_):
        play(loop, begin)
        assert loop.state is S.WAITING
        play(loop, [CalibrationRefused("later"), *frames(wait, after + 40, epoch=epoch)])
    assert not open_.needs_calibration
    assert open_.decoder.s != open_.decoder.s
    assert open_.apply(CHOSEN).ledger == ()
    assert open_.needs_calibration
    assert open_.baseline_s3 == known.baseline_s3
    assert open_.baseline_medians == known.baseline_medians
    assert open_.calibrate() == known.calibrate()
    rest = [known.calibrate().threshold, BlockBegun(CLOSED_LOOP)]
    rest += frames(60, after + 40 + wait, epoch=epoch)
    seen, chosen = play(known, rest), play(open_, rest)
    assert [d.s3 for d in chosen] == [d.s3 for d in seen]
    assert [(d.state, d.trial, d.trial_end) for d in chosen] == [
        (d.state, d.trial, d.trial_end) for d in seen
    ]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (EnsemblesSet(("a", "b"), ("c",)), "P− has 1 of at least 2"),
        (EnsemblesSet((), ("c", "d")), "P+ has 0 of at least 2"),
        (EnsemblesSet(("a", "b"), ("b", "c")), "more than once: b"),
        (EnsemblesSet(("a", "x"), ("c", "d")), "not among the 4 ROIs of plane 0: x"),
    ],
)
def test_ensembles_that_cannot_be_are_refused_with_the_reason(
    event: EnsemblesSet, why: str
) -> None:
    loop = started(day(p_plus=(), p_minus=()), INFO)
    play(loop, frames(31))
    assert why in refusal(loop.apply(event))
    assert loop.decoder.labels == ()


def test_ensembles_may_not_lie_where_the_gate_of_the_light_blanks_the_image() -> None:
    loop = started(day(p_plus=(), p_minus=(), light={"trials": "all"}), INFO)
    play(loop, frames(31))
    assert "in the rows that the PMT gate blanks: a, b, c, d" in refusal(loop.apply(CHOSEN))


def test_a_baseline_of_the_loop_is_lengthened_by_what_a_new_epoch_cost() -> None:
    calm, restarted = ClosedLoop(day(), INFO), ClosedLoop(day(), INFO)
    play(calm, [Start(), *frames(60)])
    play(restarted, [Start(), *frames(22), EpochStarted(1), *frames(60, 25, epoch=1)])
    assert len(restarted.baseline_s3) == len(calm.baseline_s3)


def test_ensembles_are_set_between_blocks_alone_and_where_frames_were_kept() -> None:
    loop = started(day(p_plus=(), p_minus=()), INFO)
    play(loop, frames(12))
    assert "between two blocks (BASELINE)" in refusal(loop.apply(CHOSEN))
    fixed = started(day(), INFO)
    play(fixed, frames(31))
    assert "experiment.hold" in refusal(fixed.apply(CHOSEN))


def test_undecided_ensembles_let_no_trial_begin() -> None:
    loop = started(day(p_plus=(), p_minus=()), INFO)
    decisions = play(loop, frames(80))
    assert {d.state for d in decisions} == {S.BASELINE, S.WAITING}
    loop.apply(CHOSEN)
    play(loop, [loop.calibrate().threshold, *frames(3, 80)])
    assert loop.state in (S.GREY, S.RUN)


@given(
    window=st.integers(2, 30),
    n_planes=st.integers(1, 3),
    resets=st.lists(st.tuples(st.integers(1, 200), st.integers(0, 100)), max_size=4),
)
def test_a_baseline_keeps_its_settled_time_however_often_f0_is_filled_again(
    window: int, n_planes: int, resets: list[tuple[int, int]]
) -> None:
    rate_hz, duration_s = 10.0 * n_planes, 12.0
    clock = BaselineClock(rate_hz, n_planes, duration_s)
    clock.run(0)
    since_reset, frame_id, settled = 0, 0, 0
    lost = dict(resets)
    for k in range(2000):
        if k in lost:
            since_reset = 0
            frame_id += lost[k] * n_planes
        since_reset += 1
        unfilled = max(0, window + 1 - since_reset)
        clock.tick(frame_id, unfilled)
        if clock.is_over(frame_id):
            break
        settled += not unfilled
        frame_id += n_planes
    n_frames = round(duration_s * rate_hz / n_planes)
    assert abs(settled - (n_frames - window)) <= 1


EVENTS = st.sampled_from(
    [
        BlockBegun(BASELINE), BlockBegun(CLOSED_LOOP), BlockEnded(), CHOSEN,
        EnsemblesSet(("a", "c"), ("b", "d")), EnsemblesSet(("a",), ("b",)), T, Pause(), Resume(),
        Stalled(2.0), CalibrationRefused("flat"), Finish("end"), EpochStarted(0),
    ]
)  # fmt: skip


@settings(max_examples=60)
@given(
    steps=st.lists(st.one_of(EVENTS, st.integers(1, 25)), max_size=25),
    hold=st.booleans(),
    chosen=st.booleans(),
)
def test_any_order_of_block_events_is_legal_and_computes_again_to_the_same(
    steps: list[LoopEvent | int], hold: bool, chosen: bool
) -> None:
    sides = {} if chosen else {"p_plus": (), "p_minus": ()}
    loop, inputs, next_id = ClosedLoop(day(hold=hold, **sides), INFO), [], 0
    told: list[Decision] = []

    def take(one: RoiFrame | LoopEvent) -> None:
        inputs.append(one)
        told.extend(play(loop, [one]))
        if loop.needs_calibration:
            enough = len(loop.baseline_s3) > 15
            take(loop.calibrate().threshold if enough else CalibrationRefused(""))

    take(Start())
    for step in steps:
        for one in frames(step, next_id) if isinstance(step, int) else [step]:
            take(one)
        next_id += step if isinstance(step, int) else 0
    encode = msgspec.msgpack.Encoder().encode
    again = play(ClosedLoop(day(hold=hold, **sides), INFO), inputs)
    assert [encode(d) for d in again] == [encode(d) for d in told]
    running: list[BlockTurn] = []
    for turn in turns(told):
        if turn.begins:
            assert not running
            running.append(turn)
        else:
            assert running.pop().number == turn.number
    trials = [d.trial for d in told]
    assert trials == sorted(trials)
    for decision in told:
        if decision.state in (S.GREY, S.RUN):
            assert loop.decoder.labels
