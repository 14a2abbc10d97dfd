from typing import Any

import pytest
from core_session import session_of

from bci.config.conditions import conditions_in_words


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({}, "closed loop"),
        ({"session_type": {"kind": "no_reward"}}, "no reward"),
        ({"session_type": {"kind": "yoked", "recording": "a/m1"}}, "yoked to m1"),
        (
            {"session_type": {"kind": "random_reward", "rewards_per_min": 3.0}},
            "random reward, 3 a minute",
        ),
        (
            {"session_type": {"kind": "random_reward", "same_rate_as": "a/m1"}},
            "random reward, as many a minute as in m1",
        ),
        (
            {"session_type": {"kind": "delayed_reward"}, "feedback": {"kind": "off"}},
            "reward delayed to 5 s, feedback off",
        ),
        (
            {"light": {"trials": "fraction", "fraction": 0.25, "during": "run"}},
            "closed loop, light in 25 % of trials, in RUN alone",
        ),
    ],
)
def test_conditions_of_a_session_in_words(tables: dict[str, Any], words: str) -> None:
    assert conditions_in_words(session_of(**tables).experiment) == words
