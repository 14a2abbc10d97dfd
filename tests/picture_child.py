"""A PsychoPy screen for tests that shows just what it is told, at the times it is told.

    python picture_child.py SCREEN_JSON STIMULUS_JSON

Prints its hello as JSON, then shows one picture a line of stdin, `[command or null, t_s]`, and
prints `shown`.
"""

import json
import sys

import msgspec

from bci.config.experiment import Stimulus
from bci.config.rig import Screen
from bci.core.stimulus_types import StimulusCommand
from bci.stimuli.psychopy_backend import PsychoPyBackend


def main() -> None:
    screen = Screen.model_validate_json(sys.argv[1])
    backend = PsychoPyBackend(screen, Stimulus.model_validate_json(sys.argv[2]))
    print(msgspec.json.encode(backend.open()).decode(), flush=True)  # noqa: T201
    for line in sys.stdin:
        command, t_s = json.loads(line)
        backend.draw(command and msgspec.convert(command, StimulusCommand), t_s)
        backend.flip()
        print("shown", flush=True)  # noqa: T201
    backend.close()


if __name__ == "__main__":
    main()
