"""Accuracy is compared with the chance of the very trials that it counts."""

from math import isnan, nan
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import TypeAdapter

from bci.config.session_type import SessionType
from bci.core.calibration import CalibrationResult
from bci.core.chance import Chance
from bci.core.chance_of_trials import MEANS_NOTHING, ChanceOfTrials
from bci.core.loop_types import Outcome, TrialEnd

CLOSED_LOOP = {"kind": "closed_loop"}
EASY, HARD, HARDEST = 0.3, 0.4, 0.5
PLAIN = CalibrationResult(EASY, -0.2, 0, 0.1, 3, 0.5, 6000, 433, 400, ())
FOUND = PLAIN.with_chance(
    Chance(0.6, 0.4, 0.8, 40, ((HARD, Chance(0.3, 0.1, 0.5, 30)), (HARDEST, Chance(0, 0, 0.1, 9))))
)


def chance_of(session_type: dict[str, Any] = CLOSED_LOOP) -> ChanceOfTrials:
    return ChanceOfTrials(TypeAdapter(SessionType).validate_python(session_type))


def ended(t: float, outcome: Outcome = Outcome.HIT) -> TrialEnd:
    return TrialEnd(1, outcome, 0, 9, nan, False, t)


def test_before_the_first_trial_it_is_that_of_t() -> None:
    chance = chance_of()
    assert chance.words == ""
    assert isnan(chance.t)
    chance.learn(PLAIN)
    assert isnan(chance.now[0])
    assert chance.words == "not predicted yet"
    chance.learn(FOUND)
    assert chance.now == (0.6, 0.4, 0.8)
    assert chance.words == "60 % (40–80 %)"


def test_every_hit_and_miss_counts_with_the_chance_of_its_own_t() -> None:
    chance = chance_of()
    chance.learn(FOUND)
    for end in (ended(EASY), ended(EASY, Outcome.MISS), ended(HARD, Outcome.MISS)):
        chance.take(end)
    expected = [(2 * easy + hard) / 3 for easy, hard in ((0.6, 0.3), (0.4, 0.1), (0.8, 0.5))]
    assert chance.now == pytest.approx(expected)
    assert chance.words == "50 % (30–70 %), mean over 2 T"
    chance.take(ended(HARDEST, Outcome.ABORT))
    chance.take(ended(nan))
    assert chance.now == pytest.approx(expected), "neither outcome counts, or there was no T"


def test_a_t_that_nobody_predicted_leaves_nothing_to_compare_with() -> None:
    chance = chance_of()
    chance.learn(FOUND)
    chance.take(ended(EASY))
    chance.take(ended(0.123))
    assert isnan(chance.now[0])
    assert chance.words == "unknown at T 0.123"


def test_a_prediction_that_comes_later_counts_for_trials_before_it() -> None:
    chance = chance_of()
    chance.learn(PLAIN)
    chance.take(ended(EASY))
    chance.take(ended(HARD))
    assert chance.words == "not predicted yet"
    chance.learn(FOUND)
    assert chance.now[0] == pytest.approx(0.45)


def test_trials_of_an_earlier_baseline_keep_its_chance() -> None:
    chance = chance_of()
    chance.learn(FOUND)
    chance.take(ended(EASY))
    chance.learn(replace(PLAIN, t=0.7).with_chance(Chance(0.2, 0.1, 0.3, 40)))
    assert chance.t == 0.7
    chance.take(ended(0.7))
    assert chance.now == pytest.approx((0.4, 0.25, 0.55))


def test_short_baseline_gives_none_at_any_t() -> None:
    chance = chance_of()
    short = Chance(0.6, nan, nan, 4, ((HARD, Chance(0.3, nan, nan, 3)),))
    chance.learn(PLAIN.with_chance(short))
    chance.take(ended(HARD))
    assert isnan(chance.now[0])
    assert chance.words == "unknown, the baseline is too short"


@pytest.mark.parametrize(
    "session_type",
    [
        {"kind": "open_loop"},
        {"kind": "passive"},
        {"kind": "yoked", "recording": "x"},
        {"kind": "random_reward", "rewards_per_min": 2, "follows": "course"},
    ],
)
def test_where_no_neuron_makes_the_hits_it_means_nothing(session_type: dict[str, Any]) -> None:
    chance = chance_of(session_type)
    chance.learn(FOUND)
    chance.take(ended(EASY))
    assert isnan(chance.now[0])
    assert isnan(chance.at(EASY)[0])
    assert chance.words == MEANS_NOTHING


@pytest.mark.parametrize("kind", ["closed_loop", "inverted", "no_reward", "delayed_reward"])
def test_where_neurons_make_the_hits_it_is_told(kind: str) -> None:
    chance = chance_of({"kind": kind})
    chance.learn(FOUND)
    assert chance.now == (0.6, 0.4, 0.8)
