"""What is known of a session, as every view reads it: live, attached again, or replayed."""

from collections import Counter, deque
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.config.session import Session
from bci.config.session_type import ClosedLoopType
from bci.core.board_types import BoardEvent, BoardEventKind
from bci.core.calibration import CalibrationResult, calibration_of
from bci.core.chance_of_trials import ChanceOfTrials
from bci.core.light import LitTrials
from bci.core.loop_types import (
    EnsemblesSet,
    LedgerEntry,
    LedgerKind,
    LoopEvent,
    Outcome,
    Start,
    TaskState,
    ThresholdSet,
    TrialEnd,
)
from bci.core.performance import TaskTime
from bci.core.process import ProcessEvent
from bci.core.rewards import SessionRewards
from bci.core.stimulus_types import ScreenHello, StimulusCommand
from bci.core.stream_types import StreamInfo
from bci.gui.latencies import Latencies
from bci.gui.rings import FluorescenceRing, Ring
from bci.recording.history import COLUMNS_PER_S, DECISION_COLUMNS, HistoryChunk
from bci.recording.records import JournalEnd, JournalStart
from bci.stream.telemetry import Telemetry

DECISIONS = 40_000
TICKS = 20_000
SHOWN_S = 60.0
LISTED = 500
"""Ledger entries, notes and process events that are kept; counts go on."""
HELD_VALUES = 24_000_000
"""Of fluorescence, at most: 100 MB; with more ROIs, the heat map goes back less far."""

WHEEL = np.dtype([("t_ns", "<i8"), ("position", "<f8")])


class SessionModel:
    """The session at one moment, fed by chunks of its history and by telemetry.

    The same chunks in the same order give the same model, whoever reads them and when. Memory is
    bounded: rings for what comes often, one entry a trial.

    Parameters
    ----------
    session
        Its settings; None: they are not right yet.
    folder
        Of the session; None: there is none yet.

    Attributes
    ----------
    now_ns
        `time.perf_counter_ns` that views draw up to; set by whoever feeds the model.
    telemetry
        Newest snapshot of control; None in a replay and before the first.
    start, info, screen, end
        As recorded; None: not known yet. `info` is the newest description of the stream.
    decisions
        Ring of `DECISION_COLUMNS`.
    fluorescence
        The last minute; None before `info`.
    command
        The commanded state of the screen, and when it was commanded.
    time
        Frame time and rewards of the task so far.
    trials, outcomes
        Every trial that ended, with its time; counts.
    is_begun
        True once the loop was started.
    threshold, calibration
        Newest.
    chance
        Predicted for the trials so far.
    licks, wheel, rewards
        Rings: times; times and positions; times of drops given.
    n_licks
        Since the start.
    reward_counts
        Every reward since the start.
    light_is_on, lit
        True if the board has confirmed the light; the trials that had it.
    ledger, n_ledger, ledger_counts, notes, processes, events
        The newest entries with their times; how many there were, and counts of each kind.
    lights
        Newest event of each process.
    latencies
        Of every stage.
    revision
        Goes up with every chunk that held anything.
    """

    def __init__(self, session: Session | None, folder: Path | None = None) -> None:
        self.session = session
        self.folder = folder
        self.now_ns = 0
        self.telemetry: Telemetry | None = None
        self.start: JournalStart | None = None
        self.info: StreamInfo | None = None
        self.screen: ScreenHello | None = None
        self.end: JournalEnd | None = None
        self.decisions = Ring(DECISION_COLUMNS, DECISIONS)
        self.fluorescence: FluorescenceRing | None = None
        self.command: tuple[int, StimulusCommand] | None = None
        self.time = TaskTime()
        self.trials: list[tuple[int, TrialEnd]] = []
        self.outcomes = dict.fromkeys(Outcome, 0)
        self.is_begun = False
        self._ensembles: EnsemblesSet | None = None
        self.threshold: ThresholdSet | None = None
        self.calibration: CalibrationResult | None = None
        self.chance = ChanceOfTrials(
            session.experiment.session_type if session else ClosedLoopType(kind="closed_loop")
        )
        if session is not None and session.day.threshold is not None:
            self.chance.learn(calibration_of(session.day.threshold))
        self.licks = Ring(np.int64, TICKS)
        self.wheel = Ring(WHEEL, TICKS)
        self.rewards = Ring(np.int64, TICKS)
        self.n_licks = 0
        self.reward_counts = SessionRewards()
        self.light_is_on = False
        self.lit = LitTrials()
        self.ledger: deque[tuple[int, LedgerEntry]] = deque(maxlen=LISTED)
        self.n_ledger = 0
        self.ledger_counts: Counter[LedgerKind] = Counter()
        self.notes: deque[tuple[int, str]] = deque(maxlen=LISTED)
        self.processes: deque[tuple[int, ProcessEvent]] = deque(maxlen=LISTED)
        self.events: deque[tuple[int, LoopEvent]] = deque(maxlen=LISTED)
        self.lights: dict[str, ProcessEvent] = {}
        self.latencies = Latencies()
        self.revision = 0

    # -- fed ---------------------------------------------------------------------------------

    def take(self, chunk: HistoryChunk) -> None:
        """Take a chunk of the history in; chunks come in order, each once."""
        before = self.revision
        for info in chunk.infos:
            self._describe(info)
        if chunk.decisions:
            self.decisions.extend(np.frombuffer(chunk.decisions, DECISION_COLUMNS))
            self.revision += 1
        self.time.add(chunk.time)
        if self.has_light:
            self._take_lights(chunk)
        self.latencies.take(chunk)
        if self.fluorescence is not None:
            for column in chunk.columns:
                values = np.frombuffer(column.values, "<f4")
                self.fluorescence.add(column.plane, column.t_ns, values)
        if chunk.commands:
            self.command = chunk.commands[-1]
        for timed in chunk.trials:
            self.trials.append(timed)
            self.outcomes[timed[1].outcome] += 1
            self.chance.take(timed[1])
        for entry in chunk.ledger:
            self.ledger.append(entry)
            self.n_ledger += 1
            self.ledger_counts[entry[1].kind] += entry[1].count
        self._take_board(chunk.board)
        for event in chunk.events:
            self.events.append(event)
            if isinstance(event[1], ThresholdSet):
                self.threshold = event[1]
            if isinstance(event[1], EnsemblesSet):
                self._ensembles = event[1]
            self.is_begun = self.is_begun or isinstance(event[1], Start)
        for _, found in chunk.calibrations:
            self.calibration = found
            self.chance.learn(found)
        for process in chunk.processes:
            self.processes.append(process)
            self.lights[process[1].name] = process[1]
        self.notes.extend(chunk.notes)
        self.start = chunk.start or self.start
        self.screen = chunk.screen or self.screen
        self.end = chunk.end or self.end
        if chunk.frames or chunk.board or chunk.ledger or chunk.processes or chunk.end:
            self.revision = before + 1

    def take_telemetry(self, telemetry: Telemetry) -> None:
        """Take the newest snapshot of control in."""
        self.telemetry = telemetry

    def _describe(self, info: StreamInfo) -> None:
        known, self.info = self.info, info
        if known is not None and known.rois == info.rois:
            return
        planes = [
            np.array([place for place, roi in enumerate(info.rois) if roi.plane == plane], np.intp)
            for plane in range(info.n_planes)
        ]
        rate_hz = min(COLUMNS_PER_S, info.plane_rate_hz)
        most = max(60, HELD_VALUES // max(1, len(info.rois)))
        self.fluorescence = FluorescenceRing(planes, min(most, round(SHOWN_S * rate_hz)))

    def _take_board(self, events: tuple[BoardEvent, ...]) -> None:
        licks, wheel, rewards = [], [], []
        for event in events:
            reward = self.reward_counts.take(event)
            if reward is not None and reward.fate.ended and reward.fate.counts_as_given:
                rewards.append(event.t_host_ns)
            match event.kind:
                case BoardEventKind.LICK if event.value:
                    licks.append(event.t_host_ns)
                case BoardEventKind.WHEEL:
                    wheel.append((event.t_host_ns, event.value))
                case BoardEventKind.LIGHT:
                    self.light_is_on = bool(event.value)
        self.n_licks += len(licks)
        if licks:
            self.licks.extend(np.array(licks, np.int64))
        if wheel:
            self.wheel.extend(np.array(wheel, WHEEL))
        if rewards:
            self.rewards.extend(np.array(rewards, np.int64))

    def _take_lights(self, chunk: HistoryChunk) -> None:
        rows = np.frombuffer(chunk.decisions, DECISION_COLUMNS)
        begin = 0
        for step in chunk.lights:
            self._count_light(rows[begin : step.place])
            begin = step.place
            if step.command is not None:
                self.lit.order(step.command)
            elif step.event is not None:
                self.lit.hear(step.event)
        self._count_light(rows[begin:])

    def _count_light(self, rows: NDArray[np.void]) -> None:
        found, counts = np.unique(rows[["trial", "state"]], return_counts=True)
        for (trial, state), n in zip(found.tolist(), counts.tolist(), strict=True):
            self.lit.count(TaskState(state), trial, n)

    # -- read --------------------------------------------------------------------------------

    @property
    def state(self) -> TaskState | None:
        """Of the task, as last decided; None before the first decision."""
        return TaskState(int(self.decisions.rows[-1]["state"])) if len(self.decisions) else None

    @property
    def has_light(self) -> bool:
        """True if the session's settings allow light."""
        return self.session is not None and self.session.experiment.light.trials != "none"

    @property
    def ensembles(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Labels of P+ and P−: as set in the session, else as in its settings."""
        if self._ensembles is not None:
            return self._ensembles.p_plus, self._ensembles.p_minus
        if self.session is None:
            return (), ()
        decoder = self.session.experiment.decoder
        return decoder.p_plus, decoder.p_minus

    @property
    def session_s(self) -> float:
        """Frame time since the first stepped frame, s."""
        return self.time.session_s(self.info.rate_hz) if self.info is not None else 0.0

    @property
    def rewards_per_min(self) -> tuple[float, float]:
        """Rewards of the task per minute in trials, and per minute of RUN; NaN before either."""
        if self.info is None:
            return float("nan"), float("nan")
        rate_hz = self.info.rate_hz
        return self.time.rewards_per_min(rate_hz), self.time.rewards_per_run_min(rate_hz)

    @property
    def t(self) -> float:
        """Threshold of s3; NaN where unknown."""
        return self.threshold.t if self.threshold is not None else self._given("t")

    @property
    def lo(self) -> float:
        """Zero of the angle, in the unit of s3; NaN where unknown."""
        return self.threshold.lo if self.threshold is not None else self._given("lo")

    @property
    def n_rewards(self) -> int:
        """Drops given since the start."""
        return self.reward_counts.totals().given

    @property
    def lost_frames(self) -> int:
        """Ids that never came."""
        return self.ledger_counts[LedgerKind.GAP]

    def _given(self, name: str) -> float:
        given = self.session.experiment.threshold if self.session is not None else None
        return float("nan") if given is None else float(getattr(given, name))

    def places(self, labels: tuple[str, ...]) -> NDArray[np.intp]:
        """Places of these ROIs in the ROI table; those that the stream lacks are left out."""
        if self.info is None:
            return np.array([], np.intp)
        known = {roi.label: place for place, roi in enumerate(self.info.rois)}
        return np.array([known[label] for label in labels if label in known], np.intp)
