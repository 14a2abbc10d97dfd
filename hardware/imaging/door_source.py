"""A microscope program as the live source, through one of the doors."""

from collections.abc import Collection

from bci.config.rig import DoorSource as DoorSettings
from bci.core.frame_header import FLAG_END, NotAFrame
from bci.core.loop_types import Malformed
from bci.core.source import EndOfSource, SourceFrame
from bci.core.stream_types import Roi, StreamInfo
from bci.recording.readers.traces import plain_labels
from bci.stream.door import Door, TcpDoor, ZmqDoor


class DoorSource:
    """Frames as a microscope program sends them, in its own time.

    What the sender tells is passed on unjudged: control keeps the ledger. Only session and epoch
    are ours, since a microscope program knows neither.

    Parameters
    ----------
    settings
        Address, rate and ROI table; frames do not carry them.
    peers
        Addresses that may send, where other computers can reach the door.
    """

    def __init__(self, settings: DoorSettings, peers: Collection[str] = ()) -> None:
        self._info = describe_door(settings)
        door = ZmqDoor if settings.kind == "zmq" else TcpDoor
        self._door: Door = door(
            host=settings.host, port=settings.port, exposed=settings.exposed, peers=peers
        )

    @property
    def info(self) -> StreamInfo:
        """The stream's description."""
        return self._info

    @property
    def paced(self) -> bool:
        """True: frames come when the microscope sends them."""
        return True

    @property
    def endpoint(self) -> str:
        """Address that the microscope program sends to, `tcp://host:port`."""
        return self._door.endpoint

    def seek(self, frame_id: int) -> None:
        """Not possible: the microscope counts its frames itself.

        Raises
        ------
        RuntimeError
            Always.
        """
        raise RuntimeError(f"frame {frame_id} cannot be chosen: the microscope counts frames")

    def read(self, timeout_s: float) -> SourceFrame | None:
        """Next frame, or None where none came in time.

        Raises
        ------
        NotAFrame
            Where what came was none; the next read goes on.
        EndOfSource
            Where the microscope program says that it was the last.
        """
        arrived = self._door.read(timeout_s)
        if arrived is None:
            return None
        if isinstance(arrived, Malformed):
            raise NotAFrame(f"{arrived.reason} ({arrived.n_bytes} bytes)")
        if arrived.flags & FLAG_END and not len(arrived.fluorescence):
            raise EndOfSource
        return SourceFrame(
            arrived.frame_id,
            arrived.plane,
            arrived.fluorescence,
            arrived.t_scope_ns,
            arrived.roi_hash,
            arrived.session_hash,
        )

    def close(self) -> None:
        """Give the sockets back; a second call does nothing."""
        self._door.close()


def describe_door(settings: DoorSettings) -> StreamInfo:
    """Description of what is expected at a door, as the settings tell it."""
    labels = settings.labels or plain_labels(settings.n_rois)
    return StreamInfo(
        session="",
        epoch=0,
        source=f"{settings.kind} door",
        rate_hz=settings.rate_hz,
        n_planes=settings.n_planes,
        image_shape=(0, 0),
        polarity=1,
        dark_counts=settings.dark_counts,
        saturation_counts=settings.saturation_counts,
        rois=tuple(Roi(row, label, row % settings.n_planes) for row, label in enumerate(labels)),
    )
