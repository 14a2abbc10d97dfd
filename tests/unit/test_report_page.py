"""The report tells what happened, in one file that needs nothing else."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from played_session import NAME, RATE_HZ, Played, made_session, played

from bci.analysis.report import write_report
from bci.analysis.report.latency import stage_times
from bci.analysis.report.thinning import thin
from bci.core.board_types import BoardEventKind
from bci.core.calibration import CalibrationResult
from bci.core.chance import Chance
from bci.core.loop_types import Stop
from bci.recording.performance import predicted_chance
from bci.recording.records import Topic
from bci.recording.recover import recover
from bci.recording.session_record import SessionRecord

MOST_BYTES = 8_000_000


class Page(HTMLParser):
    """Text, tables and links of a page, scripts left out."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self._skips = 0
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("src", "href") and value]
        self._skips += tag in ("script", "style")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._skips -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if self._skips:
            return
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()

    def row(self, first: str) -> list[str]:
        return next(row[1:] for row in self.rows if row and row[0] == first)


def test_page_tells_trials_rewards_ledger_and_latency(tmp_path: Path) -> None:
    session = Played(tmp_path).start()
    session.frames(0, 200)
    session.frames(203, 500)
    session.note("licks a lot", session.time_s(300))
    session.close("duration over")
    record = SessionRecord.read(tmp_path)
    page = Page(write_report(tmp_path))
    ends = [d.trial_end for d in session.decisions if d.trial_end is not None]
    hits = sum(end.outcome == "hit" for end in ends)
    done = sum(event.kind is BoardEventKind.REWARD_DONE for event in record.board)
    assert NAME in page.text
    assert "duration over" in page.text
    assert "licks a lot" in page.text
    assert record.manifest.settings_hash in page.text
    assert page.row("hit") == [str(hits)]
    assert page.row("miss") == [str(len(ends) - hits)]
    asked = sum(d.reward is not None for d in session.decisions)
    numbers = page.row("task")
    assert numbers[:6] == [str(asked), str(done), str(done), "0", "0", str(asked - done)]
    assert numbers[6] == f"{4 * done} µl"
    gap = page.row("gap")
    assert gap[:2] == ["1", "3"]
    assert gap[3] == f"{203 / RATE_HZ:.2f} s, frame 203"
    assert page.row("frame received → command sent")[0] == "0.1"
    assert page.row("frame sent → flip")[:4] == ["9.5"] * 4
    assert page.row("journal.mcap")


def test_page_names_the_conditions_of_a_control(tmp_path: Path) -> None:
    kind = {"kind": "delayed_reward", "delay_s": 3.0}
    changes = {"session_type": kind, "light": {"trials": "all"}}
    played(tmp_path, 100, session=made_session(experiment=changes))
    page = Page(write_report(tmp_path))
    assert "reward delayed to 3 s, light in all trials" in page.text


def test_hit_rate_is_shown_beside_the_chance_that_was_predicted(tmp_path: Path) -> None:
    session = Played(tmp_path).start()
    found = CalibrationResult(0.3, -0.3, 0.0, 0.1, 3.0, 0.5, 100, 10, 400.0, ())
    session.journal.append(Topic.CALIBRATION, found.with_chance(Chance(0.45, 0.3, 0.6, 30)))
    session.frames(0, 400)
    session.close()
    assert "predicted chance 45% (30% to 60%)" in write_report(tmp_path).read_text("utf-8")


def test_chance_of_an_earlier_baseline_is_that_of_the_session(tmp_path: Path) -> None:
    known = {"t": 0.3, "lo": -0.3, "origin": "the baseline of this morning"}
    interval = {"chance": 0.5, "chance_low": 0.4, "chance_high": 0.6}
    for name, more, expected in (("a", interval, (0.5, 0.4, 0.6)), ("b", {}, None)):
        session = made_session(day={"threshold": known | more})
        record = SessionRecord.read(played(tmp_path / name, 40, session=session).folder)
        assert predicted_chance(record) == expected


def test_axis_is_labelled_in_the_unit_of_the_signal(tmp_path: Path) -> None:
    decoder = {"p_plus": ["a"], "p_minus": ["b"], "signal": "raw", "f0_window_s": 1.0}
    session = made_session(experiment={"decoder": decoder, "threshold": {"t": 30.0, "lo": -30.0}})
    text = write_report(played(tmp_path, 60, session=session).folder).read_text("utf-8")
    assert '"s3, counts"' in text
    assert '"s3, dF\\u002fF"' not in text
    assert '"s3, dF/F"' not in text


def test_page_needs_no_network_and_opens_quickly(tmp_path: Path) -> None:
    path = write_report(played(tmp_path, 200).folder)
    page = Page(path)
    assert not page.links
    assert "link" not in page.tags
    assert path.stat().st_size < MOST_BYTES
    assert len(re.findall(r"<div[^>]+plotly-graph-div", path.read_text("utf-8"))) == 3


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", "</style><b>x", "\" onload='x'"])
def test_text_of_a_session_stays_text(tmp_path: Path, evil: str) -> None:
    session = Played(tmp_path).start()
    session.frames(0, 40)
    session.note(evil, 3.0)
    session.apply(Stop(evil), session.time_s(40))
    session.close(evil)
    text = write_report(tmp_path).read_text("utf-8")
    assert evil not in text
    assert text.count("<script>alert") == 0
    assert evil in Page(tmp_path / "report.html").text


def test_session_without_a_frame_has_a_report(tmp_path: Path) -> None:
    Played(tmp_path).start().close("no frame came")
    page = Page(write_report(tmp_path))
    assert "No frame was decoded" in page.text
    assert "no frame came" in page.text


def test_session_stopped_in_its_baseline_has_a_report(tmp_path: Path) -> None:
    baseline = {"threshold": None, "baseline": {"duration_s": 20.0}}
    session = Played(tmp_path, made_session(experiment=baseline)).start()
    session.frames(0, 60)
    session.apply(Stop("enough"), session.time_s(60))
    session.close("enough")
    page = Page(write_report(tmp_path))
    assert page.row("hit") == ["0"]
    assert page.row("accuracy") == ["–"]


def test_journal_that_was_cut_short_says_so(tmp_path: Path) -> None:
    session = Played(tmp_path).start()
    session.frames(0, 40)
    session.close()
    journal = tmp_path / "journal.mcap"
    content = journal.read_bytes()
    journal.write_bytes(content[: len(content) // 2])
    assert "cut short" in Page(write_report(tmp_path)).text
    recover(tmp_path)
    text = Page(write_report(tmp_path)).text
    assert all(loss in text for loss in SessionRecord.read(tmp_path).losses)


def test_lossless_run_warns_of_its_latencies(tmp_path: Path) -> None:
    lossless = made_session(rig={"stream": {"delivery": "lossless"}})
    text = Page(write_report(played(tmp_path, 60, session=lossless).folder)).text
    assert "frame time" in text
    assert "waits for nobody" in text


def test_stage_is_measured_from_the_frame_that_led_to_the_command(tmp_path: Path) -> None:
    record = SessionRecord.read(played(tmp_path, 200).folder)
    stages = {stage.name: stage.ms for stage in stage_times(record)}
    np.testing.assert_allclose(stages["frame sent → received"], 0.5)
    np.testing.assert_allclose(stages["frame received → command sent"], 0.1)
    np.testing.assert_allclose(stages["frame sent → command arrived"], 0.7)
    np.testing.assert_allclose(stages["frame sent → flip"], 9.5)
    # the command of the start follows from no frame
    assert len(stages["frame sent → flip"]) == len(record.sent) - 1


@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), max_size=300),
    st.integers(4, 50),
)
def test_thinning_keeps_every_extreme_and_few_points(values: list[float], most: int) -> None:
    trace = np.array(values, dtype=np.float64)
    kept = thin(trace, most)
    assert len(kept) <= most
    assert (np.diff(kept) > 0).all()
    if len(trace):
        assert kept[0] == 0
        assert kept[-1] == len(trace) - 1
    if np.isfinite(trace).any():
        assert np.nanmax(trace[kept]) == np.nanmax(trace)
        assert np.nanmin(trace[kept]) == np.nanmin(trace)
