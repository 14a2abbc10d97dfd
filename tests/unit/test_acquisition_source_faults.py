"""What `bci check` says of a source, before anything starts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.config import Fault, validate_session
from bci.hardware.imaging.open import describe_source, open_source, source_faults


def faults(
    source: dict[str, Any], light: dict[str, Any] | None = None, **decoder: Any
) -> list[Fault]:
    data = {
        "rig": {"name": "r", "source": source, "board": {"kind": "simulated"}},
        "experiment": {
            "name": "e",
            "decoder": {
                "p_plus": ["roi0000"],
                "p_minus": ["roi0002"],
                "f0_window_s": 2.0,
                **decoder,
            },
            "baseline": {"duration_s": 20.0},
            "task": {"trial_s": 6.0, "grey_s": 0.5},
            "light": light or {},
        },
    }
    session, wrong = validate_session(data)
    assert session is not None, wrong
    return source_faults(session)


SIMULATED = {"kind": "simulated", "n_rois": 8, "n_planes": 2}
DOOR = {"kind": "zmq", "n_rois": 8, "rate_hz": 30.0, "labels": [f"c{i}" for i in range(8)]}


@pytest.fixture
def recording(tmp_path: Path) -> dict[str, Any]:
    np.save(tmp_path / "t.npy", np.random.default_rng(0).random((8, 900)))
    return {"kind": "recording", "path": str(tmp_path / "t.npy"), "rate_hz": 30.0}


def test_a_source_that_fits_has_no_fault(recording: dict[str, Any]) -> None:
    assert faults(SIMULATED) == []
    assert faults(recording) == []
    assert faults(DOOR, p_plus=["c0"], p_minus=["c7"]) == []


def test_an_unknown_label_is_named_and_no_other_neuron_is_suggested() -> None:
    (fault,) = faults(SIMULATED, p_plus=["roi0000", "roi00004"])
    (other,) = faults(SIMULATED, p_plus=["roi0000", "cell"])
    assert fault.key == "experiment.decoder.p_plus"
    assert fault.value == "roi00004"
    assert fault.todo == other.todo


def test_an_unknown_label_shows_what_there_is() -> None:
    (fault,) = faults(SIMULATED, p_minus=["cell"])
    assert "plane 0 has roi0000, roi0002, roi0004, roi0006" in fault.todo


def test_a_label_of_the_other_plane_says_which_plane_it_lies_in() -> None:
    (fault,) = faults(SIMULATED, p_plus=["roi0003"])
    assert "roi0003 lies in plane 1" in str(fault)
    assert "decode_plane = 1" in fault.todo


def test_every_wrong_label_is_told_at_once() -> None:
    found = faults(SIMULATED, p_plus=["roi0001", "x"], p_minus=["roi0003", "y"])
    assert [fault.value for fault in found] == ["roi0001", "x", "roi0003", "y"]


def test_labels_of_a_door_come_from_its_settings() -> None:
    found = faults(DOOR)
    assert [fault.value for fault in found] == ["roi0000", "roi0002"]


def test_a_door_names_each_of_its_rois_once() -> None:
    labels = ["c0", "c1", "c1"]
    found = faults(DOOR | {"labels": labels}, p_plus=["c0"], p_minus=["c1"])
    assert [fault.key for fault in found] == ["rig.source.labels"] * 2
    assert "3 labels" in str(found[0])
    assert "c1" in str(found[1])


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        ({"path": "/nowhere/t.npy"}, "rig.source.path", "no such file"),
        ({"rate_hz": None}, "rig.source.rate_hz", "over all planes"),
        ({"n_planes": 9}, "rig.source.path", "8 ROIs for 9 planes"),
    ],
)
def test_a_recording_that_cannot_be_played_is_a_fault_of_its_key(
    recording: dict[str, Any], change: dict[str, Any], key: str, said: str
) -> None:
    (fault,) = faults(recording | change)
    assert fault.key == key
    assert said in str(fault)


def test_a_recording_shorter_than_baseline_and_trial_is_refused_unless_it_loops(
    recording: dict[str, Any],
) -> None:
    (fault,) = faults(recording | {"rate_hz": 40.0})
    assert fault.key == "rig.source.path"
    assert "at least 26.5 s" in str(fault)
    assert "22.5 s" in str(fault)
    assert faults(recording | {"rate_hz": 40.0, "loop": True}) == []


def test_a_simulation_that_ends_too_early_is_refused() -> None:
    (fault,) = faults(SIMULATED | {"duration_s": 10.0})
    assert fault.key == "rig.source.duration_s"


def test_a_description_is_that_of_the_source_and_binds_nothing(recording: dict[str, Any]) -> None:
    for source in (SIMULATED, recording, DOOR):
        data = {"kind": "simulated"}
        session, wrong = validate_session(
            {
                "rig": {"name": "r", "source": source, "board": data},
                "experiment": {
                    "name": "e",
                    "decoder": {"p_plus": ["a"], "p_minus": ["b"]},
                    "threshold": {"t": 1.0, "lo": 0.0},
                },
            }
        )
        assert session is not None, wrong
        described = describe_source(session.rig.source).info
        opened = open_source(session.rig.source)
        assert opened.info == described
        opened.close()
        opened.close()


def test_light_bars_rois_whose_place_in_the_image_is_not_known(recording: dict[str, Any]) -> None:
    assert faults(recording, light={"trials": "none"}) == []
    both = faults(recording, light={"trials": "all"})
    assert [fault.key for fault in both] == [
        "experiment.decoder.p_plus",
        "experiment.decoder.p_minus",
    ]
    assert "experiment.light.blanked_rows = 0" in both[0].todo
    assert faults(recording, light={"trials": "all", "blanked_rows": 0}) == []
