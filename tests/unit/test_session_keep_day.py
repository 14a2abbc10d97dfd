"""What a session leaves to its subject, also where it was cut short."""

import os
from math import nan
from pathlib import Path

import pytest
from played_session import NAME, Played, made_session

from bci.cli import main
from bci.cli.sessions import recover
from bci.core.chance import Chance
from bci.recording.folder import JOURNAL
from bci.recording.records import Topic
from bci.recording.subject import SubjectFolder

BASELINE = {
    "threshold": None,
    "baseline": {"duration_s": 4.0},
    "blocks": ["baseline", "closed_loop"],
}


def test_what_a_power_cut_kept_from_the_subject_is_brought_by_recover(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    played = Played(tmp_path / "mouse" / "20260301T101500", made_session(experiment=BASELINE))
    played.start().frames(0, 101)
    found = played.loop.calibrate()
    played.journal.append(Topic.CALIBRATION, found)
    above = Chance(0.2, 0.1, 0.3, 9)
    predicted = Chance(
        0.5, 0.4, 0.6, 9, ((found.t + 1, above), (found.t + 2, Chance(0, nan, nan, 1)))
    )
    played.journal.append(Topic.CALIBRATION, found.with_chance(predicted))
    played.apply(found.threshold, 8.2)
    played.frames(101, 200)
    played.journal.close("cut")
    path = played.folder / JOURNAL
    os.truncate(path, path.stat().st_size - 300)

    recover(played.folder)
    subject = SubjectFolder(tmp_path, "mouse")
    (kept,), (day,) = subject.calibrations(), subject.days()
    assert (kept.session, kept.t, kept.chance) == (NAME, found.t, 0.5)
    assert kept.higher == ((found.t + 1, 0.2, 0.1, 0.3),), "what is not known is left out"
    assert (day.session, day.ok, day.reason) == (NAME, False, "cut short, recovered")
    assert "brought into the subject's folder" in capsys.readouterr().out
    recover(played.folder)
    assert len(subject.calibrations()) == len(subject.days()) == 1

    damaged = next(subject.path.glob("day-*.json"))
    damaged.write_text("{", "utf-8")
    monkeypatch.setattr("sys.argv", ["bci", "recover", str(played.folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert damaged.name in capsys.readouterr().err
