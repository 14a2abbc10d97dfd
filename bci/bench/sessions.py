"""Sessions for benchmarks: the real processes, a command for every frame, nothing written after."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bci.config import SettingsError, validate_session
from bci.config.session import Session
from bci.recording.folder import LOG
from bci.recording.manifest import make_manifest, write_manifest
from bci.recording.session_record import SessionRecord
from bci.session.history import HistoryServer
from bci.session.logs import LogBook
from bci.session.supervisor import Supervisor
from bci.stream.access import Access, new_token

USUAL_DECODER = {
    "p_plus": ("roi0000", "roi0001", "roi0002", "roi0003"),
    "p_minus": ("roi0004", "roi0005", "roi0006", "roi0007"),
}


class BenchFailed(RuntimeError):
    """The session under the benchmark did not end as it should."""


def bench_session(
    n_rois: int,
    rate_hz: float,
    *,
    screen: bool,
    f0_window_s: float = 1.0,
    n_planes: int = 1,
    decoder: Mapping[str, Any] = USUAL_DECODER,
) -> Session:
    """A session in RUN once its F0 window is full, whose continuous angle changes every frame.

    Parameters
    ----------
    n_rois, rate_hz
        Of a simulated source, over all its planes.
    screen
        False: the null backend.
    f0_window_s
        Trailing window of F0.
    n_planes
        Planes of the source.
    decoder
        What else `experiment.decoder` holds.
    """
    data: dict[str, Any] = {
        "subject": "bench",
        "rig": {
            "name": "bench",
            "source": {"kind": "simulated", "n_rois": n_rois, "rate_hz": rate_hz}
            | {"n_planes": n_planes},
            "board": {"kind": "simulated"},
            "screen": {"backend": "psychopy" if screen else "null"},
        },
        "experiment": {
            "name": "bench",
            "decoder": {
                "f0_window_s": f0_window_s,
                "angle_map": "continuous",
                # so slow that no trial ends, where the cursor is a velocity
                "velocity_deg_per_s": 1e-3,
                **decoder,
            },
            # beyond what any signal reaches: no trial ends in a hit
            "threshold": {"t": 1e6, "lo": -1e6},
            "task": {"trial_s": 3600.0},
            "stimulus": {"temporal_freq_hz": 2.0},
        },
    }
    session, faults = validate_session(data)
    if session is None or faults:
        raise SettingsError(faults)
    return session


@contextmanager
def recorded(
    session: Session,
    duration_s: float,
    beside: Callable[[Path], AbstractContextManager[object]] = nullcontext,
) -> Iterator[SessionRecord]:
    """Run a session for so long; its record, while the block lasts.

    Parameters
    ----------
    session, duration_s
        What is run.
    beside
        Makes what is entered while the session runs, from its folder.

    Raises
    ------
    BenchFailed
        Where it ended otherwise than by its duration.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        now = datetime.now().astimezone()
        write_manifest(folder, make_manifest("bench", session, now))
        book = LogBook(folder / LOG, None)
        try:
            access = Access(new_token())
            with HistoryServer(folder, access=access) as history, beside(folder):
                supervisor = Supervisor(
                    session, folder, "bench", book, history.endpoint, access, duration_s
                )
                ending = supervisor.run()
        finally:
            book.close()
        if not ending.ok or supervisor.stop_asked:
            raise BenchFailed(ending.reason)
        yield SessionRecord.read(folder)
