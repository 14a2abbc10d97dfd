"""The photodiode while the session runs: light for every flip that changed the patch."""

from bci.core.ledger import entry
from bci.core.loop_types import LedgerEntry, LedgerKind
from bci.core.stimulus_types import FlipReport
from bci.recording.light_on_screen import LightMatch

EVERY_NS = 1_000_000_000
MOST = 4096


class Photodiode:
    """Matches flips and edges, and tells the ledger of those that have no other half."""

    def __init__(self) -> None:
        self._match = LightMatch()
        self._t_frame_sent_ns: dict[int, int] = {}
        self._told = (0, 0)
        self._t_told_ns = 0

    def flip(self, report: FlipReport, t_frame_sent_ns: int) -> None:
        """A command was shown; t_frame_sent_ns is when the frame behind it was sent, 0: none."""
        if len(self._t_frame_sent_ns) >= MOST:
            self._t_frame_sent_ns.clear()
        self._t_frame_sent_ns[report.command_id] = t_frame_sent_ns
        self._match.flip(report.command_id, report.t_flip_ns)

    def edge(self, t_ns: int) -> None:
        """The photodiode changed, on the host's clock."""
        self._match.edge(t_ns)

    def take(self, now_ns: int | None) -> list[int]:
        """From the frame sent to light, of what was seen since the last call, ns."""
        pairs = [
            (lit, self._t_frame_sent_ns.pop(lit.command_id, 0)) for lit in self._match.take(now_ns)
        ]
        return [lit.t_light_ns - t_sent_ns for lit, t_sent_ns in pairs if t_sent_ns]

    def turn(self, now_ns: int) -> list[LedgerEntry]:
        """What the ledger must hold, once a second at most."""
        if now_ns - self._t_told_ns < EVERY_NS:
            return []
        self._t_told_ns = now_ns
        match = self._match
        missing = (match.flips_without_light, match.lights_without_flip)
        kinds = (LedgerKind.FLIP_WITHOUT_LIGHT, LedgerKind.LIGHT_WITHOUT_FLIP)
        new = [
            entry(-1, kind, f"{now} so far", now - before)
            for kind, now, before in zip(kinds, missing, self._told, strict=True)
            if now > before
        ]
        self._told = missing
        return new

    def end(self) -> list[LedgerEntry]:
        """What the ledger must hold at the end; nothing more will come."""
        self._match.take()
        return self.turn(self._t_told_ns + EVERY_NS)
