"""What the auditory cursor is heard from: a sound device, or nothing."""

import importlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bci.config.rig import Sound
from bci.stimuli.oscillator import Oscillator

NOT_NEEDED = "none needed"
SILENCE_MEANT = 'none: rig.sound.backend = "null"'
TO_DO = 'connect one, see rig.sound, or set rig.sound.backend = "null" if silence is meant'


class SpeakerError(RuntimeError):
    """No sound can be made; the text says why."""


class Speaker(Protocol):
    """Plays one tone at a time; no call ever waits for the device."""

    @property
    def description(self) -> str:
        """What it is, in words; begins with `none` where nothing can be heard."""
        ...

    def play(self, tone_hz: float) -> None:
        """Change the tone, 0: silence."""
        ...

    def close(self) -> None:
        """Fall silent; a second call does nothing."""
        ...


class NullSpeaker:
    """Plays nothing.

    Parameters
    ----------
    description
        Why, in words that begin with `none`.
    """

    def __init__(self, description: str = NOT_NEEDED) -> None:
        self.description = description

    def play(self, tone_hz: float) -> None:
        """Nothing is heard."""

    def close(self) -> None:
        """Nothing to give back."""


class SoundDevice:
    """A stream of samples to PortAudio, made in its own thread while pictures are drawn.

    The library is the one below PsychoPy's `sounddevice` backend, whose own sounds are buffers made
    beforehand: a tone that changes at every frame would stop, start and click.

    Parameters
    ----------
    settings
        `rig.sound`.

    Raises
    ------
    SpeakerError
        Where there is no library, no device, or the device does not take the settings.
    """

    def __init__(self, settings: Sound) -> None:
        self._oscillator = Oscillator(settings.sample_rate_hz, settings.volume)
        # the library and its drivers raise what they like here
        try:
            library: Any = importlib.import_module("sounddevice")
            latency = "low" if settings.latency_ms is None else settings.latency_ms * 1e-3
            self._stream = library.OutputStream(
                samplerate=settings.sample_rate_hz,
                device=settings.device,
                channels=1,
                dtype="float32",
                latency=latency,
                callback=self._fill,
            )
            name = library.query_devices(self._stream.device)["name"]
            self._stream.start()
        except Exception as error:
            why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise SpeakerError(why) from error
        self.description = (
            f"{name}, {settings.sample_rate_hz:g} Hz, "
            f"{self._stream.latency * 1e3:.1f} ms from sample to sound as the driver tells"
        )

    def play(self, tone_hz: float) -> None:
        """Change the tone from the next block of samples on."""
        self._oscillator.tone_hz = tone_hz

    def close(self) -> None:
        """Stop the stream."""
        if not self._stream.closed:
            self._stream.close()

    def _fill(self, samples: NDArray[np.float32], n: int, _time: Any, _status: Any) -> None:
        self._oscillator.fill(samples[:n, 0])


def open_speaker(settings: Sound, *, needed: bool) -> Speaker:
    """Open the sound device if the feedback has a tone and silence is not meant.

    Parameters
    ----------
    settings
        `rig.sound`.
    needed
        True if the feedback has a tone.

    Raises
    ------
    SpeakerError
        If the device cannot be opened.
    """
    if not needed:
        return NullSpeaker()
    if settings.backend == "null":
        return NullSpeaker(SILENCE_MEANT)
    return SoundDevice(settings)
