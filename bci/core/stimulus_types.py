"""What goes to the animal's screen and what comes back."""

from enum import StrEnum

import msgspec

from bci.core.messages import Count, Finite, FrameId, Label, NoteText, TimeNs


class ScreenKind(StrEnum):
    """What the screen shows."""

    GREY = "grey"
    BLACK = "black"
    GRATING = "grating"
    FROZEN = "frozen"


class StimulusCommand(msgspec.Struct, frozen=True, gc=False):
    """The complete state of the screen; the newest replaces all before it.

    Parameters
    ----------
    command_id
        From 1, up by one with each command of the session.
    frame_id
        Frame that led to it; -1 where none did.
    screen
        grating drifts at temporal_freq_hz, frozen holds its phase.
    orientation_deg
        Clockwise as seen: 0 vertical bars, 45 like `/`, 90 horizontal.
    contrast
        In 0-1.
    temporal_freq_hz
        Drift perpendicular to the bars, rightward at 0 degrees, downward at 90.
    tone_hz
        Auditory cursor; 0: silent.
    """

    command_id: Count
    frame_id: FrameId
    screen: ScreenKind
    orientation_deg: Finite
    contrast: Finite
    temporal_freq_hz: Finite
    tone_hz: Finite = 0.0


class FlipKind(StrEnum):
    """What became of a command."""

    SHOWN = "shown"
    SUPERSEDED = "superseded"


class FlipReport(msgspec.Struct, frozen=True, gc=False, tag="flip"):
    """The flip at which a command was first seen, or that it never was.

    Parameters
    ----------
    t_received_ns
        `time.perf_counter_ns` at which the stimulus process took the command.
    t_draw_ns
        Start of drawing; 0 where superseded.
    t_flip_ns
        Return of the flip; 0 where superseded.
    missed_flips
        Refreshes missed since the last report.
    blanks
        False: no vsync, a timer paced the flip.
    """

    command_id: Count
    kind: FlipKind
    t_received_ns: TimeNs
    t_draw_ns: TimeNs
    t_flip_ns: TimeNs
    missed_flips: Count
    blanks: bool


class ScreenHello(msgspec.Struct, frozen=True, tag="hello"):
    """First message of a stimulus process: what it draws on; asks for the current command.

    Parameters
    ----------
    backend
        psychopy or null.
    renderer
        OpenGL renderer as the driver names it.
    display
        X display or screen it draws on.
    refresh_hz
        Measured where the screen blanks, else the timer's.
    blanks
        False if there is no vsync.
    sound
        What the tone is heard from; begins with `none` where nothing is heard.
    """

    backend: Label
    renderer: NoteText
    display: NoteText
    width_px: Count
    height_px: Count
    refresh_hz: float
    blanks: bool
    sound: NoteText = ""


class MissedFlips(msgspec.Struct, frozen=True, tag="missed"):
    """Refreshes missed, reported when they happen."""

    count: Count
    t_flip_ns: TimeNs


ScreenReport = FlipReport | ScreenHello | MissedFlips
