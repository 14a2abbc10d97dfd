"""The auditory cursor through a real sound library, and without one."""

import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from running_session import DEMO, ROOT
from waiting import WAIT_S

from bci.config import load_session
from bci.config.load import Override
from bci.config.rig import Sound
from bci.session.check import Status
from bci.session.preflight import all_trials, sound_faults
from bci.stimuli.backend import ScreenError
from bci.stimuli.process import run_stimulus
from bci.stimuli.speaker import SpeakerError, open_speaker
from bci.stream.supervision import LocalLink

pytestmark = pytest.mark.slow

AUDITORY = ROOT / "configs" / "auditory.toml"
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


NO_DEVICE = """
import sys
sys.modules["sounddevice"] = None
from bci.cli import main
main()
"""
"""The program on a computer without a sound library."""


def test_missing_device_is_an_error_where_a_tone_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SpeakerError):
        open_speaker(Sound(), needed=True)
    link = LocalLink("stimulus")
    with pytest.raises(ScreenError):
        run_stimulus(load_session(AUDITORY, [Override.parse("rig.screen.backend=null")]), link)
    assert [kind for kind, _ in link.reports] == ["failed"]


@pytest.mark.parametrize(
    ("needed", "backend"), [(False, "device"), (False, "null"), (True, "null")]
)
def test_device_is_not_touched_where_nobody_would_hear_it(
    needed: bool, backend: Literal["device", "null"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    speaker = open_speaker(Sound(backend=backend), needed=needed)
    assert speaker.description.startswith("none")
    assert "sounddevice" not in sys.modules
    for tone_hz in TONES_HZ:
        speaker.play(tone_hz)
    speaker.close()


@pytest.mark.parametrize("verb", ["check", "run"])
def test_session_with_a_tone_does_not_begin_without_a_device(verb: str, tmp_path: Path) -> None:
    headless = ("--headless", "--duration=1") if verb == "run" else ()
    done = subprocess.run(
        [sys.executable, "-c", NO_DEVICE, verb, AUDITORY, *headless, f"--out={tmp_path / 'out'}"],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "rig.sound.backend" in done.stdout + done.stderr
    assert not (tmp_path / "out").exists()


def test_silence_that_is_meant_is_no_fault_and_a_missing_device_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    silent = load_session(AUDITORY, [Override.parse("rig.sound.backend=null")])
    assert sound_faults(silent) == []
    (fault,) = sound_faults(load_session(AUDITORY))
    assert fault.key == "rig.sound.backend"
    assert sound_faults(load_session(DEMO)) == []
    for session, status in ((silent, Status.WARN), (load_session(AUDITORY), Status.FAIL)):
        trials = {trial.name: trial for trial in all_trials(session, AUDITORY.parent)}
        assert trials["sound"].make().status is status


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
