"""The closed loop: a pure function of one ordered list of frames and events."""

from math import ceil, inf, isfinite, nan

from msgspec.structs import replace

from bci.config.experiment import Experiment
from bci.config.session import Session
from bci.core.adaptive import AdaptiveThreshold
from bci.core.board_types import RewardRequest
from bci.core.calibration import CalibrationResult
from bci.core.day_state import DayState
from bci.core.decoding.decoder import EnsembleDecoder
from bci.core.frame_check import DECODE, FREEZE, FrameCheck
from bci.core.hit_rule import HitRule
from bci.core.ledger import entry
from bci.core.light import HELD, LightRule
from bci.core.loop_types import (
    BlockBegun,
    BlockEnded,
    BlockKind,
    CalibrationRefused,
    Decision,
    EnsemblesSet,
    EpochStarted,
    Finish,
    LedgerEntry,
    LedgerKind,
    LightSet,
    LoopEvent,
    Malformed,
    Pause,
    PlaybackSet,
    Resume,
    ScreenBack,
    ScreenLost,
    Stalled,
    Start,
    Stop,
    TaskState,
    ThresholdSet,
    TrialEnd,
)
from bci.core.screen_rule import ScreenRule
from bci.core.session_types import Contingency, task_settings
from bci.core.stream_types import RoiFrame, StreamInfo
from bci.core.task import BASELINE, DONE, PAUSED, RUN, TaskMachine


class ClosedLoop:
    """From frames and events to decisions; knows no clock, socket, file or thread.

    Calibration, live, replay, simulation and verify feed this one object.

    Parameters
    ----------
    session
        Resolved settings.
    info
        The stream; its epoch is the first that is accepted.

    Attributes
    ----------
    blocks
        Which block runs and which comes next.
    baseline_s3, baseline_signals, baseline_medians
        Of the newest baseline block, as in `BaselineRecord`.
    adaptive
        What T is raised by, and from where.

    Raises
    ------
    bci.core.decoding.decoder.UnknownRoi
        Where an ensemble names an ROI that the decode plane does not have.
    """

    def __init__(self, session: Session, info: StreamInfo) -> None:
        experiment = session.experiment
        self._day = day = DayState(session, info)
        self._reader = day.reader
        self.blocks = day.blocks
        self.baseline_s3 = day.baseline.s3
        self.baseline_signals = day.baseline.signals
        self.baseline_medians = day.baseline.medians
        self.run_frames = ceil(round(experiment.task.trial_s * info.plane_rate_hz, 9))
        self._check = FrameCheck(
            experiment.faults,
            info,
            experiment.decoder.decode_plane,
            self.decoder.roi_indices,
        )
        self._contingency = Contingency(experiment, info.rate_hz)
        resumed = session.day.resumed
        self._task = TaskMachine(
            task_settings(experiment),
            info.rate_hz,
            self.blocks,
            is_scored=not self._contingency.is_passive,
            trials=resumed.trials if resumed else 0,
            session_spent_s=resumed.session_spent_s if resumed else 0.0,
        )
        self._screen = ScreenRule(experiment)
        self._light = LightRule(experiment)
        self._threshold = experiment.threshold
        self.adaptive = AdaptiveThreshold(experiment.adaptive)
        self._reward_ul = experiment.task.reward_ul
        self._resume_after_stall = experiment.faults.resume_after_stall
        self._started = False
        self._stalled = False
        self._frozen = False
        self._sequence = 0
        self._reward_id = 0
        self._angle_deg = nan
        self._turned_deg = nan
        self._ledger: list[LedgerEntry] = []
        self.t = nan
        self.lo = nan

    @property
    def experiment(self) -> Experiment:
        """Of the session, with the ensembles that stand now."""
        return self._day.experiment

    @property
    def decoder(self) -> EnsembleDecoder:
        """The decoder of the ensembles that stand."""
        return self._reader.decoder

    @property
    def hit_rule(self) -> HitRule:
        """Its cursor, guards and re-arm."""
        return self._reader.hit_rule

    @property
    def state(self) -> TaskState:
        """State of the task now."""
        return self._task.state

    @property
    def trial(self) -> int:
        """Number of the present trial, 0 before the first."""
        return self._task.trial

    @property
    def progress(self) -> float:
        """How far the present block is, in 0–1 of its time."""
        return self._task.progress(self._check.last_id)

    @property
    def needs_calibration(self) -> bool:
        """True once a baseline block is over and its threshold has not been set."""
        return self._day.baseline.awaits_threshold and self._day.has_ensembles

    @property
    def is_ready(self) -> bool:
        """True where trials may begin: ensembles, a T, and no baseline that waits for its own."""
        return (
            self.t == self.t
            and not self._day.baseline.awaits_threshold
            and self._contingency.is_ready
            and self._day.has_ensembles
        )

    @property
    def is_settled(self) -> bool:
        """True where the F0 window is full."""
        return self.decoder.frames_since_reset > self.decoder.window_frames

    @property
    def dark_reference(self) -> float:
        """Median F above dark that darkness is measured against, counts; NaN while unknown."""
        return self._check.dark_reference

    @property
    def session_s(self) -> float:
        """Frame time of the closed loop so far, that of an interrupted session included, s."""
        return self._task.session_s(self._check.last_id)

    @property
    def last_frame_id(self) -> int:
        """Last frame stepped, -1 before the first."""
        return self._check.last_id

    def calibrate(self) -> CalibrationResult:
        """T, lo and the guards' levels from the baseline block; the loop itself does not change.

        Raises
        ------
        bci.core.calibration.BaselineRefused
            Where the baseline gives none.
        """
        return self._day.calibrate(self.run_frames)

    def step(self, frame: RoiFrame) -> Decision:
        """Take the next received frame in, whatever it is like."""
        check, frame_id = self._check, frame.frame_id
        verdict = check.check(frame, self._ledger)
        if check.long_gap:
            self._refill(frame_id)
        if verdict is DECODE:
            self._decode(frame, frame_id)
            return self._decision(frame_id, decoded=True)
        if verdict is FREEZE:
            self._frozen = True
            if check.paused_by is not None:
                self._pause_for_fault(frame_id, check.paused_by)
        return self._decision(frame_id, decoded=False)

    def apply(self, event: LoopEvent) -> Decision:
        """Take an event in: everything that may change a decision and is not a frame."""
        task, day, frame_id = self._task, self._day, self._check.last_id
        match event:
            case Start() if not self._started:
                self._started = True
                if self._threshold is not None:
                    self._set_threshold(self._threshold.t, self._threshold.lo)
                task.begin(frame_id + 1)
                day.follow()
            case Pause() if self._stalled or task.state not in HELD:
                # a pause asked for in a stall outlasts it
                self._stalled = False
                if task.state not in HELD:
                    task.pause(frame_id)
            case Resume() if task.state is PAUSED:
                task.resume(frame_id)
                self._light.follow_settings()
                self._stalled = False
            case Stop() if task.state is not DONE:
                task.stop(frame_id)
                self._stalled = False
            case Finish() if task.state is not DONE:
                task.finish(frame_id)
                self._stalled = self._stalled and task.state is PAUSED
            case BlockBegun():
                self._begin_block(event.kind)
            case BlockEnded() if self.blocks.kind and task.state is not DONE:
                task.end_block(frame_id)
                day.follow()
                day.baseline.awaits_threshold = False
            case EnsemblesSet():
                self._choose(event)
            case LightSet():
                if why := self._light.set_by_hand(event.on, task.state):
                    self._note(LedgerKind.REFUSED, f"light: {why}")
            case CalibrationRefused() if day.baseline.awaits_threshold:
                day.baseline.awaits_threshold = False
                self._note(LedgerKind.BASELINE_REFUSED, event.reason)
            case ThresholdSet() if inf > event.t > event.lo > -inf:
                self._set_threshold(event.t, event.lo, event.raised_from)
                day.baseline.awaits_threshold = False
                if event.guards is not None:
                    self.hit_rule.guards.levels = event.guards
                if isfinite(event.baseline_median):
                    self._check.dark_reference = event.baseline_median
            case PlaybackSet() if self._contingency.takes(event):
                self._contingency.take(event)
            case Stalled():
                if event.older_id is None:
                    self._note(LedgerKind.STALL, f"no frame for {event.silent_s:.2f} s")
                else:
                    self._note(LedgerKind.IDS_BACKWARDS, f"{frame_id} → {event.older_id}")
                if task.state not in HELD:
                    task.pause(frame_id)
                    self._stalled = task.state is PAUSED
            case EpochStarted():
                self._note(LedgerKind.EPOCH, f"epoch {event.epoch}")
                self._check.new_epoch(event.epoch)
                self._refill(frame_id)
            case ScreenLost():
                self._note(LedgerKind.SCREEN_LOST, event.reason)
            case ScreenBack():
                self._note(LedgerKind.SCREEN_BACK)
            case Malformed():
                self._note(LedgerKind.MALFORMED, f"{event.reason} ({event.n_bytes} bytes)")
            case _:
                self._note(LedgerKind.REFUSED, f"{type(event).__name__} while {task.state.name}")
        return self._decision(frame_id, decoded=False)

    def _decode(self, frame: RoiFrame, frame_id: int) -> None:
        task, day, reader, check = self._task, self._day, self._reader, self._check
        decoder, rule = reader.decoder, reader.hit_rule
        self._frozen = False
        s3 = reader.read(frame.fluorescence)
        if fallen := reader.take_fallen():
            names = ", ".join(fallen)
            self._ledger.append(entry(frame_id, LedgerKind.BELOW_FLOOR, names, len(fallen)))
        unfilled = decoder.window_frames + 1 - decoder.frames_since_reset
        settled = unfilled <= 0
        if self._stalled and self._resume_after_stall and task.state is PAUSED:
            self._stalled = False
            task.resume(frame_id)
        if check.dark_reference != check.dark_reference:
            check.settle_dark(settled=unfilled <= 1)
        if task.state is BASELINE:
            self.blocks.baseline.tick(frame_id, max(0, unfilled))
        signal = decoder.smoothed if rule.guards.needs_signal else ()
        hit = rule.update(s3, signal, self.t, self.lo, running=task.state is RUN)
        self._angle_deg = self._turned_deg = rule.angle_deg
        task.advance(frame_id, ready=self.is_ready, settled=settled)
        if self.blocks.turns:
            day.follow()
        self._decide(frame_id, hit=hit)
        in_baseline = task.state is BASELINE
        if in_baseline or day.keeps_all:
            day.keep(
                frame.fluorescence,
                s3,
                signal,
                check.median,
                in_baseline=in_baseline,
                settled=settled,
            )

    def _begin_block(self, kind: BlockKind) -> None:
        why = self._day.why_not_begin(kind, self._task.state, ready=self.is_ready)
        if why:
            self._note(LedgerKind.REFUSED, f"{kind.value}: {why}")
            return
        self._task.begin_block(kind, self._check.last_id + 1)
        self._day.follow()

    def _choose(self, event: EnsemblesSet) -> None:
        """Where other ensembles stand from now on, T and lo of those before mean nothing."""
        why = self._day.choose(event, self._task.state)
        if why:
            self._note(LedgerKind.REFUSED, f"ensembles: {why}")
            return
        self._reader = self._day.reader
        self._check.watch(self.decoder.roi_indices)
        self.t = self.lo = self._angle_deg = nan

    def _decide(self, frame_id: int, *, hit: bool) -> None:
        """Ask the session type what this frame means for the trial.

        Parameters
        ----------
        hit
            As the neurons have it.
        """
        task, contingency = self._task, self._contingency
        contingency.advance(frame_id, task.state)
        if task.state is not RUN:
            return
        trial, course, at_zero = task.trial, contingency.course, self._angle_deg == 0.0
        if course is not None:
            self._turned_deg, hit = course.at(trial, task.run_s(frame_id))
            at_zero = False
            if course.is_last(trial):
                task.finish(frame_id)
        elif contingency.is_passive:
            hit = at_zero = False
        pays_after_s = contingency.pays_after_s(trial) if hit else None
        if task.decide(frame_id, hit=hit, at_zero=at_zero, pays_after_s=pays_after_s):
            self.hit_rule.disarm()

    def _refill(self, frame_id: int) -> None:
        self._day.refill()
        self._task.interrupt(frame_id)

    def _pause_for_fault(self, frame_id: int, kind: LedgerKind) -> None:
        if self._stalled or self._task.state not in HELD:
            # frames coming back ends a stall, but not a fault of what they show
            self._stalled = False
            if self._task.state not in HELD:
                self._task.pause(frame_id)
            self._ledger.append(entry(frame_id, LedgerKind.FAULT_PAUSE, kind.value))

    def _note(self, kind: LedgerKind, detail: str = "") -> None:
        self._ledger.append(entry(self._check.last_id, kind, detail))

    def _decision(self, frame_id: int, *, decoded: bool) -> Decision:
        task = self._task
        due_trial, trial_end = task.take_effects()
        if trial_end is not None:
            trial_end = replace(trial_end, threshold=self.t)
        # no further one where the end was asked for, perhaps for want of rewards
        free = decoded and self._contingency.gives_free_reward and not task.is_finishing
        state, decoder, screen = task.state, self._reader.decoder, self._screen
        ledger: tuple[LedgerEntry, ...] = ()
        if self._ledger:
            ledger = tuple(self._ledger)
            self._ledger.clear()
        self._sequence += 1
        block_s = self._block_s() if state in screen.passing else 0.0
        return Decision(
            self._sequence,
            frame_id,
            decoded,
            decoder.s,
            decoder.s3,
            self._angle_deg,
            state,
            task.trial,
            screen.command(frame_id, state, self._turned_deg, block_s, frozen=self._frozen),
            self._reward(due_trial) if due_trial or free else None,
            self._light.command(state, task.trial),
            trial_end,
            ledger,
            self._raise(trial_end) if trial_end is not None else None,
            self._day.take_turns(),
        )

    def _block_s(self) -> float:
        """Frame time spent in the present block, up to the last stepped frame."""
        if self.blocks.kind is BlockKind.BASELINE:
            return self._task.baseline_s(self._check.last_id)
        return self._contingency.task_s

    def _set_threshold(self, t: float, lo: float, raised_from: float | None = None) -> None:
        self.t, self.lo = t, lo
        self.adaptive.begin(t, raised_from)

    def _raise(self, trial_end: TrialEnd) -> float | None:
        t = self.adaptive.take(trial_end.outcome)
        if t is not None:
            self.t = t
        return t

    def _reward(self, trial: int) -> RewardRequest:
        self._reward_id += 1
        return RewardRequest(self._reward_id, self._reward_ul, trial)
