import copy
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.config import Fault, SettingsError, validate_session

VALID: dict[str, Any] = {
    "subject": "m1",
    "rig": {
        "name": "desk",
        "source": {"kind": "simulated", "n_planes": 2, "rate_hz": 30.0},
        "board": {"kind": "simulated"},
    },
    "experiment": {
        "name": "short",
        "decoder": {"p_plus": ["a", "b"], "p_minus": ["c", "d"], "f0_window_s": 5.0},
        "baseline": {"duration_s": 60.0},
        "task": {"trial_s": 6.0},
    },
}
GONE = object()
AXIS = {"labels": ["b", "a"], "weights": [0.8, 0.6], "means": [0.1, 0.2], "scales": [1.0, 2.0]}
DYNAMICS = {
    "experiment.decoder.read_out": "population_dynamics",
    "experiment.decoder.p_minus": [],
    "experiment.decoder.axis": AXIS,
}


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    data = copy.deepcopy(VALID)
    for key, value in changes.items():
        *parents, last = key.split(".")
        table = data
        for parent in parents:
            table = table.setdefault(parent, {})
        if value is GONE:
            del table[last]
        else:
            table[last] = copy.deepcopy(value)
    return data


def faults_with(changes: dict[str, Any]) -> list[Fault]:
    return validate_session(changed(changes))[1]


def keys_with(changes: dict[str, Any]) -> list[str]:
    return [fault.key for fault in faults_with(changes)]


def test_valid_settings_have_no_fault() -> None:
    session, faults = validate_session(VALID)
    assert session is not None
    assert faults == []


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("experiment.task.trial_s", "ten", "must be a number"),
        ("experiment.task.trial_s", "10", "must be a number"),
        ("experiment.task.trial_s", True, "must be a number"),
        ("experiment.task.trial_s", [10], "must be a number"),
        ("experiment.task.trial_s", 0, "must be above 0"),
        ("experiment.task.trial_s", -1.5, "must be above 0"),
        ("experiment.task.trial_s", math.nan, "must be a finite number"),
        ("experiment.task.trial_s", math.inf, "must be a finite number"),
        ("experiment.task.grey_s", -0.1, "must be at least 0"),
        ("experiment.decoder.f0_percentile", 101, "must be at most 100"),
        ("experiment.decoder.smoothing_frames", 2.5, "must be a whole number"),
        (
            "experiment.decoder.p_plus",
            [],
            "must hold an ROI, because experiment.decoder.p_minus does",
        ),
        ("experiment.decoder.p_plus", "a", "must be a list, in [ ]"),
        ("experiment.decoder.p_plus", ["a", 3], "each item must be text, in quotes"),
        ("experiment.decoder.angle_map", "stairs", "must be 'steps' or 'continuous'"),
        ("experiment.stimulus.position_deg", [1.0], "must be a longer list"),
        (
            "experiment.stimulus.position_deg",
            [1.0, 2.0, 3.0],
            "must be a list of at most 2 item(s)",
        ),
        (
            "rig.board.kind",
            "teensy",
            "must be 'serial', 'chip', 'simulated', 'harp', 'bpod' or 'arduino'",
        ),
        ("rig.board.faults.no_ack", "yes", "must be true or false"),
        ("rig.stream.frames_port", 70000, "must be at most 65535"),
        ("rig", 3, "must be the path of a TOML file, in quotes"),
        ("experiment.decoder", 3, "must be a table"),
        (
            "subject",
            "a/b",
            "must be letters, digits, `_`, `.` and `-`, the first a letter or digit",
        ),
        ("subject", "m" * 65, "must be text of at most 64 characters"),
    ],
)
def test_wrong_value_says_what_is_allowed(key: str, value: object, allowed: str) -> None:
    (fault,) = faults_with({key: value})
    assert fault.key == key
    assert fault.allowed == allowed
    assert fault.todo
    assert str(fault).startswith(f"{key} = ")


def test_unknown_source_kind_names_the_kinds() -> None:
    (fault,) = faults_with({"rig.source.kind": "tpc"})
    assert (fault.key, fault.value) == ("rig.source.kind", "tpc")
    assert "'simulated', 'recording', 'tcp', 'zmq'" in fault.allowed


@pytest.mark.parametrize(
    "key",
    ["rig", "experiment", "rig.source", "rig.source.kind", "rig.board.kind", "experiment.name"],
)
def test_missing_value_says_what_to_add(key: str) -> None:
    (fault,) = faults_with({key: GONE})
    assert fault.key == key
    assert fault.value is None
    assert f"Add `{key}" in str(fault)


@pytest.mark.parametrize(
    ("key", "todo"),
    [
        ("experiment.task.trail_s", "Did you mean `trial_s`?"),
        ("rig.source.n_roi", "Did you mean `n_rois`?"),
        ("rig.screen.photodiode.size", "Did you mean `size_px`?"),
        ("experiment.qqq", "Remove it, or check its spelling."),
        ("subjekt", "Did you mean `subject`?"),
    ],
)
def test_unknown_key_is_refused_and_the_near_one_named(key: str, todo: str) -> None:
    (fault,) = faults_with({key: 3})
    assert fault.key == key
    assert str(fault) == f"{key} = 3: no such key. {todo}"


def test_key_of_another_kind_of_source_is_not_offered() -> None:
    faults = faults_with({"rig.source": {"kind": "recording", "path": "f.npy", "n_rois": 4}})
    assert [str(fault) for fault in faults] == [
        "rig.source.n_rois = 4: no such key. Remove it, or check its spelling."
    ]


def test_number_in_place_of_text_says_how_to_quote() -> None:
    (fault,) = faults_with({"subject": 42})
    assert """--set 'subject="42"'""" in str(fault)


def test_long_value_is_shortened() -> None:
    (fault,) = faults_with({"subject": "no/" * 500})
    assert len(str(fault)) < 300


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"experiment.decoder.p_minus": ["b", "c"]}, "experiment.decoder.p_plus"),
        ({"experiment.decoder.p_minus": ["c", "c"]}, "experiment.decoder.p_minus"),
        ({"experiment.decoder.decode_plane": 2}, "experiment.decoder.decode_plane"),
        ({"experiment.decoder.f0_window_s": 0.05}, "experiment.decoder.f0_window_s"),
        ({"experiment.baseline": GONE}, "experiment.threshold"),
        ({"experiment.threshold": {"t": 0.2, "lo": 0.0}}, "experiment.threshold"),
        (
            {"experiment.baseline": GONE, "experiment.threshold": {"t": 0.1, "lo": 0.1}},
            "experiment.threshold.t",
        ),
        ({"experiment.baseline.duration_s": 10.9}, "experiment.baseline.duration_s"),
        (
            {"experiment.baseline.grating_jitter_s": 1.0},
            "experiment.baseline.grating_jitter_s",
        ),
        ({"experiment.task.reward_delay_s": 2.1}, "experiment.task.reward_delay_s"),
        ({"experiment.task.reward_ul": 51.0}, "experiment.task.reward_ul"),
        ({"experiment.decoder.p_minus": []}, "experiment.decoder.p_minus"),
        ({"experiment.decoder.read_out": "one_population"}, "experiment.decoder.p_minus"),
        ({"experiment.decoder.control": "velocity"}, "experiment.decoder.control"),
        (
            {
                "experiment.baseline": GONE,
                "experiment.threshold": {"t": 0.3, "lo": 0.0},
                "experiment.adaptive": {"max_t": 0.31, "step": 0.02},
            },
            "experiment.adaptive.max_t",
        ),
        ({"experiment.decoder.weights_plus": [1.0]}, "experiment.decoder.weights_plus"),
        ({"experiment.decoder.weights_minus": [0.0, 0.0]}, "experiment.decoder.weights_minus"),
        (DYNAMICS | {"experiment.decoder.axis": None}, "experiment.decoder.axis"),
        (DYNAMICS | {"experiment.decoder.weights_plus": [1, 1]}, "experiment.decoder.weights_plus"),
        (DYNAMICS | {"experiment.decoder.p_minus": ["c"]}, "experiment.decoder.p_minus"),
        (DYNAMICS | {"experiment.decoder.p_plus": ["a", "c"]}, "experiment.decoder.axis.labels"),
        (DYNAMICS | {"experiment.decoder.axis.means": [1.0]}, "experiment.decoder.axis.means"),
        ({"experiment.decoder.axis": AXIS}, "experiment.decoder.axis"),
        (
            {
                "experiment.guards.p_plus_others_sd": 0.5,
                "experiment.decoder.p_plus": ["a"],
            },
            "experiment.guards.p_plus_others_sd",
        ),
        (
            {
                "experiment.guards.p_minus_below_mean": True,
                "experiment.baseline": GONE,
                "experiment.threshold": {"t": 0.2, "lo": 0.0},
            },
            "experiment.guards.p_minus_below_mean",
        ),
        (
            {
                "experiment.guards.p_minus_below_mean": True,
                "experiment.decoder.p_minus": [],
                "experiment.decoder.read_out": "one_population",
            },
            "experiment.guards.p_minus_below_mean",
        ),
        (
            {
                "experiment.calibration.rule": "seconds_per_hit",
                "experiment.calibration.seconds_per_hit": 55.1,
            },
            "experiment.calibration.seconds_per_hit",
        ),
        ({"rig.board.keep_alive_ms": 151.0}, "rig.board.keep_alive_ms"),
        ({"rig.board.watchdog_ms": 199.0}, "rig.board.keep_alive_ms"),
    ],
)
def test_rule_between_keys_is_held(changes: dict[str, Any], key: str) -> None:
    assert keys_with(changes) == [key]


@pytest.mark.parametrize(
    "changes",
    [
        {"experiment.decoder.decode_plane": 1},
        {"experiment.baseline": GONE, "experiment.threshold": {"t": 0.1, "lo": -0.1}},
        {"experiment.baseline.duration_s": 11.1},
        {"experiment.task.reward_delay_s": 2.0},
        {"experiment.decoder.p_minus": [], "experiment.decoder.read_out": "one_population"},
        {"experiment.guards": {"p_minus_below_mean": True, "p_plus_others_sd": 0.5}},
        {
            "experiment.calibration.rule": "seconds_per_hit",
            "experiment.calibration.seconds_per_hit": 55.0,
        },
        {
            "experiment.decoder.weights_plus": [1.0, -0.5],
            "experiment.decoder.weights_minus": [0, 1],
        },
        DYNAMICS,
        {"rig.board.kind": "serial"},
        {"rig.board.kind": "serial", "rig.board.port": "COM3"},
        {"rig.board.keep_alive_ms": 150.0},
    ],
)
def test_rule_between_keys_allows_its_edge(changes: dict[str, Any]) -> None:
    session, faults = validate_session(changed(changes))
    assert faults == []
    assert session is not None


def test_planes_of_a_file_that_tells_them_are_not_judged_by_the_settings() -> None:
    source = {"kind": "recording", "path": "s.nwb", "rate_hz": 30.0}
    changes = {"rig.source": source, "experiment.decoder.decode_plane": 1}
    assert keys_with(changes) == []
    source["path"] = "f.npy"
    assert keys_with(changes) == ["experiment.decoder.decode_plane"]


def test_all_faults_are_told_at_once() -> None:
    assert keys_with(
        {
            "subject": "",
            "rig.board.kind": "teensy",
            "rig.screen.width_px": 0,
            "rig.source.foo": 1,
            "experiment.name": GONE,
            "experiment.decoder.p_minus": ["a"],
            "experiment.task.reward_delay_s": 9.0,
            "rig.board.keep_alive_ms": 200.0,
        }
    ) == [
        "rig.source.foo",
        "rig.board.kind",
        "rig.screen.width_px",
        "experiment.name",
        "subject",
        "experiment.decoder.p_plus",
        "experiment.task.reward_delay_s",
        "rig.board.keep_alive_ms",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"rig": GONE},
        {"rig.source": {"kind": "recording"}},
        {"rig.source.kind": "tpc"},
        {"experiment.decoder.p_plus": ["a", 3]},
        {"experiment.threshold": {"t": "high"}, "experiment.baseline": GONE},
        {"experiment.stimulus.position_deg": [1.0]},
        {"rig.board": []},
    ],
)
def test_rules_are_tried_beside_a_fault_of_any_shape(changes: dict[str, Any]) -> None:
    faults = keys_with({**changes, "experiment.task.reward_delay_s": 9.0})
    assert faults[-1] == "experiment.task.reward_delay_s"


@pytest.mark.parametrize(
    "changes",
    [
        {"experiment.decoder.p_plus": 3},
        {"experiment.baseline": 3},
        {"experiment.task": {"reward_delay_s": 9.0, "hit_s": "long"}},
        {"rig.board": {"kind": "serial", "port": 3}},
        {"experiment.threshold": {"t": "high", "lo": 1.0}, "experiment.baseline": GONE},
        {"rig.board": 3},
    ],
)
def test_value_that_stands_in_for_a_wrong_one_is_never_blamed(changes: dict[str, Any]) -> None:
    assert len(faults_with(changes)) == 1


def test_error_holds_every_fault_a_line_each() -> None:
    faults = faults_with({"subject": "", "experiment.task.trial_s": -1})
    lines = str(SettingsError(faults)).splitlines()
    assert len(lines) == len(faults) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = [
    "rig",
    "rig.name",
    "rig.source",
    "rig.source.kind",
    "rig.source.n_planes",
    "rig.source.rate_hz",
    "rig.board",
    "rig.board.valve",
    "rig.board.valve.ms_per_ul",
    "rig.board.watchdog_ms",
    "experiment",
    "experiment.decoder",
    "experiment.decoder.p_plus",
    "experiment.decoder.f0_window_s",
    "experiment.baseline",
    "experiment.threshold",
    "experiment.task.hit_s",
    "subject",
    "more",
]


@given(st.lists(st.tuples(st.sampled_from(KEYS), JSON), max_size=4))
def test_no_settings_whatever_escape_as_another_error(changes: list[tuple[str, Any]]) -> None:
    data = copy.deepcopy(VALID)
    for key, value in changes:
        *parents, last = key.split(".")
        table: Any = data
        for parent in parents:
            table = table.get(parent) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table[last] = copy.deepcopy(value)
    before = copy.deepcopy(data)
    session, faults = validate_session(data)
    assert session is not None or faults
    assert all(fault.key and str(fault) for fault in faults)
    assert repr(data) == repr(before)


@pytest.mark.parametrize("kind", ["harp", "bpod", "arduino"])
def test_board_that_is_not_ours_to_start_needs_a_port(kind: str) -> None:
    assert keys_with({"rig.board.kind": kind}) == ["rig.board.port"]


@pytest.mark.parametrize("kind", ["harp", "bpod", "arduino"])
def test_light_needs_a_board_that_holds_it_within_the_gate(kind: str) -> None:
    board = {"rig.board.kind": kind, "rig.board.port": "COM9"}
    assert "experiment.light.trials" in keys_with({**board, "experiment.light.trials": "all"})


def test_gate_longer_than_the_board_holds_it_is_a_fault() -> None:
    light = {"experiment.light.trials": "all", "rig.source.rate_hz": 30.0}
    assert "experiment.light.gate_ms" in keys_with({**light, "experiment.light.gate_ms": 14.0})
    assert "experiment.light.gate_ms" not in keys_with({**light, "experiment.light.gate_ms": 13.5})


@pytest.mark.parametrize(
    ("kind", "reward_ul", "rule"),
    [
        ("harp", 4.05, "whole 1 ms"),
        ("bpod", 4.005, "whole 0.1 ms"),
        ("arduino", 5.0, "open_ms = 40 ms"),
    ],
)
def test_opening_that_another_makers_board_cannot_give_is_a_fault(
    kind: str, reward_ul: float, rule: str
) -> None:
    board = {"rig.board.kind": kind, "rig.board.port": "COM9"}
    assert keys_with({**board, "experiment.task.reward_ul": 4.0}) == []
    [fault] = faults_with({**board, "experiment.task.reward_ul": reward_ul})
    assert fault.key == "experiment.task.reward_ul"
    assert rule in str(fault)
