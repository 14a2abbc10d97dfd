"""The auditory cursor through a real sound library, and without one."""

import logging
import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest

from bci.config.rig import Sound
from bci.stimuli.speaker import NullSpeaker, SoundDevice, SpeakerError, open_speaker

TONES_HZ = (6000.0, 11000.0, 19000.0)
PART = 4800
# ALSA hands every sample to a file instead of a card
ALSA = 'pcm.!default {{ type file slave.pcm "null" file "{file}" format "raw" }}'
# a second of each, however long the card takes for it
PLAY = """
import os, sys, time
from bci.config.rig import Sound
from bci.stimuli.speaker import SoundDevice
file, *tones_hz = sys.argv[1:]
speaker = SoundDevice(Sound(volume=0.5))
for tone_hz in map(float, tones_hz):
    speaker.play(tone_hz)
    enough = os.path.getsize(file) + 4 * 48000
    while os.path.getsize(file) < enough:
        time.sleep(0.001)
speaker.close()
speaker.close()
print(speaker.description)
"""


def test_no_device_is_told_once_and_never_stops_the_screen(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SpeakerError):
        SoundDevice(Sound())
    with caplog.at_level(logging.WARNING):
        speaker = open_speaker(Sound(), needed=True, live=True)
    assert isinstance(speaker, NullSpeaker)
    assert speaker.description.startswith("none: ")
    (told,) = caplog.messages
    assert "the auditory cursor is silent" in told
    for tone_hz in TONES_HZ:
        speaker.play(tone_hz)
    speaker.close()


@pytest.mark.parametrize(("needed", "live"), [(False, True), (False, False), (True, False)])
def test_device_is_not_touched_where_nobody_would_hear_it(
    needed: bool, live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    assert open_speaker(Sound(), needed=needed, live=live).description.startswith("none")
    assert "sounddevice" not in sys.modules


@pytest.mark.skipif(find_library("portaudio") is None, reason="no libportaudio2")
@pytest.mark.skipif(sys.platform != "linux", reason="ALSA writes what is heard to a file")
def test_tones_reach_the_sound_card_in_their_order(tmp_path: Path) -> None:
    raw = tmp_path / "heard.raw"
    (tmp_path / ".asoundrc").write_text(ALSA.format(file=raw))
    root = Path(__file__).parents[2]
    environment = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", PLAY, raw, *map(str, TONES_HZ)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "from sample to sound" in done.stdout
    samples = np.frombuffer(raw.read_bytes(), dtype=np.float32)
    # the file takes samples as fast as they are made: how many is chance, their order is not
    found = []
    for start in range(0, len(samples) - PART, PART):
        part = samples[start : start + PART]
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
        hz = float(np.argmax(spectrum)) * 48000.0 / len(part)
        nearest = min(TONES_HZ, key=lambda tone_hz: abs(tone_hz - hz))
        if abs(nearest - hz) < 30 and (not found or found[-1] != nearest):
            found.append(nearest)
    assert found == list(TONES_HZ)
