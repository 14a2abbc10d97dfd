"""Proposals are made of the ROIs that qualify, split fairly, or refused with what to relax."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.analysis.baseline.proposal import TooFewCandidates, chosen_by_hand, propose
from bci.analysis.baseline.scores import RoiScore, Scores
from bci.analysis.baseline.split import balanced_split, matched_controls
from bci.config import SettingsError
from bci.config.ensembles import EnsembleChoice

SETTINGS = EnsembleChoice(n_per_side=2)


def roi(label: str, **changes: float) -> RoiScore:
    fields = {
        "plane": 0, "event_rate_hz": 0.1, "snr": 10.0, "noise": 0.02, "drift": 0.0,
        "decay_s": 0.4, "tuning": 0.0, "tuning_low": -0.1, "tuning_high": 0.1,
    }  # fmt: skip
    return RoiScore(label, **(fields | changes))  # type: ignore[arg-type]


def scores_of(rois: Sequence[RoiScore]) -> Scores:
    labels = tuple(row.label for row in rois if row.plane == 0 and row.is_scored)
    return Scores(tuple(rois), 0, labels, np.eye(len(labels)), True, 600.0, 15.0)


def test_proposal_takes_the_best_that_qualify() -> None:
    rows = [roi(f"r{i}", snr=10.0 + i) for i in range(8)]
    rows += [
        roi("tuned", snr=99.0, tuning=0.3, tuning_low=0.1, tuning_high=0.5),
        roi("drifts", snr=99.0, drift=-0.5),
        roi("deep", snr=99.0, plane=1),
    ]
    found = propose(scores_of(rows), SETTINGS)
    assert set(found.labels) == {"r4", "r5", "r6", "r7"}
    assert len(found.p_plus) == len(found.p_minus) == 2
    assert found.seed == 1
    assert len(found.controls) == 4
    assert not set(found.controls) & {*found.labels, "deep"}
    alone = propose(scores_of(rows), SETTINGS, n_sides=1)
    assert (set(alone.p_plus), alone.p_minus) == ({"r6", "r7"}, ())


def test_where_events_stand_out_anyway_the_most_active_come_first() -> None:
    rows = [roi(f"still{i}", snr=1e6, event_rate_hz=0.03) for i in range(4)]
    rows += [roi(f"busy{i}", snr=25.0 + i, event_rate_hz=0.2 + i / 100) for i in range(4)]
    rows += [roi(f"faint{i}", snr=8.0, event_rate_hz=1.0) for i in range(4)]
    assert all(label.startswith("busy") for label in propose(scores_of(rows), SETTINGS).labels)


def test_one_neuron_drawn_twice_gives_one_place() -> None:
    scores = scores_of([roi(f"r{i}", snr=20.0 - i) for i in range(5)])
    scores.correlation[0, 1] = scores.correlation[1, 0] = 0.9
    assert set(propose(scores, SETTINGS).labels) == {"r0", "r2", "r3", "r4"}


def test_too_few_candidates_are_refused_with_what_to_relax() -> None:
    rows = [roi("a"), roi("b"), roi("silent", event_rate_hz=0.0), roi("fades", drift=-0.9)]
    rows += [roi("c"), roi("faint", snr=1.0), roi("deep", plane=1)]
    scores = scores_of(rows)
    scores.correlation[0, 1] = scores.correlation[1, 0] = 0.8
    with pytest.raises(TooFewCandidates) as refused:
        propose(scores, SETTINGS)
    told = str(refused.value)
    assert told.startswith("2 of 7 ROIs qualify, 2 × experiment.ensembles.n_per_side = 4")
    for line in (
        "1 × rate: lower experiment.ensembles.min_event_rate_hz (now 0.02)",
        "1 × SNR: lower experiment.ensembles.min_snr (now 5)",
        "1 × drift: raise experiment.ensembles.max_drift (now 0.25)",
        "1 × like another: raise experiment.ensembles.max_correlation (now 0.6)",
        "1 × plane: change experiment.decoder.decode_plane",
    ):
        assert line in told


def test_every_fault_of_a_choice_by_hand_is_told_at_once() -> None:
    scores = scores_of([roi(c) for c in "abcd"] + [roi("deep", plane=1), RoiScore("gone", 0)])
    with pytest.raises(SettingsError) as refused:
        chosen_by_hand(scores, ["a", "a", "deep"], ["gone", "nobody", "a"])
    told = [str(fault) for fault in refused.value.faults]
    assert len(told) == 5
    for part in ("each ROI once", "which is decoded", "in every frame", "nobody", "of --minus"):
        assert any(part in line for line in told), part
    with pytest.raises(SettingsError, match="at least 2"):
        chosen_by_hand(scores, ["a"], ["b", "c"])
    with pytest.raises(SettingsError, match="one population"):
        chosen_by_hand(scores, ["a", "b"], ["c"], n_sides=1)
    taken = chosen_by_hand(scores, ["a", "b"], ["c", "d"])
    assert (taken.p_plus, taken.p_minus, taken.seed) == (("a", "b"), ("c", "d"), None)


@given(
    rates=st.lists(st.integers(1, 200).map(lambda k: k / 100), min_size=8, max_size=8),
    tunings=st.lists(st.integers(-20, 20).map(lambda k: k / 100), min_size=8, max_size=8),
    seed=st.integers(0, 2**32),
)
def test_split_is_among_the_most_balanced_and_follows_from_its_seed(
    rates: list[float], tunings: list[float], seed: int
) -> None:
    rows = [
        roi(f"r{i}", event_rate_hz=rate, tuning=tuning)
        for i, (rate, tuning) in enumerate(zip(rates, tunings, strict=True))
    ]
    plus, minus = balanced_split(rows, seed)
    assert (plus, minus) == balanced_split(rows, seed)
    assert sorted([*plus, *minus], key=lambda row: row.label) == rows
    assert len(plus) == len(minus) == 4

    def imbalance(side: Sequence[RoiScore]) -> float:
        total = 0.0
        for values in (rates, tunings):
            own = [values[int(row.label[1:])] for row in side]
            spread = np.std(values)
            total += (
                ((2 * np.sum(own) - np.sum(values)) / 4 / spread) ** 2 if spread > 1e-9 else 0.0
            )
        return total

    better = sum(
        imbalance(other) < imbalance(plus) * (1 - 1e-9) - 1e-12 for other in combinations(rows, 4)
    )
    assert better < 7


def test_other_seeds_split_otherwise() -> None:
    rng = np.random.default_rng(2)
    rows = [roi(f"r{i}", event_rate_hz=rate) for i, rate in enumerate(rng.uniform(0.05, 0.5, 8))]
    assert len({tuple(r.label for r in balanced_split(rows, seed)[0]) for seed in range(40)}) >= 4


def test_tuning_that_is_unknown_does_not_disturb_the_split() -> None:
    rows = [roi(f"r{i}", event_rate_hz=0.1 * (1 + i // 2), tuning=float("nan")) for i in range(4)]
    for seed in range(20):
        plus, minus = balanced_split(rows, seed)
        total = sum(row.event_rate_hz for row in plus)
        assert total == pytest.approx(sum(row.event_rate_hz for row in minus))


def test_controls_are_as_active_as_their_cells() -> None:
    rows = [roi("p", event_rate_hz=0.4), roi("m", event_rate_hz=0.05)]
    rows += [roi(f"c{rate}", event_rate_hz=rate) for rate in (0.01, 0.06, 0.15, 0.38, 2.0)]
    assert matched_controls(scores_of(rows), ["p", "m"]) == ("c0.38", "c0.06")
    assert matched_controls(scores_of(rows), ["m", "p"]) == ("c0.06", "c0.38")
    assert matched_controls(scores_of(rows[:2]), ["p", "m"]) == ()
    assert len(matched_controls(scores_of(rows[:3]), ["p", "m"])) == 1
