"""Rules between the session type and other keys, told with what to do."""

from pathlib import Path
from typing import Any

import pytest

from bci.config import validate_session
from bci.config.load import Override, load_session


def keys_with(session_type: dict[str, Any], **experiment: Any) -> list[str]:
    data = {
        "rig": {"name": "r", "source": {"kind": "simulated"}, "board": {"kind": "simulated"}},
        "experiment": {
            "name": "e",
            "decoder": {"p_plus": ["a"], "p_minus": ["b"], "f0_window_s": 5.0},
            "threshold": {"t": 1.0, "lo": 0.0},
            "session_type": session_type,
        }
        | experiment,
    }
    return [
        fault.key.removeprefix("experiment.session_type.") for fault in validate_session(data)[1]
    ]


@pytest.mark.parametrize(
    "session_type",
    [
        {"kind": "closed_loop"},
        {"kind": "inverted"},
        {"kind": "no_reward"},
        {"kind": "delayed_reward", "delay_s": 1.1},
        {"kind": "random_reward", "rewards_per_min": 2.0},
        {"kind": "random_reward", "same_rate_as": "x", "follows": "course"},
        {"kind": "open_loop", "course": {"angles_deg": [0.0, 90.0]}},
        {"kind": "yoked", "recording": "x"},
        {"kind": "passive"},
    ],
)
def test_every_type_may_be_asked_for(session_type: dict[str, Any]) -> None:
    assert keys_with(session_type) == []


@pytest.mark.parametrize(
    ("session_type", "wrong"),
    [
        ({"kind": "sham"}, "kind"),
        ({"kind": "yoked"}, "recording"),
        ({"kind": "no_reward", "delay_s": 3.0}, "delay_s"),
        ({"kind": "delayed_reward", "delay_s": 1.0}, "delay_s"),
        ({"kind": "random_reward"}, "rewards_per_min"),
        ({"kind": "random_reward", "rewards_per_min": 2.0, "same_rate_as": "x"}, "rewards_per_min"),
        ({"kind": "random_reward", "rewards_per_min": 30.0}, "min_interval_s"),
        ({"kind": "open_loop", "course": {"angles_deg": [0.0, 91.0]}}, "course.angles_deg"),
        ({"kind": "open_loop", "course": {"step_s": 0.0}}, "course.step_s"),
    ],
)
def test_what_a_type_cannot_do_is_told_at_its_key(session_type: dict[str, Any], wrong: str) -> None:
    (key,) = keys_with(session_type)
    assert key.startswith(wrong)


def test_inverted_needs_two_ensembles() -> None:
    one = {"p_plus": ["a"], "read_out": "one_population", "f0_window_s": 5.0}
    assert keys_with({"kind": "inverted"}, decoder=one) == ["kind"]


@pytest.mark.parametrize("kind", ["passive", "open_loop"])
def test_hits_that_are_not_the_neurons_raise_no_threshold(kind: str) -> None:
    assert keys_with({"kind": kind}, adaptive={}) == ["experiment.adaptive"]
    assert keys_with({"kind": "inverted"}, adaptive={}) == []


def test_recorded_session_is_found_beside_the_experiment_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "rigs").mkdir()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "rigs" / "r.toml").write_text(
        'name = "r"\n[source]\nkind = "simulated"\n[board]\nkind = "simulated"\n'
    )
    (tmp_path / "experiments" / "e.toml").write_text(
        'name = "e"\n[decoder]\np_plus = ["a"]\np_minus = ["b"]\n[threshold]\nt = 1.0\nlo = 0.0\n'
        '[session_type]\nkind = "yoked"\nrecording = "../sessions/m1"\n'
    )
    file = tmp_path / "s.toml"
    file.write_text('rig = "rigs/r.toml"\nexperiment = "experiments/e.toml"\n')
    session = load_session(file)
    assert session.experiment.session_type.recording == tmp_path / "sessions" / "m1"
    typed = load_session(file, [Override("experiment.session_type.recording", "elsewhere")])
    assert typed.experiment.session_type.recording == Path("elsewhere").resolve()
