"""The animal's screen: a PsychoPy window with a drifting grating."""

import logging
import os
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.config.experiment import Stimulus
from bci.config.rig import PhotodiodePatch, Screen
from bci.core.stimulus_types import ScreenHello, ScreenKind, StimulusCommand
from bci.stimuli.awake import Awake, idle_reset
from bci.stimuli.backend import ScreenError
from bci.stimuli.drift import DriftPhase
from bci.stimuli.geometry import ScreenGeometry
from bci.stimuli.pacing import measure_blanking
from bci.stimuli.psychopy_import import PsychoPy, import_psychopy
from bci.stimuli.still_there import StillThere, window_exists
from bci.stimuli.xvfb import Xvfb, needs_xvfb

_log = logging.getLogger("bci.stimulus")

_GREY = 0.0
_BLACK = -1.0
# fine enough that the nearest texel is within one grey level, which is cheaper to draw
# than to interpolate where there is no graphics card
_TEXTURE_PX = 1024
_MASK_PX = 512
# exp(-4**2 / 2) is below one step of an 8-bit mask: the Gabor is not cut off visibly
_GABOR_SIGMAS = 4.0
_SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "software rasterizer")


class PsychoPyBackend:
    """Gratings, grey and black in a window, with an X server of our own where there is none.

    Luminance is linear in PsychoPy's `rgb` space: -1 black, 0 mid grey, 1 white.

    Parameters
    ----------
    screen
        The rig's screen.
    stimulus
        The experiment's grating.
    """

    def __init__(self, screen: Screen, stimulus: Stimulus) -> None:
        self._screen = screen
        self._stimulus = stimulus
        self._drift = DriftPhase()
        self._command_id: int | None = None
        self._luminance: float | None = None
        self._xvfb: Xvfb | None = None
        self._window: Any = None
        self._grating: Any = None
        self._patch: Any = None
        self._where = ""
        self._awake = Awake(lambda: None)
        self._there = StillThere(lambda: True)
        self.blanks = False
        self.refresh_s = 1 / screen.refresh_hz

    def open(self) -> ScreenHello:
        """Open the window, prepare the grating, find out whether the screen blanks."""
        try:
            self._choose_display()
            hello = self._open_window()
        except BaseException:
            self.close()
            raise
        return hello

    def draw(self, command: StimulusCommand | None, t_s: float) -> None:
        """Draw background, grating and photodiode patch; see `StimulusBackend.draw`."""
        try:
            self._draw(command, t_s)
        # whatever the driver raises where its window or its context has gone
        except Exception as error:
            raise self._lost(error) from error

    def flip(self) -> int:
        """Show the picture."""
        try:
            self._window.flip(clearBuffer=False)
        except Exception as error:
            raise self._lost(error) from error
        t_flip_ns = time.perf_counter_ns()
        self._awake.turn(t_flip_ns)
        if not self._there.turn(t_flip_ns):
            raise self._lost(LookupError("the X server has it no more"))
        return t_flip_ns

    def close(self) -> None:
        """Close the window and end the X server of our own."""
        if self._window is not None:
            self._window.close()
            self._window = None
        if self._xvfb is not None:
            os.environ.pop("DISPLAY", None)
            self._xvfb.stop()
            self._xvfb = None

    def _draw(self, command: StimulusCommand | None, t_s: float) -> None:
        phase_cycles = self._drift.advance(command, t_s)
        kind = ScreenKind.GREY if command is None else command.screen
        if kind is ScreenKind.BLACK:
            self._clear(_BLACK)
        elif command is None or kind is ScreenKind.GREY:
            self._clear(_GREY)
        else:
            self._clear(self._screen.background)
            self._grating.ori = command.orientation_deg
            self._grating.phase = phase_cycles
            self._grating.contrast = command.contrast
            self._grating.draw()
        if self._patch is not None:
            if command is not None and command.command_id != self._command_id:
                self._command_id = command.command_id
                self._patch.color = -self._patch.color
            self._patch.draw()

    def _lost(self, error: Exception) -> ScreenError:
        why = _in_words(error)
        return ScreenError(
            f"the window on {self._where} is gone: {why}. Somebody closed it, or the graphics "
            "driver dropped it: see the driver's own log."
        )

    def _choose_display(self) -> None:
        if needs_xvfb(self._screen.display):
            self._xvfb = Xvfb(self._screen.width_px, self._screen.height_px)
            os.environ["DISPLAY"] = self._xvfb.display
        elif self._screen.display is not None:
            os.environ["DISPLAY"] = self._screen.display

    def _gamma(self) -> float | None:
        if self._screen.gamma is not None and self._xvfb is not None:
            _log.warning("rig.screen.gamma is left out: an Xvfb takes none and nobody sees it")
            return None
        return self._screen.gamma

    def _open_window(self) -> ScreenHello:
        screen = self._screen
        where = self._where = os.environ.get("DISPLAY") or f"screen {screen.screen_index}"
        try:
            psychopy = import_psychopy()
            _require_screen(psychopy, screen.screen_index)
            self._window = psychopy.Window(
                size=(screen.width_px, screen.height_px),
                fullscr=screen.fullscreen,
                screen=screen.screen_index,
                winType="pyglet",
                monitor=_monitor(psychopy, screen),
                units="pix",
                color=(_GREY,) * 3,
                colorSpace="rgb",
                gamma=self._gamma(),
                gammaErrorPolicy="raise",
                allowGUI=False,
                checkTiming=False,
                waitBlanking=True,
                autoLog=False,
            )
        except ScreenError:
            raise
        # PsychoPy, pyglet and the driver raise what they like here
        except Exception as error:
            raise ScreenError(_why_not(screen, where, error)) from error
        self._awake = Awake(idle_reset(self._window.winHandle))
        self._there = StillThere(window_exists(self._window.winHandle))
        width_px, height_px = (int(value) for value in self._window.size)
        geometry = ScreenGeometry(width_px, height_px, screen.width_cm, screen.distance_cm)
        self._grating = _make_grating(psychopy, self._window, geometry, self._stimulus)
        if screen.photodiode.enabled:
            self._patch = _make_patch(psychopy, self._window, geometry, screen.photodiode)
        renderer = str(psychopy.gl_info.get_renderer())
        self._measure(renderer)
        return ScreenHello(
            backend="psychopy",
            renderer=renderer,
            display=where,
            width_px=width_px,
            height_px=height_px,
            refresh_hz=1 / self.refresh_s,
            blanks=self.blanks,
        )

    def _measure(self, renderer: str) -> None:
        def flip_grey() -> int:
            # a grating without contrast cannot be seen, and the driver compiles what it needs now
            self._clear(_GREY)
            self._grating.contrast = 0.0
            self._grating.draw()
            return self.flip()

        blanks, interval_s = measure_blanking(flip_grey)
        self.blanks = blanks and not any(name in renderer.lower() for name in _SOFTWARE_RENDERERS)
        if self.blanks:
            self.refresh_s = interval_s

    def _clear(self, luminance: float) -> None:
        if luminance != self._luminance:
            self._window.setColor((luminance,) * 3, colorSpace="rgb", log=False)
            self._luminance = luminance
        self._window.clearBuffer()


def _require_screen(psychopy: PsychoPy, index: int) -> None:
    """PsychoPy would take the first screen instead, which the animal does not see."""
    n_screens = len(psychopy.Display().get_screens())
    if index >= n_screens:
        raise ScreenError(
            f"rig.screen.screen_index: no screen {index}. Found: {n_screens}, counted from 0. "
            "Connect it, or set rig.screen.screen_index."
        )


def _monitor(psychopy: PsychoPy, screen: Screen) -> Any:
    """The screen's measures as PsychoPy wants them, in memory alone."""
    monitor = psychopy.Monitor(
        "rig", width=screen.width_cm, distance=screen.distance_cm, autoLog=False
    )
    monitor.setSizePix((screen.width_px, screen.height_px))
    return monitor


def _make_grating(
    psychopy: PsychoPy, window: Any, geometry: ScreenGeometry, stimulus: Stimulus
) -> Any:
    centre_px = geometry.position_px(stimulus.position_deg)
    mask: NDArray[np.float32] | None
    match stimulus.mask:
        case "gabor":
            sigma_px = stimulus.gabor_sigma_width * geometry.width_px
            size_px, mask = 2 * _GABOR_SIGMAS * sigma_px, gaussian_mask(_MASK_PX)
        case "circle":
            size_px = geometry.diameter_px(stimulus.circle_diameter_deg)
            mask = disc_mask(_MASK_PX)
        case "full":
            size_px, mask = geometry.covering_px(centre_px), None
    grating = psychopy.GratingStim(
        window,
        tex="sin",
        texRes=_TEXTURE_PX,
        interpolate=True,  # of the mask; the texture is made at the first draw
        mask=mask,
        units="pix",
        pos=centre_px,
        size=(size_px, size_px),
        sf=(geometry.cycles_per_px(stimulus.spatial_freq, stimulus.spatial_freq_unit), 0.0),
        colorSpace="rgb",
        autoLog=False,
    )
    grating.interpolate = False
    return grating


def _make_patch(
    psychopy: PsychoPy, window: Any, geometry: ScreenGeometry, photodiode: PhotodiodePatch
) -> Any:
    x = (geometry.width_px - photodiode.size_px) / 2
    y = (geometry.height_px - photodiode.size_px) / 2
    vertical, horizontal = photodiode.corner.split("_")
    return psychopy.GratingStim(
        window,
        tex=None,
        mask=None,
        units="pix",
        pos=(x if horizontal == "right" else -x, y if vertical == "top" else -y),
        size=(photodiode.size_px, photodiode.size_px),
        color=(_BLACK,) * 3,
        colorSpace="rgb",
        autoLog=False,
    )


def gaussian_mask(size_px: int) -> NDArray[np.float32]:
    """Opacity of a Gabor whose half width is 4 sigma; shape (size_px, size_px), -1 to 1."""
    return (2 * np.exp(-((_GABOR_SIGMAS * _radius(size_px)) ** 2) / 2) - 1).astype(np.float32)


def disc_mask(size_px: int) -> NDArray[np.float32]:
    """Opacity of a disc with an edge of one texel; shape (size_px, size_px), -1 to 1."""
    texels_inside = (1 - _radius(size_px)) * size_px / 2
    return (2 * np.clip(texels_inside, 0, 1) - 1).astype(np.float32)


def _radius(size_px: int) -> NDArray[np.float64]:
    """Distance of each texel's centre from the middle, 1 at the edge of the square."""
    along = (np.arange(size_px) + 0.5) / size_px * 2 - 1
    return np.hypot(along[:, None], along[None, :])


def _why_not(screen: Screen, where: str, error: Exception) -> str:
    why = _in_words(error)
    if type(error).__name__ == "NoSuchDisplayException":
        why = "no X server answers there"
    text = f"cannot open a window on {where}: {why}."
    if screen.gamma is not None and "gamma" in why.lower():
        first = why.split(". ")[0]
        return f"rig.screen.gamma: {where} takes no gamma table ({first}). Remove the setting."
    if sys.platform in ("win32", "darwin"):
        return f"rig.screen: {text} Check rig.screen.screen_index and the graphics driver."
    return (
        f"rig.screen.display: {text} Set it to a running X display, "
        "or unset it and DISPLAY to draw on an Xvfb."
    )


def _in_words(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
