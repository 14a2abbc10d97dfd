"""Which reader takes which recording."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

from bci.config.input_file import open_input
from bci.recording.readers.suite2p import is_suite2p
from bci.recording.readers.traces import RecordingError, Traces

Reader = Callable[[Path, float | None, int], Traces]


@dataclass(frozen=True)
class Format:
    """One kind of recording.

    Parameters
    ----------
    description
        As the user is told what is accepted.
    accepts
        True where a path that exists looks like this kind.
    module, function
        The reader; imported when needed, because some take a second to import.
    has_series
        True if it may hold several signals; its reader then takes their names as `series`.
    """

    description: str
    accepts: Callable[[Path], bool]
    module: str
    function: str
    has_series: bool = False

    def reader(self, series: Sequence[str] = ()) -> Reader:
        """The function that reads these series of it."""
        reader: Callable[..., Traces] = getattr(import_module(self.module), self.function)
        return partial(reader, series=series) if series else reader


def _suffix(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.is_file() and path.suffix.lower() in suffixes


_READERS = "bci.recording.readers"
FORMATS = (
    Format(".npy (n_rois × n_frames)", _suffix(".npy"), f"{_READERS}.arrays", "read_npy"),
    Format(".npz (array `traces` or `F`)", _suffix(".npz"), f"{_READERS}.arrays", "read_npz"),
    Format(
        "an NWB file (.nwb)",
        _suffix(".nwb", ".h5", ".hdf5"),
        f"{_READERS}.nwb",
        "read_nwb",
        has_series=True,
    ),
    Format(
        "a session folder (journal.mcap)",
        lambda path: (path / "journal.mcap").is_file(),
        f"{_READERS}.session",
        "read_session",
    ),
    Format("a suite2p folder (plane0/F.npy)", is_suite2p, f"{_READERS}.suite2p", "read_suite2p"),
)


def read_traces(
    path: Path, rate_hz: float | None = None, n_planes: int = 1, series: Sequence[str] = ()
) -> Traces:
    """Read a recording of any accepted kind.

    Parameters
    ----------
    path
        File or folder.
    rate_hz
        Rate of frame_id over all planes, Hz; where given it goes before what the file tells.
    n_planes
        Planes that the rows of a plain array are dealt to. Other files tell it themselves; 1 or
        their own number is then accepted.
    series
        Names of the series to play, of an NWB file that holds several; empty: raw fluorescence.

    Raises
    ------
    RecordingError
        Naming the file, what is wrong with it and what to do.
    """
    if not path.exists():
        raise RecordingError(path, "no such file or folder", "check rig.source.path")
    if not path.is_dir():
        try:
            # before a reader of somebody else's opens it
            open_input(path).close()
        except OSError as error:
            raise RecordingError(path, f"not readable ({error})", "name another") from error
    for kind in FORMATS:
        if kind.accepts(path):
            if series and not kind.has_series:
                raise RecordingError(
                    path, "no NWB file: it has no series to choose", "remove rig.source.series"
                )
            try:
                return kind.reader(series)(path, rate_hz, n_planes)
            except OSError as error:
                raise RecordingError(
                    path, f"not readable ({error})", "check the file and its permissions"
                ) from error
            except MemoryError as error:
                raise RecordingError(
                    path, f"needs more memory than there is ({error})", "play it in parts"
                ) from error
    accepted = ", ".join(kind.description for kind in FORMATS)
    raise RecordingError(path, "no recording that this program reads", f"give it {accepted}")
