"""What an alarm says to the operator: what happened, and what can be done about it."""

from typing import NamedTuple

from bci.core.loop_types import LedgerKind as Kind
from bci.gui.theme import Light


class Words(NamedTuple):
    """What is told of one kind of fault.

    Parameters
    ----------
    what
        What happened; the entry's own detail follows.
    do
        What the operator can do.
    light
        FAIL: the animal's task is held up or an apparatus is gone. WARN: worth a look.
    """

    what: str
    do: str
    light: Light = Light.WARN


COUNTED = frozenset(
    {
        Kind.DUPLICATE,
        Kind.OUT_OF_ORDER,
        Kind.LATE,
        Kind.NOT_FINITE_ELSEWHERE,
        Kind.EPOCH,
        Kind.REFUSED,
        Kind.FLIP_MISSED,
        Kind.COMMAND_WITHHELD,
        Kind.COMMAND_SUPERSEDED,
    }
)
"""Counted in the ledger and no alarm: nothing is asked of the operator."""

OVER = {
    Kind.SCREEN_BACK: Kind.SCREEN_LOST,
    Kind.BOARD_BACK: Kind.BOARD_LOST,
    Kind.PROCESS_RESTARTED: Kind.PROCESS_DIED,
    Kind.LAG_OVER: Kind.LAG,
}
"""Kinds that end another one's alarm."""

_SENDER = "look which program sends frames to this computer"
_IMAGE = "look at PMT, shutter and laser; resume when the image is right"

WORDS: dict[Kind, Words] = {
    Kind.GAP: Words("Frames were lost", "look at the load of the microscope's computer"),
    Kind.MALFORMED: Words("Something that is no frame came", _SENDER),
    Kind.WRONG_SIZE: Words("Frames of another size came", _SENDER),
    Kind.WRONG_SESSION: Words("Frames of another session came", _SENDER),
    Kind.WRONG_EPOCH: Words("Frames of an older start of acquisition came", _SENDER),
    Kind.WRONG_ROIS: Words("Frames of other ROIs came", _SENDER),
    Kind.WRONG_PLANE: Words("Frames of a plane that is not there came", _SENDER),
    Kind.FAR_FUTURE: Words("Frame numbers jumped ahead", "look whether the scan was restarted"),
    Kind.NOT_FINITE: Words("An ensemble's ROI has no value", _IMAGE),
    Kind.BELOW_FLOOR: Words("An ROI is darker than the floor of F0", "look at that ROI"),
    Kind.DARK: Words("The image is dark", _IMAGE),
    Kind.SATURATED: Words("The image is saturated", "lower the gain or the power"),
    Kind.UNCHANGED: Words("The image does not change", "look whether the microscope scans"),
    Kind.FAULT_PAUSE: Words("The task is paused: the image is not usable", _IMAGE, Light.FAIL),
    Kind.STALL: Words(
        "No frames come",
        "look whether the microscope scans; see whether the task went on by itself",
        Light.FAIL,
    ),
    Kind.IDS_BACKWARDS: Words(
        "Frame ids went backwards",
        "the microscope program restarted: end this session and start another",
        Light.FAIL,
    ),
    Kind.WRONG_RATE: Words(
        "Frames come at another rate than declared",
        "set rig.source.rate_hz to the rate of frames over all planes, or mend the scan",
        Light.FAIL,
    ),
    Kind.LAG: Words(
        "Frames come late: feedback is behind the animal",
        "look at the load of both computers and at the network between them",
        Light.FAIL,
    ),
    Kind.SCREEN_LOST: Words(
        "The animal's screen is gone", "look at its cable; the program opens it again", Light.FAIL
    ),
    Kind.BOARD_LOST: Words(
        "The board is gone: no drop can be given", "look at its cable and its power", Light.FAIL
    ),
    Kind.REWARD_FAILED: Words(
        "A drop was not given", "look at the valve; give one by hand (R)", Light.FAIL
    ),
    Kind.REWARD_UNKNOWN: Words("It is not known whether a drop was given", "look at the spout"),
    Kind.TTL_WITHOUT_FRAME: Words(
        "A frame of the microscope did not come", "look at the load of the microscope's computer"
    ),
    Kind.FRAME_WITHOUT_TTL: Words("A frame had no TTL", "look at the cable of the frame TTL"),
    Kind.FRAME_CLOCK: Words(
        "Frames and their TTLs do not fit together",
        "start the microscope after the session; look at rig.board.frame_ttl",
        Light.FAIL,
    ),
    Kind.FRAME_CLOCK_SHIFTED: Words(
        "Frames and their TTLs are counted apart",
        "note it; end this session where the times of frames matter, and start another",
        Light.FAIL,
    ),
    Kind.FLIP_WITHOUT_LIGHT: Words("A new picture gave no light", "look at the photodiode"),
    Kind.LIGHT_WITHOUT_FLIP: Words("Light that no picture gave", "look at the photodiode"),
    Kind.PROCESS_DIED: Words("A process of the session died", "wait: see the lights", Light.FAIL),
    Kind.THREAD_ENDED: Words(
        "A part of the program stopped",
        "end this session and start another; send log.jsonl to whoever maintains the program",
        Light.FAIL,
    ),
    Kind.FOLDER_LOST: Words(
        "The session's folder was removed or moved",
        "look which program does that; the last line of the session says where the data are",
        Light.FAIL,
    ),
    Kind.JOURNAL: Words(
        "The session is not recorded any more", "make room, or look what cut the file", Light.FAIL
    ),
    Kind.BASELINE_REFUSED: Words(
        "The baseline was refused: T stays as before",
        "repeat the baseline, or choose other ensembles",
        Light.FAIL,
    ),
    Kind.CALIBRATION: Words(
        "The baseline gives no threshold", "look at the ensembles; start again", Light.FAIL
    ),
}


def words_of(kind: Kind) -> Words:
    """What is told of a kind; its own name where nothing better is known."""
    plain = kind.value.replace("_", " ").capitalize()
    return WORDS.get(kind, Words(plain, "see the ledger in the report"))
