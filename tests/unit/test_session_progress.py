import io

import msgspec
import pytest
from rich.console import Console

from bci.core.performance import Performance
from bci.session.progress import (
    BETWEEN,
    INDENT,
    TerminalProgress,
    folded,
    news,
    status_lines,
    trials_ended,
)
from bci.stream.telemetry import Telemetry


def snapshot(n_trials: int, hits: int, misses: int) -> Telemetry:
    return Telemetry(0, "RUN", n_trials=n_trials, hits=hits, misses=misses)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (snapshot(5, 3, 2), "trial 5: hit"),
        (snapshot(5, 2, 3), "trial 5: miss"),
        (snapshot(5, 2, 2), "trial 5: cut off"),
        (snapshot(8, 4, 3), "trials 5 to 8: 2 hit, 1 miss, 1 cut off"),
    ],
)
def test_every_trial_that_ended_is_told_once(now: Telemetry, told: str) -> None:
    assert trials_ended(snapshot(4, 2, 2), now) == told


def test_performance_stands_beside_the_predicted_chance() -> None:
    performance = Performance(
        hits=3, misses=2, early_hits=1, accuracy=0.6, accuracy_low=0.231, accuracy_high=0.882,
        rewards=3, rewards_per_min=2.04, rewards_per_run_min=5.26, time_to_hit_s=3.14,
        p_plus=0.1234, p_minus=0.0567,
    )  # fmt: skip
    telemetry = Telemetry(
        0, "RUN", hits=3, misses=2, performance=performance, t=0.3, chance_t=0.3,
        chance_words="45 % (27–62 %)",
    )  # fmt: skip
    task, animal, _ = status_lines(telemetry)
    assert "hits 3 (1 early)  misses 2" in task
    assert animal.split("  │  ") == [
        "accuracy 60 % (23–88 %)",
        "chance 45 % (27–62 %)",
        "2.0 rewards/min in trials (5.3 of RUN)",
        "hit in 3.1 s",
        "P+ 0.123  P− 0.0567",
    ]


def test_why_there_is_no_chance_is_told() -> None:
    unknown = Telemetry(0, "RUN", t=0.35, chance_t=0.3, chance_words="unknown at T 0.35")
    assert status_lines(unknown)[1] == "chance unknown at T 0.35"


def test_narrow_terminal_shows_every_figure_whole() -> None:
    row = status_lines(Telemetry(0, "RUN", n_trials=1, trial=12, hits=3, misses=5))[0]
    assert list(folded(row, 200)) == [row]
    lines = list(folded(row, 40))
    assert max(map(len, lines)) <= 40
    assert all(line.startswith(INDENT) for line in lines[1:])
    assert BETWEEN.join(line.strip() for line in lines) == row.strip()


def test_nothing_is_told_of_an_animal_before_its_first_trial() -> None:
    assert status_lines(Telemetry(0, "BASELINE"))[1] == ""


def test_a_stream_that_stands_still_is_told_though_session_time_does_too() -> None:
    text = io.StringIO()
    with TerminalProgress(Console(file=text, width=80)) as progress:
        for acquisition in ("ok", "ok", "stalled", "stalled", "ok"):
            progress.show(Telemetry(0, "RUN", session_s=1.0, acquisition=acquisition))
    lines = text.getvalue().splitlines()
    assert ["acquisition stalled" in line for line in lines] == [False, True, False]


def test_status_lines_come_by_the_clock_though_a_lossless_session_runs_ahead_of_it() -> None:
    text = io.StringIO()
    with TerminalProgress(Console(file=text, width=80)) as progress:
        for t_s in (1, 2, 7):
            progress.show(Telemetry(t_s * 1_000_000_000, "RUN", session_s=100.0 * t_s))
    assert len(text.getvalue().splitlines()) == 2


def test_blocks_thresholds_and_what_is_waited_for_are_told_once() -> None:
    waiting = Telemetry(0, "WAITING", waits_for="ensembles", block_number=1)
    known = Telemetry(
        0, "RUN", t=0.4, lo=-0.2, chance=(0.4, 0.3, 0.5), chance_words="40 % (30–50 %)",
        chance_t=0.4,
        block="closed_loop", block_number=2,
    )  # fmt: skip
    assert "bci tell FOLDER ensembles" in " ".join(news(Telemetry(0, ""), waiting))
    assert list(news(waiting, known)) == [
        "block 2: closed loop",
        "T is 0.4, lo is -0.2",
        "predicted chance 40 % (30–50 %)",
    ]
    assert list(news(known, known)) == []
    later = msgspec.structs.replace(known, chance=(0.3, 0.2, 0.4), chance_words="30 % (20–40 %)")
    assert list(news(known, later)) == [], "a mean that moves with every trial is no news"
