"""The one path from a received frame to its effects and its record."""

import logging

from bci.config.session import Session
from bci.config.session_type import follows_neurons
from bci.core.board_types import BoardEvent, BoardEventKind
from bci.core.calibration import BaselineRefused, CalibrationResult, calibration_of
from bci.core.chance_of_trials import ChanceOfTrials
from bci.core.ledger import entry
from bci.core.loop import ClosedLoop
from bci.core.loop_types import (
    CalibrationRefused,
    Decision,
    EnsemblesSet,
    LedgerEntry,
    LedgerKind,
    LoopEvent,
    Stop,
    TaskState,
)
from bci.core.messages import cut
from bci.core.performance import PerformanceMeter
from bci.core.stream_types import RoiFrame, StreamInfo
from bci.recording.journal import Journal
from bci.recording.records import SequencedEvent, Topic
from bci.session.effects import Effects
from bci.session.latency import LatencyBudget, Stage
from bci.session.prediction import ChancePrediction
from bci.session.tally import Tally
from bci.stream.subscriber import Received

log = logging.getLogger("bci.control")

BOARD_LEDGER = {
    BoardEventKind.LOST: LedgerKind.BOARD_LOST,
    BoardEventKind.REWARD_FAILED: LedgerKind.REWARD_FAILED,
    BoardEventKind.REWARD_UNKNOWN: LedgerKind.REWARD_UNKNOWN,
}


class LoopRunner:
    """Feeds the loop, carries out what it decides, then writes both down.

    Parameters
    ----------
    session
        Resolved settings.
    info
        The stream.
    effects, journal, latency, tally
        Where decisions go.

    Attributes
    ----------
    loop
        The closed loop.
    performance
        How the animal does.
    newest
        Last decision.
    calibration
        Of this session's baseline, once it is over; its predicted chance follows.
    chance
        Predicted for the trials so far.
    """

    def __init__(
        self,
        session: Session,
        info: StreamInfo,
        effects: Effects,
        journal: Journal,
        latency: LatencyBudget,
        tally: Tally,
    ) -> None:
        self.loop = ClosedLoop(session, info)
        self.performance = PerformanceMeter(info.rate_hz)
        self.newest: Decision | None = None
        self.calibration: CalibrationResult | None = None
        self.chance = ChanceOfTrials(session.experiment.session_type)
        if session.day.threshold is not None:
            self.chance.learn(calibration_of(session.day.threshold))
        self.failure: str | None = None
        self._prediction = ChancePrediction(session.experiment, info)
        # where they do not, what the baseline would score tells nothing of the hits
        self._neurons_decide = follows_neurons(session.experiment.session_type)
        experiment = session.experiment
        self._waits_for_operator = experiment.hold or not experiment.decoder.p_plus
        self._board_lost = False
        self._effects = effects
        self._journal = journal
        self._latency = latency
        self._tally = tally

    @property
    def done(self) -> bool:
        """True once the task has ended."""
        return self.loop.state is TaskState.DONE

    def frame(self, received: Received, frame: RoiFrame, t_sent_ns: int, *, behind: bool) -> bool:
        """Step a received frame, send its effects, record it; False if it was discarded.

        Parameters
        ----------
        received, frame
            From the frame socket, and the frame that it holds.
        t_sent_ns
            When acquisition sent it, on our clock.
        behind
            True where so many newer frames wait that its screen command is withheld.
        """
        decision = self.loop.step(frame)
        is_stepped = not decision.discarded
        # the times of a frame that was discarded are those of another program, or of another day
        times_ns = (t_sent_ns, received.t_received_ns) if is_stepped else (0, 0)
        caught_up = self._effects.carry_out(decision, *times_ns, behind=behind)
        self._journal.append_frame(
            decision.sequence, received.t_received_ns, received.header, received.buffer
        )
        self._keep(decision)
        if is_stepped:
            self._latency.add(Stage.SENT_TO_RECEIVED, received.t_received_ns - t_sent_ns)
        self._tally.frames += 1
        if caught_up is not None:
            self.note(caught_up)
        if behind:
            self.note(entry(frame.frame_id, LedgerKind.LATE))
        if self.loop.needs_calibration and self.failure is None:
            self._calibrate()
        return is_stepped

    def apply(self, event: LoopEvent) -> Decision:
        """Apply an event, send its effects, record it."""
        decision = self.loop.apply(event)
        self._effects.carry_out(decision)
        self._journal.append(Topic.EVENT, SequencedEvent(decision.sequence, event))
        self._keep(decision)
        if isinstance(event, EnsemblesSet) and self.loop.needs_calibration:
            self._calibrate()
        return decision

    def note(self, ledger_entry: LedgerEntry) -> None:
        """Record a fault that the loop does not see."""
        self._journal.append(Topic.LEDGER, ledger_entry)
        self._tally.note(ledger_entry)

    def hear(self, event: BoardEvent) -> None:
        """Record a board event, and what the ledger holds of it."""
        self._journal.append(Topic.BOARD, event, t_perf_ns=event.t_host_ns)
        kind = BOARD_LEDGER.get(event.kind)
        if event.kind is BoardEventKind.LOST:
            self._board_lost = True
        elif event.kind is BoardEventKind.CONNECTED and self._board_lost:
            self._board_lost = False
            kind = LedgerKind.BOARD_BACK
        if kind is not None:
            detail = (
                f"reward {event.request_id} {event.detail}" if event.request_id else event.detail
            )
            self.note(entry(self.loop.last_frame_id, kind, detail.strip()))

    def _keep(self, decision: Decision) -> None:
        self.newest = decision
        self._journal.append(Topic.DECISION, decision)
        self._tally.decide(decision)
        if decision.raised_t is not None:
            log.info("T raised to %.3f after trial %d", decision.raised_t, decision.trial)
        decoder = self.loop.decoder
        self.performance.take(decision, decoder.signal, decoder.layout.n_plus)
        if decision.trial_end is not None:
            self.chance.take(decision.trial_end)

    def _calibrate(self) -> None:
        """T and lo from the baseline that has just ended; takes milliseconds, with guards tens."""
        loop = self.loop
        try:
            result = loop.calibrate()
        except BaselineRefused as error:
            self._refuse(str(error))
            return
        for warning in result.warnings:
            log.warning("calibration: %s", warning)
        log.info(
            "calibration: T = %.3f, lo = %.3f, sigma = %.3f", result.t, result.lo, result.sigma
        )
        self._keep_calibration(result)
        self.apply(result.threshold)
        if self._neurons_decide:
            self._prediction.start(result, loop)

    def _keep_calibration(self, result: CalibrationResult) -> None:
        self.calibration = result
        self.chance.learn(result)
        self._journal.append(Topic.CALIBRATION, result)

    def _refuse(self, why: str) -> None:
        """No T from this baseline: the operator may repeat it, where one is there to be asked."""
        if self._waits_for_operator:
            log.error("baseline refused: %s. Repeat it, or choose other ensembles", why)
            self.apply(CalibrationRefused(why))
            return
        self.failure = f"baseline refused: {why}"
        log.error("%s", self.failure)
        self.note(entry(self.loop.last_frame_id, LedgerKind.CALIBRATION, why))
        self.apply(Stop(cut(self.failure)))

    def hear_chance(self, *, wait: bool = False) -> None:
        """Record the predicted chance, once it is there or, at the end, when it has come."""
        result = self._prediction.poll(wait=wait)
        if result is None:
            return
        before = self.calibration.warnings if self.calibration else ()
        for warning in result.warnings[len(before) :]:
            log.warning("calibration: %s", warning)
        log.info("predicted chance at T = %.3f: %s", result.t, result.chance_words)
        self._keep_calibration(result)

    def close(self) -> None:
        """Wait for a prediction that is under way, and end its thread."""
        self.hear_chance(wait=True)
        self._prediction.close()
