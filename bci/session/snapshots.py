"""What whoever watches is told of the session, ten times a second."""

import time

from bci.core.blocks import block_label
from bci.core.messages import cut
from bci.session.blocks import waits_for
from bci.session.board_line import BoardLine
from bci.session.frame_line import FrameLine
from bci.session.latency import LatencyBudget
from bci.session.runner import LoopRunner
from bci.session.screen_line import ScreenLine
from bci.session.tally import Tally
from bci.stream.telemetry import Telemetry, TelemetryPublisher

EVERY_NS = 100_000_000
PERCENTILES_NS = 1_000_000_000


class Snapshots:
    """Takes snapshots of a session, and publishes one as often as it is due.

    Parameters
    ----------
    publisher
        Where they go; nobody need listen.
    latency
        Its percentiles are worked out once a second.
    runner, frames, screen, board, tally
        What they are taken of.
    """

    def __init__(
        self,
        publisher: TelemetryPublisher,
        latency: LatencyBudget,
        runner: LoopRunner,
        frames: FrameLine,
        screen: ScreenLine,
        board: BoardLine,
        tally: Tally,
    ) -> None:
        self._publisher = publisher
        self._latency = latency
        self._runner = runner
        self._frames = frames
        self._screen = screen
        self._board = board
        self._tally = tally
        self._percentiles: dict[str, tuple[float, float]] = {}
        self._next_ns = 0
        self._next_percentiles_ns = 0

    def is_due(self, now_ns: int) -> bool:
        """Whether the next one is to be published; `now_ns` of `time.perf_counter_ns`."""
        return now_ns >= self._next_ns

    def publish_if_due(self, now_ns: int) -> None:
        """Publish one where it is due; `now_ns` of `time.perf_counter_ns`."""
        if not self.is_due(now_ns):
            return
        self._next_ns = now_ns + EVERY_NS
        if now_ns >= self._next_percentiles_ns:
            self._next_percentiles_ns = now_ns + PERCENTILES_NS
            self._percentiles = self._latency.percentiles_ms()
        self.publish()

    def publish(self) -> None:
        """Publish one now."""
        self._publisher.send(self.take())

    def take(self) -> Telemetry:
        """The session at this moment."""
        runner, tally = self._runner, self._tally
        decision = runner.newest
        board = self._board.light
        now_ns = time.perf_counter_ns()
        if decision is None:
            return Telemetry(now_ns, "STARTING", screen=self._screen.light, board=board)
        loop, frames, performance = runner.loop, self._frames, runner.performance.now
        chance, kind = runner.chance, loop.blocks.kind
        rewards = tally.budget.rewards.totals()
        return Telemetry(
            t_ns=now_ns,
            state=decision.state.name,
            trial=decision.trial,
            n_trials=performance.n_trials,
            hits=performance.hits,
            misses=performance.misses,
            hit_rate=performance.accuracy,
            performance=performance,
            rewards_done=rewards.done,
            volume_ul=rewards.volume_ul,
            today_ul=tally.budget.today_ul,
            cap_ul=tally.budget.cap_ul,
            s3=decision.s3,
            t=loop.t,
            lo=loop.lo,
            chance=chance.now,
            chance_t=chance.t,
            chance_words=cut(chance.words),
            angle_deg=decision.angle_deg,
            latency_ms=self._percentiles,
            lost_frames=tally.lost_frames,
            ledger_count=sum(tally.ledger.values()),
            last_ledger=cut(tally.last_ledger),
            progress=loop.progress,
            block=block_label(kind, loop.experiment.session_type) if kind else "",
            block_number=loop.blocks.number,
            next_block=loop.blocks.next or "",
            waits_for=cut(waits_for(loop)),
            session_s=runner.performance.session_s,
            screen=self._screen.light,
            board=board,
            acquisition=frames.light,
        )
