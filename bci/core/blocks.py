"""The blocks of a day on frame time: which one runs, which comes next, how long it lasts."""

from collections.abc import Sequence

from bci.config.experiment import Experiment
from bci.config.session import Session
from bci.config.session_type import SessionType
from bci.core.loop_types import BlockKind, BlockTurn


def planned_blocks(session: Session) -> tuple[BlockKind, ...]:
    """The blocks of a session, in order."""
    experiment = session.experiment
    named = session.day.blocks or experiment.blocks
    if named:
        return tuple(BlockKind(name) for name in named)
    first = (BlockKind.BASELINE,) if experiment.baseline is not None else ()
    return (*first, BlockKind.CLOSED_LOOP)


def block_label(kind: BlockKind, session_type: SessionType) -> str:
    """Name a block by what happens in it: baseline, or the session type of its trials."""
    return kind.value if kind is BlockKind.BASELINE else session_type.kind


def block_fault(kind: BlockKind, experiment: Experiment) -> str:
    """Why the settings do not allow such a block, and what to do; empty where they do."""
    if kind is BlockKind.BASELINE and experiment.baseline is None:
        return "experiment.baseline is not set"
    return ""


class BaselineClock:
    """How much of a baseline block is over.

    The first filling of the F0 window is part of the block. A later one, after acquisition was
    started again or a long gap, is not: the block is lengthened by what was lost, so that as much
    is left to calibrate on as without.

    Parameters
    ----------
    rate_hz
        Rate of frame_id over all planes, Hz.
    n_planes
        Frames of the decoded plane are this many ids apart.
    duration_s
        Of the block, s.

    Attributes
    ----------
    lost_s
        Time that the block is lengthened by, s.
    """

    def __init__(self, rate_hz: float, n_planes: int, duration_s: float) -> None:
        self._rate_hz = rate_hz
        self._n_planes = n_planes
        self._duration_s = duration_s
        self.restart()

    def restart(self) -> None:
        """A block begins."""
        self.lost_s = 0.0
        self._spent_s = 0.0
        self._from_id: int | None = None
        self._last_id = 0
        self._unfilled: int | None = None

    def run(self, frame_id: int) -> None:
        """Time counts from this frame on."""
        self._from_id = self._last_id = frame_id

    def halt(self, frame_id: int) -> None:
        """Time no longer counts, from this frame on."""
        self._spent_s = self.spent_s(frame_id)
        self._from_id = None

    def tick(self, frame_id: int, unfilled: int) -> None:
        """Take in a decoded frame of the block.

        Parameters
        ----------
        frame_id
            Of this frame.
        unfilled
            Frames that the F0 window still lacks.
        """
        before = unfilled if self._unfilled is None else max(0, self._unfilled - 1)
        if unfilled > before:
            missed = max(0, frame_id - self._last_id - self._n_planes)
            self.lost_s += ((unfilled - before) * self._n_planes + missed) / self._rate_hz
        self._unfilled = unfilled
        self._last_id = frame_id

    def spent_s(self, frame_id: int) -> float:
        """Frame time of the block up to a frame, pauses left out, s."""
        if self._from_id is None:
            return self._spent_s
        return self._spent_s + max(0, frame_id - self._from_id) / self._rate_hz

    def is_over(self, frame_id: int) -> bool:
        """True once the block has had its time."""
        return self.spent_s(frame_id) >= self._duration_s + self.lost_s

    def progress(self, frame_id: int) -> float:
        """How far the block is, 0–1."""
        whole_s = self._duration_s + self.lost_s
        return min(self.spent_s(frame_id) / whole_s, 1.0) if whole_s else 1.0


class BlockPlan:
    """Which block runs and which comes next.

    The plan gives the order. The operator may begin any block between two; one that is not the
    next of the plan is put in, and the plan goes on behind it.

    Parameters
    ----------
    kinds
        The plan.
    baseline
        Time of a baseline block.
    hold
        True where every block waits for the operator.

    Attributes
    ----------
    kind, number
        The block that runs, None between blocks; how many were begun.
    baseline
        As given.
    turns
        Blocks that ended or began and that `take_turns` has not given yet.
    """

    def __init__(
        self, kinds: Sequence[BlockKind], baseline: BaselineClock, *, hold: bool = False
    ) -> None:
        self._kinds = tuple(kinds)
        self._place = 0
        self.turns: list[BlockTurn] = []
        self.hold = hold
        self.baseline = baseline
        self.kind: BlockKind | None = None
        self.number = 0

    @property
    def next(self) -> BlockKind | None:
        """The next of the plan; None: nothing is left of it."""
        return self._kinds[self._place] if self._place < len(self._kinds) else None

    @property
    def due(self) -> BlockKind | None:
        """The block that begins by itself now; None: none does."""
        return None if self.hold or self.kind is not None else self.next

    @property
    def over(self) -> bool:
        """True where no block runs and none is to come."""
        return self.kind is None and self.next is None and not self.hold

    @property
    def left(self) -> tuple[BlockKind, ...]:
        """What is still to be run of the plan, the present block included."""
        rest = self._kinds[self._place :]
        return rest if self.kind is None else (self.kind, *rest)

    def begin(self, kind: BlockKind, frame_id: int) -> None:
        """Begin a block; `frame_id` is its first frame."""
        if kind is self.next:
            self._place += 1
        self.number += 1
        self.kind = kind
        if kind is BlockKind.BASELINE:
            self.baseline.restart()
        self.turns.append(BlockTurn(self.number, kind, True, frame_id))

    def end(self, frame_id: int) -> None:
        """The block is over; `frame_id` is the first frame after it."""
        if self.kind is not None:
            self.turns.append(BlockTurn(self.number, self.kind, False, frame_id))
        self.kind = None

    def take_turns(self) -> tuple[BlockTurn, ...]:
        """Blocks that ended or began since the last call."""
        turns = tuple(self.turns)
        self.turns.clear()
        return turns
