"""The stimulus process: newest command, draw, flip, report, until asked to stop."""

import gc
import logging
import sys
import time

import msgspec

from bci.config.session import Session
from bci.core.process import ProcessLink
from bci.core.stimulus_types import (
    FlipKind,
    FlipReport,
    MissedFlips,
    ScreenHello,
    StimulusCommand,
)
from bci.stimuli.backend import ScreenError, StimulusBackend
from bci.stimuli.command_sequence import CommandSequence
from bci.stimuli.control_line import ControlLine
from bci.stimuli.null_backend import NullBackend
from bci.stimuli.pacing import FlipPacer
from bci.stimuli.psychopy_backend import PsychoPyBackend
from bci.stimuli.speaker import TO_DO, Speaker, SpeakerError, open_speaker
from bci.stream.access import Access
from bci.stream.commands import Arrival
from bci.stream.wires import WIRED, Wire

_log = logging.getLogger("bci.stimulus")

_POLL_S = 0.05
_SWITCH_S = 1e-4


def make_backend(session: Session) -> StimulusBackend:
    """The backend that `rig.screen.backend` names, not yet open."""
    if session.rig.screen.backend == "null":
        return NullBackend(session.rig.screen)
    return PsychoPyBackend(session.rig.screen, session.experiment.stimulus)


def run_stimulus(session: Session, link: ProcessLink) -> None:
    """Open the screen and show the newest command of control until asked to stop.

    The screen is drawn from the start, grey, whether control is there or not. Everything that
    control is told goes out without waiting for it.

    Parameters
    ----------
    session
        Settings.
    link
        Line to the supervisor; its peers name control's `commands` and `flips`.

    Raises
    ------
    ScreenError
        Where screen or sound device cannot be opened, or the screen is gone; the supervisor has
        been told.
    """
    # an arriving command is stamped while a picture is drawn: not up to Python's usual 5 ms later
    sys.setswitchinterval(_SWITCH_S)
    t_start_s = time.perf_counter()
    access = Access.of_session(link.token, session.rig.stream.keys)
    backend = make_backend(session)
    try:
        hello = backend.open()
    except ScreenError as error:
        link.report("failed", str(error))
        raise
    # lossless runs have no real time that a timer could follow
    at_once = isinstance(backend, NullBackend) and session.rig.stream.delivery == "lossless"
    has_tone = session.experiment.feedback.has_tone
    try:
        speaker = open_speaker(session.rig.sound, needed=has_tone)
    except SpeakerError as error:
        backend.close()
        told = f"no sound device for the auditory cursor ({error}): {TO_DO}"
        link.report("failed", told)
        raise ScreenError(told) from error
    hello = msgspec.structs.replace(hello, sound=speaker.description)
    # PsychoPy leaves a heap that takes several refreshes to sweep
    gc.collect()
    gc.freeze()
    screen = "vsync" if hello.blanks else "no vsync, paced by a timer"
    sound = f", sound {hello.sound}" if has_tone else ""
    told = (
        f"{hello.backend} on {hello.display}, {hello.width_px} x {hello.height_px}, "
        f"{hello.refresh_hz:.2f} Hz ({screen}), {hello.renderer}, "
        f"open after {time.perf_counter() - t_start_s:.2f} s{sound}"
    )
    _log.info("%s", told)
    link.report("ready", told)
    line = ControlLine(hello, access)
    pre_blank_s = session.rig.screen.pre_blank_ms * 1e-3
    show = _Show(backend, speaker, hello, line, pre_blank_s, at_once)
    wired = session.rig.screen.photodiode.enabled and session.rig.board.kind in WIRED
    if wired and not at_once:
        show.photodiode = Wire(link.peers, "photodiode", link.token)
    try:
        show.run(link)
    except ScreenError as error:
        link.report("failed", str(error))
        raise
    finally:
        if show.photodiode is not None:
            show.photodiode.close()
        line.close()
        speaker.close()
        backend.close()
        gc.unfreeze()
    link.report("ended")


class _Show:
    """The loop over the pictures.

    Attributes
    ----------
    photodiode
        Of a simulated rig: sees the patch change with every flip that shows a new command.
    """

    def __init__(
        self,
        backend: StimulusBackend,
        speaker: Speaker,
        hello: ScreenHello,
        line: ControlLine,
        pre_blank_s: float,
        at_once: bool,
    ) -> None:
        self._backend = backend
        self._speaker = speaker
        self._line = line
        self._at_once = at_once
        self._blanks = hello.blanks
        self._sequence = CommandSequence(blanks=hello.blanks)
        self._pacer = FlipPacer(
            backend.refresh_s,
            blanks=hello.blanks,
            pre_blank_s=pre_blank_s,
            t_start_s=time.perf_counter(),
        )
        self._command: StimulusCommand | None = None
        self.photodiode: Wire | None = None
        self._patch_is_white = False

    def run(self, link: ProcessLink) -> None:
        """Draw until the link asks to stop."""
        while not link.stop_requested():
            link.turn()
            if self._line.follow(link.peers()):
                self._sequence = CommandSequence(blanks=self._blanks)
            if self._at_once:
                self._line.wait(_POLL_S)
                t_seen_s = time.perf_counter()
            else:
                t_take_s, t_seen_s = self._pacer.plan(time.perf_counter())
                if not _wait_until(t_take_s, link):
                    return
            self._picture(t_seen_s)

    def _picture(self, t_seen_s: float) -> None:
        arrival, superseded = self._sequence.pick(self._line.take())
        if arrival is not None:
            self._command = arrival.command
            self._speaker.play(arrival.command.tone_hz)
        t_draw_ns = time.perf_counter_ns()
        self._backend.draw(self._command, t_seen_s)
        t_flip_ns = self._backend.flip()
        if arrival is not None and self.photodiode is not None:
            self._patch_is_white = not self._patch_is_white
            self.photodiode.drive(int(self._patch_is_white))
        missed = 0 if self._at_once else self._pacer.flipped(t_flip_ns * 1e-9)
        for report in superseded:
            self._line.send(report)
        if arrival is not None:
            self._line.send(self._shown(arrival, t_draw_ns, t_flip_ns, missed))
        elif missed:
            self._line.send(MissedFlips(count=missed, t_flip_ns=t_flip_ns))

    def _shown(self, arrival: Arrival, t_draw_ns: int, t_flip_ns: int, missed: int) -> FlipReport:
        return FlipReport(
            command_id=arrival.command.command_id,
            kind=FlipKind.SHOWN,
            t_received_ns=arrival.t_received_ns,
            t_draw_ns=t_draw_ns,
            t_flip_ns=t_flip_ns,
            missed_flips=missed,
            blanks=self._blanks,
        )


def _wait_until(t_s: float, link: ProcessLink) -> bool:
    """Sleep until then; False where a stop was asked for meanwhile."""
    while (left_s := t_s - time.perf_counter()) > 0:
        time.sleep(min(left_s, _POLL_S))
        if left_s > _POLL_S and link.stop_requested():
            return False
    return True
