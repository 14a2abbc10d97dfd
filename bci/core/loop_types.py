"""What the loop is told and what it decides."""

from enum import IntEnum, StrEnum
from math import nan

import msgspec

from bci.core.board_types import LightCommand, RewardRequest
from bci.core.messages import Count, FrameId, Labels, Text
from bci.core.stimulus_types import StimulusCommand


class TaskState(IntEnum):
    """State of the task; the transition table is in `bci.core.task`."""

    WAITING = 0
    BASELINE = 1
    GREY = 2
    RUN = 3
    HIT = 4
    BLACK = 5
    MISS = 6
    PAUSED = 7
    DONE = 8


IN_TRIALS = frozenset(
    {TaskState.GREY, TaskState.RUN, TaskState.HIT, TaskState.BLACK, TaskState.MISS}
)
"""States in which the clock of the task runs."""


class BlockKind(StrEnum):
    """What a stretch of a session is for."""

    BASELINE = "baseline"
    CLOSED_LOOP = "closed_loop"


class Outcome(StrEnum):
    """How a trial ended; NONE: a trial of a passive session, which nothing can hit or miss."""

    HIT = "hit"
    MISS = "miss"
    ABORT = "abort"
    NONE = "none"


class LedgerKind(StrEnum):
    """Every fault that a session may meet."""

    GAP = "gap"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    LATE = "late"
    MALFORMED = "malformed"
    WRONG_SIZE = "wrong_size"
    WRONG_SESSION = "wrong_session"
    WRONG_EPOCH = "wrong_epoch"
    WRONG_ROIS = "wrong_rois"
    WRONG_PLANE = "wrong_plane"
    FAR_FUTURE = "far_future"
    NOT_FINITE = "not_finite"
    NOT_FINITE_ELSEWHERE = "not_finite_elsewhere"
    BELOW_FLOOR = "below_floor"
    DARK = "dark"
    SATURATED = "saturated"
    UNCHANGED = "unchanged"
    FAULT_PAUSE = "fault_pause"
    STALL = "stall"
    IDS_BACKWARDS = "ids_backwards"
    WRONG_RATE = "wrong_rate"
    LAG = "lag"
    LAG_OVER = "lag_over"
    EPOCH = "epoch"
    REFUSED = "refused"
    SCREEN_LOST = "screen_lost"
    SCREEN_BACK = "screen_back"
    FLIP_MISSED = "flip_missed"
    COMMAND_WITHHELD = "command_withheld"
    COMMAND_SUPERSEDED = "command_superseded"
    BOARD_LOST = "board_lost"
    BOARD_BACK = "board_back"
    REWARD_FAILED = "reward_failed"
    REWARD_UNKNOWN = "reward_unknown"
    TTL_WITHOUT_FRAME = "ttl_without_frame"
    FRAME_WITHOUT_TTL = "frame_without_ttl"
    FRAME_CLOCK = "frame_clock"
    FRAME_CLOCK_SHIFTED = "frame_clock_shifted"
    FLIP_WITHOUT_LIGHT = "flip_without_light"
    LIGHT_WITHOUT_FLIP = "light_without_flip"
    PROCESS_DIED = "process_died"
    PROCESS_RESTARTED = "process_restarted"
    THREAD_ENDED = "thread_ended"
    FOLDER_LOST = "folder_lost"
    JOURNAL = "journal"
    CALIBRATION = "calibration"
    BASELINE_REFUSED = "baseline_refused"


DISCARDS = frozenset(
    {
        LedgerKind.DUPLICATE,
        LedgerKind.OUT_OF_ORDER,
        LedgerKind.WRONG_SIZE,
        LedgerKind.WRONG_SESSION,
        LedgerKind.WRONG_EPOCH,
        LedgerKind.WRONG_ROIS,
        LedgerKind.WRONG_PLANE,
        LedgerKind.FAR_FUTURE,
    }
)
"""Faults of a frame that was not stepped: its id is not the time of the session."""


class LedgerEntry(msgspec.Struct, frozen=True, gc=False):
    """One fault, where it was met and what was done about it.

    Parameters
    ----------
    frame_id
        Frame at which it was noticed; -1: before the first.
    kind
        What happened.
    reaction
        What the program did, in words; one per kind, see `bci.core.ledger`.
    detail
        Numbers and names: which ROI, how many frames.
    count
        How many frames or commands it stands for.
    """

    frame_id: FrameId
    kind: LedgerKind
    reaction: str
    detail: str = ""
    count: Count = 1


class Start(msgspec.Struct, frozen=True, tag="start"):
    """The session begins: the first thing applied."""


class Pause(msgspec.Struct, frozen=True, tag="pause"):
    """The operator pauses the task."""


class Resume(msgspec.Struct, frozen=True, tag="resume"):
    """The operator, or the end of a stall, lets the task go on."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """The session ends now; a reward already earned is paid."""

    reason: Text


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """The session ends after the current trial."""

    reason: Text


class GuardLevels(msgspec.Struct, frozen=True):
    """What the guards of a hit compare with, from the baseline, in the unit of the signal.

    Parameters
    ----------
    p_minus_max
        Largest mean of P− at a hit; NaN where that guard is off.
    others_min
        Smallest mean of P+ without its most active cell, for each cell that may be that one; empty
        where that guard is off.
    """

    p_minus_max: float
    others_min: tuple[float, ...]


class ThresholdSet(msgspec.Struct, frozen=True, tag="threshold"):
    """T and lo, from a calibration, the settings or the operator.

    Parameters
    ----------
    t, lo
        In the unit of s3: hit at t, 0 degrees at lo.
    baseline_median
        Median over all ROIs of the decode plane of F above dark, counts; NaN: unknown.
    origin
        calibration, settings or operator.
    guards
        Levels of the guards; None: those before stay.
    raised_from
        First T of a day that goes on, where adaptive difficulty has raised it to `t` since: what
        steps are left is counted from it. None: `t` is the first.
    """

    t: float
    lo: float
    baseline_median: float
    origin: str
    guards: GuardLevels | None = None
    raised_from: float | None = None


class BlockBegun(msgspec.Struct, frozen=True, tag="block_begun"):
    """The operator begins a block, the next of the plan or any other; between blocks alone."""

    kind: BlockKind


class BlockEnded(msgspec.Struct, frozen=True, tag="block_ended"):
    """The operator ends the block: a baseline at once and for nothing, trials after this one."""


class EnsemblesSet(msgspec.Struct, frozen=True, tag="ensembles"):
    """Ensembles chosen within the session; the baseline's frames are decoded again with them.

    Parameters
    ----------
    p_plus, p_minus
        Labels of ROIs of the decode plane; weights are 1/n.
    origin
        Who chose them and how, in words.
    """

    p_plus: Labels
    p_minus: Labels
    origin: Text = "operator"


class LightSet(msgspec.Struct, frozen=True, tag="light_set"):
    """The operator switches the light on or off by hand; see `bci.core.light.LightRule`."""

    on: bool


class CalibrationRefused(msgspec.Struct, frozen=True, tag="calibration_refused"):
    """The baseline gives no T; the operator may repeat it, or choose other ensembles."""

    reason: str


class Stalled(msgspec.Struct, frozen=True, tag="stall"):
    """No frame was stepped for longer than `faults.stall_s`.

    Parameters
    ----------
    older_id
        Newest of the frames that came meanwhile with ids below the last stepped one: the ids went
        backwards. None: no such frames came.
    """

    silent_s: float
    older_id: int | None = None


class EpochStarted(msgspec.Struct, frozen=True, tag="epoch"):
    """Acquisition started again; frames carry this epoch from now on."""

    epoch: Count


class ScreenLost(msgspec.Struct, frozen=True, tag="screen_lost"):
    """The stimulus process died or went silent."""

    reason: str


class ScreenBack(msgspec.Struct, frozen=True, tag="screen_back"):
    """The stimulus process is there again."""


class Malformed(msgspec.Struct, frozen=True, tag="malformed"):
    """A message on the frame socket that is not a frame."""

    reason: str
    n_bytes: int


class PlayedTrial(msgspec.Struct, frozen=True):
    """A hit or a miss of a recorded session, to be shown again.

    Parameters
    ----------
    times_s, angles_deg
        When the angle changed, seconds of frame time since the first frame of RUN, and to what.
    time_to_hit_s
        Same time; NaN: a miss.
    reward_delay_s
        From the hit to its reward, seconds; None: none was given.
    """

    times_s: tuple[float, ...]
    angles_deg: tuple[float, ...]
    time_to_hit_s: float
    reward_delay_s: float | None = None


class PlaybackSet(msgspec.Struct, frozen=True, tag="playback"):
    """What a recorded session showed and paid, for a session that follows it.

    Parameters
    ----------
    source, sha256
        Name of the recorded session, and the hash of its journal.
    trials
        Its hits and misses in order; empty where the rate alone is taken.
    rewards_per_min
        Of its task, over the time in trials.
    """

    source: str
    sha256: str
    trials: tuple[PlayedTrial, ...]
    rewards_per_min: float


LoopEvent = (
    Start
    | Pause
    | Resume
    | Stop
    | Finish
    | ThresholdSet
    | BlockBegun
    | BlockEnded
    | EnsemblesSet
    | LightSet
    | CalibrationRefused
    | Stalled
    | EpochStarted
    | ScreenLost
    | ScreenBack
    | Malformed
    | PlaybackSet
)


class TrialEnd(msgspec.Struct, frozen=True, gc=False):
    """A trial that is over.

    Parameters
    ----------
    trial
        From 1.
    start_frame_id, stop_frame_id
        First frame of RUN, and the frame at which the outcome was decided.
    time_to_hit_s
        Frame time from RUN to the hit; NaN where none.
    early
        A hit within the first `task.early_hit_frames` decoded frames of RUN.
    threshold
        T when it ended, in the unit of s3; NaN: none.
    """

    trial: Count
    outcome: Outcome
    start_frame_id: FrameId
    stop_frame_id: FrameId
    time_to_hit_s: float
    early: bool
    threshold: float = nan


class BlockTurn(msgspec.Struct, frozen=True, gc=False):
    """A block that begins or is over.

    Parameters
    ----------
    number
        Of the block in the session, from 1.
    begins
        False where it is over.
    frame_id
        First frame of the block, or the first one after it.
    """

    number: Count
    kind: BlockKind
    begins: bool
    frame_id: FrameId


class Decision(msgspec.Struct, frozen=True):
    """What one frame or event led to.

    Parameters
    ----------
    sequence
        One number over frames and events, from 1, in the order in which they were applied.
    frame_id
        Of the frame, as received; for an event, of the last frame stepped (-1: none). The id of a
        discarded frame is not the time of the session.
    decoded
        True where the frame entered F0 and s3.
    s, s3
        Difference of the ensembles and its mean over the last frames, in the unit of the decoder's
        signal (`bci.core.decoding.registry.s_unit`); NaN before the first.
    angle_deg
        Angle of the read-out, whatever the screen shows; NaN while T and lo are unknown.
    state, trial
        After this frame or event; trial counts from 1 at its GREY, 0 before the first.
    command, reward, light
        Effects to be sent; None: nothing changes.
    trial_end
        Set once, where a trial's outcome was decided.
    ledger
        Faults noticed here.
    raised_t
        T from the next frame on, where adaptive difficulty raised it at the end of this trial.
    blocks
        Blocks that are over or begin here, in order.
    """

    sequence: Count
    frame_id: FrameId
    decoded: bool
    s: float
    s3: float
    angle_deg: float
    state: TaskState
    trial: Count
    command: StimulusCommand | None = None
    reward: RewardRequest | None = None
    light: LightCommand | None = None
    trial_end: TrialEnd | None = None
    ledger: tuple[LedgerEntry, ...] = ()
    raised_t: float | None = None
    blocks: tuple[BlockTurn, ...] = ()

    @property
    def discarded(self) -> bool:
        """True if the frame was not stepped: nothing may be counted or timed by its id."""
        return any(entry.kind in DISCARDS for entry in self.ledger)
