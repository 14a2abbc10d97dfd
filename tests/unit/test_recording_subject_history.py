import json
from datetime import datetime
from math import isnan, nan
from pathlib import Path
from typing import Any

import pytest
from running_session import DEMO

from bci.config import load_session
from bci.recording.folder import session_folder
from bci.recording.manifest import finish_manifest, make_manifest, write_manifest
from bci.recording.subject import DayNote, SubjectFolder
from bci.recording.subject_history import UNFINISHED, read_history, subjects_in

SUMMARY: dict[str, Any] = {
    "trials": 50,
    "volume_ul": 120.0,
    "chance": [0.5, 0.4, 0.6],
    "t": 0.35,
    "performance": {
        "accuracy": 0.6,
        "accuracy_low": 0.46,
        "accuracy_high": 0.72,
        "task_s": 1500.0,
        "rewards_per_min": 2.1,
    },
}


def session_of(root: Path, day: int, summary: dict[str, Any] | None = None) -> Path:
    at = datetime(2026, 3, day, 9, 30).astimezone()
    folder = session_folder(root, "m1", at)
    write_manifest(folder, make_manifest("m1", load_session(DEMO), at))
    if summary is not None:
        finish_manifest(folder, {"ok": True, "reason": "the task is over", "summary": summary})
    return folder


def test_sessions_and_notes_stand_in_order_with_their_figures(tmp_path: Path) -> None:
    session_of(tmp_path, 3, SUMMARY)
    # of version 0.1.0, which counted waiting and pauses: not to be drawn in one curve with others
    old = {k: v for k, v in SUMMARY["performance"].items() if k != "task_s"}
    session_of(tmp_path, 2, {**SUMMARY, "trials": 40, "performance": old})
    session_of(tmp_path, 4)
    SubjectFolder(tmp_path, "m1").add(DayNote(at="2026-03-03T12:00:00+01:00", weight_g=21.5))
    SubjectFolder(tmp_path, "m1").add(DayNote(at="2026-03-05T12:00:00+01:00", text="rests"))
    found = read_history(tmp_path, "m1")
    assert [s.trials for s in found.sessions] == [40, 50, 0]
    assert found.sessions[1].accuracy == (0.6, 0.46, 0.72)
    assert found.sessions[1].chance == (0.5, 0.4, 0.6)
    assert found.sessions[1].t == 0.35
    assert found.sessions[1].rewards_per_min == 2.1
    assert found.sessions[2].reason == UNFINISHED
    assert isnan(found.sessions[0].rewards_per_min)
    assert isnan(found.sessions[2].accuracy[0])
    assert found.dates == ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"]
    assert found.weight_g("2026-03-03") == 21.5
    assert isnan(found.weight_g("2026-03-02"))
    assert found.next_day("2026-03-04") == 3
    assert found.next_day("2026-03-06") == 4
    assert found.number("2026-03-04") == 3
    assert found.number("2026-03-05") is None
    assert not found.damaged
    assert subjects_in(tmp_path) == ["m1"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"format": 1}',
        "\x00\xff",
        json.dumps({"summary": 3}),
    ],
)
def test_a_damaged_folder_is_told_and_the_others_are_there(tmp_path: Path, content: str) -> None:
    session_of(tmp_path, 2, SUMMARY)
    (session_of(tmp_path, 3, SUMMARY) / "manifest.json").write_text(content)
    (tmp_path / "m1" / "20260304T100000").mkdir()
    found = read_history(tmp_path, "m1")
    assert [s.date for s in found.sessions] == ["2026-03-02"]
    assert len(found.damaged) == 2
    assert found.next_day("2026-03-05") == 4
    assert "20260303T093000" in found.damaged[0]


@pytest.mark.parametrize(
    "summary",
    [
        {},
        {"trials": "many", "chance": [1], "performance": 3},
        {"trials": None, "performance": {"accuracy": None}},
        {"chance": [nan, None, 0.2]},
    ],
)
def test_a_summary_of_another_version_leaves_figures_unknown(
    tmp_path: Path, summary: dict[str, Any]
) -> None:
    session_of(tmp_path, 2, summary)
    (session,) = read_history(tmp_path, "m1").sessions
    assert isnan(session.accuracy[0])
    assert isnan(session.chance[0])
    assert session.trials == 0


def test_no_folder_holds_no_subject(tmp_path: Path) -> None:
    assert subjects_in(tmp_path / "nowhere") == []
    assert read_history(tmp_path, "nobody").sessions == []
