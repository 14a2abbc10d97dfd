"""The trial as a state machine on frame time."""

from math import nan

from bci.config.experiment import Task
from bci.core.blocks import BlockPlan
from bci.core.loop_types import BlockKind, Outcome, TaskState, TrialEnd

WAITING, BASELINE, GREY, RUN, HIT, BLACK, MISS, PAUSED, DONE = TaskState
"""By name: to look a member up in its enum takes longer than to compare it."""

TRANSITIONS: dict[TaskState, frozenset[TaskState]] = {
    WAITING: frozenset({BASELINE, GREY, PAUSED, DONE}),
    BASELINE: frozenset({WAITING, PAUSED, DONE}),
    GREY: frozenset({RUN, WAITING, PAUSED, DONE}),
    RUN: frozenset({HIT, MISS, WAITING, PAUSED, DONE}),
    HIT: frozenset({BLACK, PAUSED, DONE}),
    BLACK: frozenset({GREY, WAITING, PAUSED, DONE}),
    MISS: frozenset({GREY, WAITING, PAUSED, DONE}),
    PAUSED: frozenset({WAITING, BASELINE, DONE}),
    DONE: frozenset(),
}


class IllegalTransition(RuntimeError):
    """The task was asked for a step that its table does not hold: a fault of this program."""


class TaskMachine:
    """The experiment's task, one trial after another, on frame time alone.

    ::

        WAITING ──► BASELINE ──► WAITING ──► GREY ──► RUN ──► HIT ──► BLACK ──┐
                                              ▲        └────► MISS ───────────┤
                                              └───────────────────────────────┘
        any ──► PAUSED ──► WAITING | BASELINE        any ──► DONE

    WAITING is between blocks, and in the closed loop until F0 and T are there.

    A state ends at the first decoded frame whose time since entry is at least its duration; that
    frame already belongs to the next state. So a hit can fall on `ceil(trial_s × plane rate)`
    decoded frames, the frame that enters RUN included. A lost frame uses up time. A frame decides
    one trial at most: where no pause is set between trials, the next begins a frame later. BLACK
    lasts until the reward of its hit has been paid.

    A pause aborts a trial in its grey or RUN, which is then neither a hit nor a miss. Its time does
    not use up `task.session_s` unless `task.pause_counts` is set.

    Parameters
    ----------
    task
        `experiment.task`.
    rate_hz
        Rate of frame_id over all planes, Hz.
    blocks
        The plan of the session's blocks.
    trials
        Trials of the day before this session.
    is_scored
        False if a trial that ends without a hit is no miss, because there are no hits.
    session_spent_s
        Closed loop of the day before this session, s: the first block of it is shorter by that.

    Attributes
    ----------
    state, trial
        State now; trial counts from 1 at its GREY.
    """

    def __init__(
        self,
        task: Task,
        rate_hz: float,
        blocks: BlockPlan,
        *,
        is_scored: bool = True,
        trials: int = 0,
        session_spent_s: float = 0.0,
    ) -> None:
        self._task = task
        self._rate_hz = rate_hz
        self._blocks = blocks
        self._without_hit = Outcome.MISS if is_scored else Outcome.NONE
        self._spent_before_s = session_spent_s
        self._entered_id = 0
        self._run_id = 0
        self._run_frames = 0
        self._zero_id: int | None = None
        self._hit_id = 0
        self._owed_trial = 0
        self._pays_after_s = 0.0
        self._first_trial_id: int | None = None
        self._paused_frames = 0
        self._finishing = False
        self._ending_block = False
        self._seen = False
        self._due_trial = 0
        self._trial_end: TrialEnd | None = None
        self.state = WAITING
        self.trial = trials

    def baseline_s(self, frame_id: int) -> float:
        """Frame time spent in the baseline block so far, pauses left out, seconds."""
        return self._blocks.baseline.spent_s(frame_id) if self._seen else 0.0

    def session_s(self, frame_id: int) -> float:
        """Frame time of the closed-loop block so far, seconds; pauses as `pause_counts` says."""
        since_s = 0.0
        if self._first_trial_id is not None:
            paused_frames = self._paused_frames
            if self.state is PAUSED and not self._task.pause_counts:
                paused_frames += frame_id - self._entered_id
            since_s = (frame_id - self._first_trial_id - paused_frames) / self._rate_hz
        return self._spent_before_s + since_s

    def progress(self, frame_id: int) -> float:
        """How far the present block is, in 0–1 of its time."""
        if self._blocks.kind is BlockKind.BASELINE:
            return self._blocks.baseline.progress(frame_id) if self._seen else 0.0
        if self._first_trial_id is None:
            return 0.0
        return min(self.session_s(frame_id) / self._task.session_s, 1.0)

    @property
    def is_finishing(self) -> bool:
        """True once the end after the current trial was asked for."""
        return self._finishing

    def step(
        self, frame_id: int, *, hit: bool, at_zero: bool = False, ready: bool, settled: bool
    ) -> bool:
        """Take a decoded frame in whose hit is known beforehand; see `advance` and `decide`."""
        self.advance(frame_id, ready=ready, settled=settled)
        return self.decide(
            frame_id, hit=hit, at_zero=at_zero, pays_after_s=self._task.reward_delay_s
        )

    def advance(self, frame_id: int, *, ready: bool, settled: bool) -> None:
        """Let time go on to a decoded frame.

        Parameters
        ----------
        frame_id
            Of this frame.
        ready
            True where there is a threshold; no trial starts without.
        settled
            True where the F0 window is full.
        """
        if not self._seen:
            # whatever id a stream begins with, no time has passed before its first frame
            self._seen = True
            self._entered_id = frame_id
            if self.state is BASELINE:
                self._blocks.baseline.run(frame_id)
        while self._advance(frame_id, ready=ready, settled=settled):
            pass

    def decide(
        self, frame_id: int, *, hit: bool, at_zero: bool = False, pays_after_s: float | None
    ) -> bool:
        """Decide the trial that this frame belongs to; True where it was a hit.

        Parameters
        ----------
        frame_id
            Of the frame that time has gone on to.
        hit
            True where a RUN that holds this frame ends with it in a hit.
        at_zero
            True where the angle is 0°, for the abort rule.
        pays_after_s
            From a hit to its reward, seconds; None: it pays nothing.
        """
        if self.state is not RUN:
            return False
        self._run_frames += 1
        if not hit:
            if at_zero:
                self._give_up(frame_id)
            else:
                self._zero_id = None
            return False
        early = self._run_frames <= self._task.early_hit_frames
        self._decide(Outcome.HIT, frame_id, early=early)
        self._hit_id = frame_id
        if pays_after_s is not None:
            self._owed_trial, self._pays_after_s = self.trial, pays_after_s
        self._enter(HIT, frame_id)
        # the next trial begins a frame later at the earliest
        while self._advance(frame_id, ready=False, settled=False):
            pass
        return True

    def run_s(self, frame_id: int) -> float:
        """Frame time since the first frame of RUN, seconds."""
        return (frame_id - self._run_id) / self._rate_hz

    def take_effects(self) -> tuple[int, TrialEnd | None]:
        """Trial whose reward is to be paid now (0: none), and the trial that ended; told once."""
        effects = self._due_trial, self._trial_end
        self._due_trial, self._trial_end = 0, None
        return effects

    def begin(self, frame_id: int) -> None:
        """Leave WAITING for a baseline where that is the first block and waits for nobody."""
        if self._blocks.due is BlockKind.BASELINE:
            self.begin_block(BlockKind.BASELINE, frame_id)

    def begin_block(self, kind: BlockKind, frame_id: int) -> None:
        """Begin a block; allowed in WAITING between two of them."""
        self._ending_block = False
        if self._first_trial_id is not None:
            self._first_trial_id, self._spent_before_s = None, 0.0
            self._paused_frames = 0
        self._blocks.begin(kind, frame_id)
        if kind is BlockKind.BASELINE:
            self._enter(BASELINE, frame_id)

    def end_block(self, frame_id: int) -> None:
        """End the present block: a baseline now, trials after the present one."""
        if self.state in (GREY, RUN, HIT, BLACK, MISS):
            self._ending_block = True
        else:
            self._close_block(frame_id)

    def interrupt(self, frame_id: int) -> None:
        """Back to WAITING, or to the end where asked: F0 must refill before the next trial."""
        if self.state in (GREY, RUN):
            self._decide(Outcome.ABORT, frame_id)
            self._enter(DONE if self._finishing else WAITING, frame_id)

    def pause(self, frame_id: int) -> None:
        """Hold still; a running trial is aborted, a reward already earned is due at once.

        Where the end was asked for, that was the last trial.
        """
        self._leave(DONE if self._finishing else PAUSED, frame_id)

    def resume(self, frame_id: int) -> None:
        """Go on after a pause, with the baseline where it stopped or with a new trial."""
        in_baseline = self._blocks.kind is BlockKind.BASELINE
        self._enter(BASELINE if in_baseline else WAITING, frame_id)

    def stop(self, frame_id: int) -> None:
        """End now; a running trial is aborted, a reward already earned is due at once."""
        self._leave(DONE, frame_id)

    def finish(self, frame_id: int) -> None:
        """End after the current trial, or now where none runs."""
        self._finishing = True
        if self.state in (WAITING, BASELINE, PAUSED):
            self._enter(DONE, frame_id)

    def _advance(self, frame_id: int, *, ready: bool, settled: bool) -> bool:
        """Make one transition that time asks for; False where none is due."""
        task, state = self._task, self.state
        elapsed_s = (frame_id - self._entered_id) / self._rate_hz
        if state is RUN:
            if elapsed_s < task.trial_s:
                return False
            self._decide(self._without_hit, frame_id)
            self._enter(MISS, frame_id)
        elif state is GREY:
            if elapsed_s < task.grey_s:
                return False
            self._run_id, self._run_frames, self._zero_id = frame_id, 0, None
            self._enter(RUN, frame_id)
        elif state is HIT:
            self._pay_if_due(frame_id)
            if elapsed_s < task.hit_s:
                return False
            self._enter(BLACK, frame_id)
        elif state in (BLACK, MISS):
            self._pay_if_due(frame_id)
            if elapsed_s < (task.black_s if state is BLACK else task.miss_s) or self._owed_trial:
                return False
            if self._trial_end is not None:
                # without a pause between trials, two outcomes would meet in one frame
                return False
            self._next_trial(frame_id, settled=settled)
        elif state is WAITING:
            return self._go_on(frame_id, ready=ready, settled=settled)
        elif state is BASELINE:
            if self._blocks.baseline.is_over(frame_id):
                self._close_block(frame_id)
            # what follows needs a T of the baseline that is over
            return False
        else:
            return False
        return True

    def _go_on(self, frame_id: int, *, ready: bool, settled: bool) -> bool:
        """Leave WAITING where something is due: a block, or the next trial of this one."""
        blocks = self._blocks
        if blocks.kind is None:
            due = blocks.due
            if due is None or (due is BlockKind.CLOSED_LOOP and not (settled and ready)):
                return False
            self.begin_block(due, frame_id)
        elif settled and ready:
            self._next_trial(frame_id, settled=settled)
        else:
            return False
        return self.state is not BASELINE

    def _give_up(self, frame_id: int) -> None:
        """Abort a RUN whose angle stays at 0°, where that is asked for."""
        limit_s = self._task.abort_at_zero_s
        if limit_s is None:
            self._zero_id = None
        elif self._zero_id is None:
            self._zero_id = frame_id
        elif (frame_id - self._zero_id) / self._rate_hz >= limit_s:
            self.interrupt(frame_id)

    def _next_trial(self, frame_id: int, *, settled: bool) -> None:
        if self._first_trial_id is None:
            self._first_trial_id = frame_id
        if self._finishing:
            self._enter(DONE, frame_id)
        elif self._ending_block or self.session_s(frame_id) >= self._task.session_s:
            self._close_block(frame_id)
        elif settled:
            self.trial += 1
            self._enter(GREY, frame_id)
        else:
            self._enter(WAITING, frame_id)

    def _close_block(self, frame_id: int) -> None:
        """The block is over: WAITING, or the end where nothing is to come."""
        self._blocks.end(frame_id)
        if self._blocks.over:
            self._enter(DONE, frame_id)
        elif self.state not in (WAITING, PAUSED):
            self._enter(WAITING, frame_id)

    def _leave(self, to: TaskState, frame_id: int) -> None:
        if self.state in (GREY, RUN):
            self._decide(Outcome.ABORT, frame_id)
        self._pay()
        self._enter(to, frame_id)

    def _pay_if_due(self, frame_id: int) -> None:
        if (frame_id - self._hit_id) / self._rate_hz >= self._pays_after_s:
            self._pay()

    def _pay(self) -> None:
        if self._owed_trial:
            self._owed_trial, self._due_trial = 0, self._owed_trial

    def _decide(self, outcome: Outcome, frame_id: int, *, early: bool = False) -> None:
        started = self._run_id if self.state is RUN else frame_id
        time_s = (frame_id - started) / self._rate_hz if outcome is Outcome.HIT else nan
        self._trial_end = TrialEnd(self.trial, outcome, started, frame_id, time_s, early)

    def _enter(self, state: TaskState, frame_id: int) -> None:
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransition(f"{self.state.name} → {state.name} at frame {frame_id}")
        if self.state is BASELINE:
            self._blocks.baseline.halt(frame_id)
        elif state is BASELINE:
            self._blocks.baseline.run(frame_id)
        in_block = self._first_trial_id is not None
        if self.state is PAUSED and in_block and not self._task.pause_counts:
            self._paused_frames += frame_id - self._entered_id
        self.state = state
        self._entered_id = frame_id
