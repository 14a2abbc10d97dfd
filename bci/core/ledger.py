"""Every fault that a session may meet, and what the program does about it."""

from bci.core.loop_types import LedgerEntry, LedgerKind
from bci.core.messages import MOST_COUNT, cut

REACTIONS: dict[LedgerKind, str] = {
    LedgerKind.GAP: "frame time counted, nothing made up; longer than max_gap_s: F0 refilled",
    LedgerKind.DUPLICATE: "discarded",
    LedgerKind.OUT_OF_ORDER: "discarded",
    LedgerKind.LATE: "stepped in order, its screen command withheld",
    LedgerKind.MALFORMED: "discarded",
    LedgerKind.WRONG_SIZE: "discarded",
    LedgerKind.WRONG_SESSION: "discarded",
    LedgerKind.WRONG_EPOCH: "discarded",
    LedgerKind.WRONG_ROIS: "discarded",
    LedgerKind.WRONG_PLANE: "discarded",
    LedgerKind.FAR_FUTURE: "not stepped, feedback frozen until the next 3 ids go on from it",
    LedgerKind.NOT_FINITE: "not decoded, feedback frozen; paused after pause_after_s",
    LedgerKind.NOT_FINITE_ELSEWHERE: "decoded, stored and flagged",
    LedgerKind.BELOW_FLOOR: "divided by the floor, ROI flagged",
    LedgerKind.DARK: "not decoded, feedback frozen; paused after pause_after_s",
    LedgerKind.SATURATED: "not decoded, feedback frozen; paused after pause_after_s",
    LedgerKind.UNCHANGED: "not decoded, feedback frozen; paused after pause_after_s",
    LedgerKind.FAULT_PAUSE: "paused, light off, an earned reward paid; resume when it is mended",
    LedgerKind.STALL: "paused, light off, an earned reward paid",
    LedgerKind.IDS_BACKWARDS: "discarded; paused, light off, an earned reward paid",
    LedgerKind.WRONG_RATE: "session ended, or reported, as rig.source.on_wrong_rate says",
    LedgerKind.LAG: "every frame stepped in order; reported until it is over",
    LedgerKind.LAG_OVER: "session goes on",
    LedgerKind.EPOCH: "running trial aborted, F0 refilled",
    LedgerKind.REFUSED: "refused, nothing changed",
    LedgerKind.SCREEN_LOST: "loop goes on, screen is started again",
    LedgerKind.SCREEN_BACK: "current command sent again",
    LedgerKind.FLIP_MISSED: "counted, the newest command is drawn",
    LedgerKind.COMMAND_WITHHELD: "newest command sent in its place",
    LedgerKind.COMMAND_SUPERSEDED: "newer command shown in its place",
    LedgerKind.BOARD_LOST: "valve shut by the board itself, reconnecting",
    LedgerKind.BOARD_BACK: "open rewards settled from the board's own ring",
    LedgerKind.REWARD_FAILED: "not given, not repeated",
    LedgerKind.REWARD_UNKNOWN: "counted as given, never repeated",
    LedgerKind.TTL_WITHOUT_FRAME: "counted; the frame was lost, or the edge was a stray one",
    LedgerKind.FRAME_WITHOUT_TTL: "counted; its time on file lies between its neighbours'",
    LedgerKind.FRAME_CLOCK: "session ended",
    LedgerKind.FRAME_CLOCK_SHIFTED: "told; times of frames on file are off by that from there on",
    LedgerKind.FLIP_WITHOUT_LIGHT: "counted, its time of light is not known",
    LedgerKind.LIGHT_WITHOUT_FLIP: "counted, not matched to a command",
    LedgerKind.PROCESS_DIED: "started again where declared, else session ended",
    LedgerKind.PROCESS_RESTARTED: "session goes on",
    LedgerKind.FOLDER_LOST: "session ended, what can be saved is saved",
    LedgerKind.JOURNAL: "session ended",
    LedgerKind.THREAD_ENDED: "logged; what the thread did is no longer done",
    LedgerKind.CALIBRATION: "session ended",
    LedgerKind.BASELINE_REFUSED: "T as before, none at first: the baseline may be repeated",
}


def entry(frame_id: int, kind: LedgerKind, detail: str = "", count: int = 1) -> LedgerEntry:
    """A ledger entry with the declared reaction of its kind."""
    return LedgerEntry(frame_id, kind, REACTIONS[kind], cut(detail), min(count, MOST_COUNT))
