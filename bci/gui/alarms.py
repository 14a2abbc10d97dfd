"""Alarms: raised by the ledger and by lights, over or not, acknowledged or not."""

from dataclasses import dataclass, field

from bci.core.loop_types import LedgerEntry
from bci.gui.alarm_words import COUNTED, OVER, Words, words_of
from bci.gui.lights import Lamp
from bci.gui.model import SessionModel
from bci.gui.theme import Light

AGAIN_NS = 10_000_000_000
"""A fault that comes again this soon after it was acknowledged is no new alarm."""

LAMP_WORDS = {
    "supervisor": Words(
        "The supervisor does not answer",
        "wait until the session has ended, then run `bci recover` on its folder if it asks so",
        Light.FAIL,
    ),
    "control": Words(
        "Control is silent", "stop the session if it stays so; the valve is shut", Light.FAIL
    ),
}
LAMP_DID = {
    "supervisor": "control ends the session in order within seconds, valve shut",
    "control": "the board shuts valve and light by itself after 0.3 s of silence",
}


@dataclass
class Alarm:
    """One thing that went wrong, told in words.

    Parameters
    ----------
    key
        Kind of the ledger, or name of the light.
    light
        WARN or FAIL.
    what, did, do
        What happened, what the program did, what the operator can do.
    since_ns, last_ns
        `time.perf_counter_ns` of its first and last time.
    count
        How many entries, frames or commands it stands for.
    over_ns
        When it ended; None: it lasts, or was over at once.
    """

    key: str
    light: Light
    what: str
    did: str
    do: str
    since_ns: int
    last_ns: int
    count: int = 1
    over_ns: int | None = None


@dataclass
class AlarmBook:
    """Which alarms stand; fed by a model, acknowledged by the operator.

    Attributes
    ----------
    alarms
        Not acknowledged yet, worst first, newest first.
    raised
        Alarms ever raised: a rise is worth a sound.
    model
        Of the session that they belong to.
    """

    alarms: list[Alarm] = field(default_factory=list)
    raised: int = 0
    model: SessionModel | None = None
    _heard: int = 0
    _acknowledged_ns: dict[str, int] = field(default_factory=dict)

    def begin(self, model: SessionModel) -> None:
        """Another session: what stood is forgotten."""
        self.model = model
        self.alarms.clear()
        self._heard = 0
        self._acknowledged_ns.clear()

    def update(self, model: SessionModel, shining: list[Lamp]) -> None:
        """Take in new entries of the ledger, and how the lights stand."""
        new = model.n_ledger - self._heard
        self._heard = model.n_ledger
        if new:
            for t_ns, entry in list(model.ledger)[-new:]:
                self._take(t_ns, entry)
        for lamp in shining:
            self._look(model.now_ns, lamp)
        self.alarms.sort(key=lambda alarm: (alarm.light is not Light.FAIL, -alarm.since_ns))

    def acknowledge(self, alarm: Alarm) -> None:
        """The operator has seen it."""
        if alarm in self.alarms:
            self.alarms.remove(alarm)
            self._acknowledged_ns[alarm.key] = alarm.last_ns

    def _take(self, t_ns: int, entry: LedgerEntry) -> None:
        if entry.kind in OVER:
            self._end(OVER[entry.kind].value, t_ns)
        if entry.kind in COUNTED or entry.kind in OVER:
            return
        words = words_of(entry.kind)
        what = f"{words.what}: {entry.detail}" if entry.detail else words.what
        self._raise(entry.kind.value, t_ns, words, what, entry.reaction, entry.count)

    def _look(self, now_ns: int, lamp: Lamp) -> None:
        words = LAMP_WORDS.get(lamp.name)
        if words is None:
            return
        if lamp.light is not Light.FAIL:
            self._end(lamp.name, now_ns)
            self._acknowledged_ns.pop(lamp.name, None)
        elif lamp.name not in self._acknowledged_ns:
            self._raise(lamp.name, now_ns, words, words.what, LAMP_DID[lamp.name], 0)

    def _raise(self, key: str, t_ns: int, words: Words, what: str, did: str, count: int) -> None:
        for alarm in self.alarms:
            if alarm.key == key:
                alarm.what, alarm.last_ns, alarm.over_ns = what, t_ns, None
                alarm.count += count
                return
        if t_ns - self._acknowledged_ns.get(key, -AGAIN_NS) < AGAIN_NS:
            self._acknowledged_ns[key] = t_ns
            return
        self.raised += 1
        self.alarms.append(Alarm(key, words.light, what, did, words.do, t_ns, t_ns, max(1, count)))

    def _end(self, key: str, t_ns: int) -> None:
        for alarm in self.alarms:
            if alarm.key == key and alarm.over_ns is None:
                alarm.over_ns = t_ns
