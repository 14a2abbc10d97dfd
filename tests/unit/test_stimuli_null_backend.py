from picture_screen import grating_command

from bci.config.rig import Screen
from bci.core.stimulus_types import ScreenKind
from bci.stimuli.null_backend import NullBackend


def test_log_holds_what_would_have_been_shown() -> None:
    backend = NullBackend(Screen())
    assert not backend.open().blanks
    commands = [
        None,
        grating_command(15, command_id=1, temporal_freq_hz=1.0),
        grating_command(15, command_id=1, temporal_freq_hz=1.0),
        grating_command(30, command_id=2, temporal_freq_hz=1.0),
        grating_command(30, command_id=3, screen=ScreenKind.BLACK),
    ]
    for index, command in enumerate(commands):
        backend.draw(command, 0.25 * index)
        backend.flip()
    pictures = list(backend.pictures)
    assert [picture.command for picture in pictures] == commands
    assert [picture.phase_cycles for picture in pictures] == [0, 0.25, 0.5, 0.75, 0.75]
    assert [picture.photodiode_white for picture in pictures] == [False, True, True, False, True]
    assert pictures[0].screen is ScreenKind.GREY
    assert pictures[-1].screen is ScreenKind.BLACK
