"""Reports of the screen are on file as it told them, whatever became of a command."""

from pathlib import Path
from time import perf_counter_ns

from played_session import Played, made_session
from waiting import until

from bci.core.messages import MOST_COUNT, MOST_NS
from bci.core.stimulus_types import FlipKind, FlipReport
from bci.recording.history import HistoryReader, HistoryRequest
from bci.recording.session_record import SessionRecord
from bci.recording.tail import JournalTail
from bci.session.latency import LatencyBudget, Stage
from bci.session.screen_line import ScreenLine
from bci.stream.reports import ReportSender


def test_a_command_that_never_arrived_tells_nothing_of_the_screens_clock(tmp_path: Path) -> None:
    session, latency = Played(tmp_path), LatencyBudget()
    line = ScreenLine(made_session().rig.stream, None, session.journal, latency)
    sender = ReportSender(line.endpoints["flips"])
    told = []
    for command_id, kind in enumerate((FlipKind.SHOWN, FlipKind.SUPERSEDED, FlipKind.SHOWN), 1):
        now_ns = perf_counter_ns()
        line.sent(command_id, now_ns, now_ns)
        # one that was overwritten on its way was never received
        t_ns = perf_counter_ns() if kind is FlipKind.SHOWN else 0
        told.append(FlipReport(command_id, kind, t_ns, t_ns, t_ns, 0, False))
        sender.send(told[-1])

    def both_shown() -> bool:
        line.hear(lambda *_: None)
        return latency.counts[Stage.SENT_TO_FLIP] == 2

    until(both_shown)
    line.close()
    sender.close()
    session.close()
    assert [timed.value for timed in SessionRecord.read(tmp_path).screen] == told


def test_times_that_no_clock_shows_stay_readable(tmp_path: Path) -> None:
    session = Played(tmp_path)
    line = ScreenLine(made_session().rig.stream, None, session.journal, LatencyBudget())
    sender = ReportSender(line.endpoints["flips"])
    extremes = (-MOST_NS, -1, 0, 1, MOST_NS)
    reports = [
        FlipReport(MOST_COUNT if t_ns else 1, FlipKind.SHOWN, t_ns, other_ns, t_ns, 0, False)
        for t_ns in extremes
        for other_ns in extremes
    ]
    for report in reports:
        now_ns = perf_counter_ns()
        line.sent(report.command_id, now_ns, now_ns)
        sender.send(report)
        before = session.journal.n_records

        def heard(before: int = before) -> bool:
            line.hear(lambda *_: None)
            return session.journal.n_records > before

        until(heard)
    line.close()
    sender.close()
    session.close()
    assert session.journal.fault is None
    assert len(SessionRecord.read(tmp_path).screen) == len(reports)
    with JournalTail(session.journal.path) as tail:
        chunk = HistoryReader(tail).read(HistoryRequest())
    assert len(chunk.flips) == 32 * len(reports)
