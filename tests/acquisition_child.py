"""An acquisition process: acquisition_child.py ENDPOINT TOKEN SESSION.json NAME EPOCH [T_NS]."""

import json
import sys
from pathlib import Path

from bci.config import validate_session
from bci.hardware.imaging.process import run_acquisition
from bci.stream.supervision import SupervisorLink

endpoint, token, settings, name, epoch, *origin = sys.argv[1:]
session, faults = validate_session(json.loads(Path(settings).read_text()))
assert session is not None, faults
link = SupervisorLink(endpoint, "acquisition", token)
try:
    run_acquisition(session, link, name, int(epoch), int(origin[0]) if origin else None)
finally:
    link.close()
