"""Alarms: what was raised, what ends it, what the operator has seen."""

import pytest

from bci.core.ledger import entry
from bci.core.loop_types import LedgerKind
from bci.gui.alarm_words import COUNTED, OVER, words_of
from bci.gui.alarms import AGAIN_NS, AlarmBook
from bci.gui.lights import Lamp
from bci.gui.model import SessionModel
from bci.gui.theme import Light
from bci.recording.history import HistoryChunk

S = 1_000_000_000


class Watched:
    """A book, and a model that is told faults."""

    def __init__(self) -> None:
        self.model, self.book = SessionModel(None), AlarmBook()

    def fault(self, t_s: float, kind: LedgerKind, detail: str = "", count: int = 1) -> None:
        what = (round(t_s * S), entry(3, kind, detail, count))
        self.model.take(HistoryChunk(1, True, ledger=(what,)))
        self.book.update(self.model, [])

    def lamp(self, t_s: float, light: Light) -> None:
        self.model.now_ns = round(t_s * S)
        self.book.update(self.model, [Lamp("control", light, "")])

    @property
    def keys(self) -> list[str]:
        return [alarm.key for alarm in self.book.alarms]


@pytest.mark.parametrize("kind", list(LedgerKind))
def test_every_fault_is_told_in_words_or_counted(kind: LedgerKind) -> None:
    watched = Watched()
    watched.fault(1, kind, "detail")
    if kind in COUNTED or kind in OVER:
        assert not watched.book.alarms
        return
    (alarm,) = watched.book.alarms
    assert alarm.what.endswith("detail")
    assert alarm.did
    assert alarm.do == words_of(kind).do != ""


def test_what_comes_again_is_one_alarm_and_says_how_often() -> None:
    watched = Watched()
    watched.fault(1, LedgerKind.GAP, "3 frames", 3)
    watched.fault(2, LedgerKind.GAP, "2 frames", 2)
    (alarm,) = watched.book.alarms
    assert (alarm.count, alarm.since_ns, alarm.last_ns) == (5, S, 2 * S)
    assert watched.book.raised == 1


def test_the_worst_stands_first_and_its_end_is_told() -> None:
    watched = Watched()
    watched.fault(1, LedgerKind.BOARD_LOST)
    watched.fault(5, LedgerKind.GAP)
    assert watched.keys == ["board_lost", "gap"]
    watched.fault(6, LedgerKind.BOARD_BACK)
    assert watched.book.alarms[0].over_ns == 6 * S
    watched.fault(7, LedgerKind.BOARD_LOST)
    assert watched.book.alarms[0].over_ns is None


def test_what_was_seen_is_not_raised_again_while_it_goes_on() -> None:
    watched = Watched()
    watched.fault(1, LedgerKind.GAP)
    watched.book.acknowledge(watched.book.alarms[0])
    watched.fault(5, LedgerKind.GAP)
    watched.fault(12, LedgerKind.GAP)
    assert not watched.book.alarms
    watched.fault(12 + 2 * AGAIN_NS / S, LedgerKind.GAP)
    assert watched.keys == ["gap"]
    assert watched.book.raised == 2


def test_a_light_raises_one_alarm_until_it_is_well_again() -> None:
    watched = Watched()
    watched.lamp(1, Light.FAIL)
    watched.lamp(2, Light.FAIL)
    (alarm,) = watched.book.alarms
    watched.book.acknowledge(alarm)
    watched.lamp(3, Light.FAIL)
    assert not watched.book.alarms
    watched.lamp(4, Light.OK)
    watched.lamp(5, Light.FAIL)
    assert watched.book.raised == 2
    watched.lamp(6, Light.OK)
    assert watched.book.alarms[0].over_ns == 6 * S


def test_another_session_begins_without_alarms() -> None:
    watched = Watched()
    watched.fault(1, LedgerKind.GAP)
    watched.book.begin(SessionModel(None))
    assert not watched.book.alarms
