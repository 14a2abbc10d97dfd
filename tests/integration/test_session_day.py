"""A day 1 and a later day of one animal, through the real processes, as fast as they can."""

import re
from pathlib import Path
from typing import Any

import pytest
from microscope import endpoint_of
from pynwb import NWBHDF5IO
from running_session import DEMO, RunningSession, sets, write_files
from support.command_line import run_here
from waiting import WAIT_S, until

from bci.core.loop_types import BlockBegun, BlockKind, EnsemblesSet, Finish, ThresholdSet
from bci.recording.folder import JOURNAL
from bci.recording.records import Topic
from bci.recording.scan import JournalBytes, Message
from bci.recording.session_record import SessionRecord
from bci.recording.subject import SubjectFolder
from bci.recording.verify import verify
from bci.stream.operator import OperatorClient

PLUS, MINUS = "roi0000,roi0002,roi0004", "roi0008,roi0010,roi0012"
QUICK = (
    "experiment.decoder.p_plus=[]",
    "experiment.decoder.p_minus=[]",
    "experiment.decoder.f0_window_s=5",
    "experiment.baseline.duration_s=20",
    "experiment.task.trial_s=4",
    "experiment.task.session_s=24",
    "rig.stream.delivery=lossless",
    "rig.screen.backend=null",
)


CHOSEN = EnsemblesSet(tuple(PLUS.split(",")), tuple(MINUS.split(",")), "the operator")


def tell(folder: Path, *request: str) -> tuple[int, str]:
    """As somebody at a terminal does."""
    answer = run_here("tell", folder, *request)
    return answer.code, " ".join(answer.out.split())


def day_1(root: Path) -> RunningSession:
    """Baseline, ensembles by a request, calibration, closed loop to its end."""
    held = (*QUICK, "experiment.hold=true")
    with RunningSession("run", DEMO, *sets(held), out=root) as session:
        waiting = session.wait_for_state("WAITING")
        assert (waiting.waits_for, waiting.next_block) == ("operator", "baseline")
        folder = session.folder
        window = OperatorClient(endpoint_of(session, "operator"), session.access)
        assert not window.ask(BlockBegun(BlockKind.CLOSED_LOOP), WAIT_S).accepted
        assert tell(folder, "baseline") == (0, "done: BASELINE")
        until(lambda: (session.telemetry() or waiting).waits_for == "ensembles")
        code, text = tell(folder, "ensembles", "--plus=roi0000,roi0001", f"--minus={MINUS}")
        assert code == 1
        assert "not among the 20 ROIs of plane 0: roi0001" in text
        assert window.ask(CHOSEN, WAIT_S).accepted
        assert window.ask(BlockBegun(BlockKind.CLOSED_LOOP), WAIT_S).accepted
        until(lambda: (session.telemetry() or waiting).block_number == 2)
        until(lambda: (session.telemetry() or waiting).waits_for == "operator")
        assert window.ask(Finish("enough"), WAIT_S).accepted
        window.close()
        code, output = session.end()
        assert code == 0, output
        return session


def moved_to_yesterday(folder: SubjectFolder) -> None:
    """Let what the subject's folder holds be of the day before."""
    for path in list(folder.path.glob("*-*.json")):
        text = re.sub(r'("at": ")[0-9-]{10}', r"\g<1>2001-01-01", path.read_text("utf-8"))
        kind = path.name.partition("-")[0]
        path.with_name(f"{kind}-20010101T080000.json").write_text(text, "utf-8")
        path.unlink()


def test_what_was_chosen_on_day_1_is_played_on_a_later_day_without_a_missing_neuron(
    tmp_path: Path,
) -> None:
    first = day_1(tmp_path).record()
    assert verify(first.folder).ok
    write_files(first.folder)
    # at the start, at each of two blocks, at the end
    with JournalBytes(first.folder / JOURNAL) as journal:
        topics = [found.topic for found in journal.scan() if isinstance(found, Message)]
    assert topics.count(Topic.INFO) == 4
    assert len(first.infos) == 1
    chosen = [e.value.event for e in first.events if isinstance(e.value.event, EnsemblesSet)]
    assert len(chosen) == 2
    assert len(first.calibrations) >= 1
    assert len(first.trials) >= 3
    with NWBHDF5IO(first.folder / "session.nwb", "r") as io:
        nwb: Any = io.read()
        kinds = [tuple(tags) for tags in nwb.epochs["tags"][:]]
        assert kinds == [("baseline",), ("closed_loop",)]
        rois = nwb.processing["ophys"]["DfOverF"]["ensembles"].rois
        assert rois.to_dataframe()["label"].tolist() == [*PLUS.split(","), *MINUS.split(",")]
    assert "chosen in this session" in (first.folder / "report.html").read_text("utf-8")

    subject = SubjectFolder(tmp_path, "demo")
    stored, calibrated = subject.ensembles(), subject.calibrations()
    assert stored is not None
    assert ",".join(stored.p_plus) == PLUS
    assert calibrated[-1].t == first.calibrations[-1].t
    assert subject.days()[-1].summary["trials"] == len(first.trials)
    moved_to_yesterday(subject)

    # roi0012 is not there today
    later = (*QUICK, "rig.source.n_rois=12")
    missing = run_here("run", DEMO, *sets(later), "--headless", "--out", tmp_path)
    assert missing.code == 2
    assert "--without roi0012" in " ".join(missing.err.split())
    with RunningSession("run", DEMO, *sets(later), "--without=roi0012", out=tmp_path) as session:
        code, output = session.end()
        assert code == 0, output
        second = SessionRecord.read(sorted(tmp_path.glob("demo/2*"))[-1])
    assert verify(second.folder).ok
    decoder = second.session.experiment.decoder
    assert decoder.p_minus == ("roi0008", "roi0010")
    assert second.session.experiment.calibration.z_first == calibrated[-1].z_t
    found = second.calibrations[-1]
    assert found.t == pytest.approx(found.mu + found.sigma * calibrated[-1].z_t)
    told = [e.value.event for e in second.events if isinstance(e.value.event, ThresholdSet)]
    assert told[0].t == found.t
    ends = [t.kind for d in second.decisions for t in d.blocks if not t.begins]
    assert ends == [BlockKind.BASELINE, BlockKind.CLOSED_LOOP]
    write_files(second.folder)
    page = (second.folder / "report.html").read_text("utf-8")
    assert "left out today" in page
    again = subject.ensembles()
    assert again is not None
    assert "roi0012" in again.p_minus
    assert subject.calibrations()[-1].without == ("roi0012",)
