"""From the settings to a source, and what can be said against it before anything starts."""

from collections import Counter
from collections.abc import Collection, Sequence

import msgspec

from bci.config import Fault, Session
from bci.config.rig import DoorSource as DoorSettings
from bci.config.rig import RecordingSource as RecordingSettings
from bci.config.rig import SimulatedSource as SimulatedSettings
from bci.config.rig import Source
from bci.core.blocks import planned_blocks
from bci.core.ensembles import FEWEST
from bci.core.light import blanked_rows, is_barred
from bci.core.loop_types import BlockKind
from bci.core.messages import MOST_LABEL, cut
from bci.core.source import FrameSource
from bci.core.stream_types import Roi, StreamInfo
from bci.hardware.imaging.door_source import DoorSource, describe_door
from bci.hardware.imaging.recording_source import RecordingSource
from bci.recording.readers.registry import read_traces
from bci.recording.readers.traces import RateUnknown, RecordingError, Traces
from bci.simulation.field_of_view import SimulatedFieldOfView

LABELS_SHOWN = 6


class Opened(msgspec.Struct, frozen=True):
    """What is known of a source before it runs.

    Parameters
    ----------
    info
        Its description.
    duration_s
        Until it ends by itself; None: it does not.
    """

    info: StreamInfo
    duration_s: float | None


def open_source(settings: Source, peers: Collection[str] = ()) -> FrameSource:
    """The source that the settings name, ready to be read.

    Parameters
    ----------
    settings
        `rig.source`.
    peers
        `rig.insecure_peers`: who may send to a door that other computers can reach.

    Raises
    ------
    RecordingError
        Where a recording cannot be played.
    StreamError
        Where a door's address cannot be bound.
    """
    match settings:
        case SimulatedSettings():
            return SimulatedFieldOfView(settings)
        case RecordingSettings():
            return RecordingSource(
                _read(settings),
                background_counts=settings.background_counts,
                loop=settings.loop,
            )
        case DoorSettings():
            return DoorSource(settings, peers)


def describe_source(settings: Source) -> Opened:
    """Description of a source without its running: no socket is bound.

    Raises
    ------
    RecordingError
        Where a recording cannot be played.
    """
    match settings:
        case SimulatedSettings():
            return Opened(SimulatedFieldOfView(settings).info, settings.duration_s)
        case RecordingSettings():
            traces = read_traces(
                settings.path, settings.rate_hz, settings.n_planes, settings.series
            )
            return Opened(traces.info, None if settings.loop else traces.duration_s)
        case DoorSettings():
            return Opened(describe_door(settings), None)


def _read(settings: RecordingSettings) -> Traces:
    return read_traces(settings.path, settings.rate_hz, settings.n_planes, settings.series)


def source_faults(session: Session) -> list[Fault]:
    """Everything that the source makes impossible in the session; empty where it fits."""
    settings = session.rig.source
    try:
        opened = describe_source(settings)
    except RateUnknown as error:
        return [Fault("rig.source.rate_hz", None, f"a rate, because {error.path.name} "
                      "does not tell its own", error.todo)]  # fmt: skip
    except RecordingError as error:
        return [Fault("rig.source.path", str(error.path), error.wrong, error.todo)]
    return [
        *_door_faults(settings),
        *_plane_faults(session, opened.info),
        *_label_faults(session, opened.info),
        *_light_faults(session, opened.info),
        *_duration_faults(session, opened),
    ]


def _door_faults(settings: Source) -> list[Fault]:
    if not isinstance(settings, DoorSettings) or not settings.labels:
        return []
    key, others = "rig.source.labels", ("rig.source.n_rois",)
    faults = []
    if len(settings.labels) != settings.n_rois:
        allowed = f"as many as rig.source.n_rois = {settings.n_rois}"
        faults.append(
            Fault(key, f"{len(settings.labels)} labels", allowed, "name every ROI once", others)
        )
    long = [cut(label, 20) for label in settings.labels if len(label) > MOST_LABEL]
    if long:
        allowed = f"labels of at most {MOST_LABEL} characters"
        faults.append(Fault(key, long, allowed, "give shorter ones"))
    twice = sorted(label for label, n in Counter(settings.labels).items() if n > 1)
    if twice:
        faults.append(Fault(key, twice, "each label once", "remove the repetition"))
    return faults


def _plane_faults(session: Session, info: StreamInfo) -> list[Fault]:
    plane = session.experiment.decoder.decode_plane
    # Where the settings alone show the fault, the rules between keys have told it already.
    if plane < info.n_planes or plane >= session.rig.source.n_planes:
        return []
    return [
        Fault(
            "experiment.decoder.decode_plane",
            plane,
            f"below {info.n_planes}, the planes of {info.source}",
            "planes are counted from 0",
            ("rig.source.path",),
        )
    ]


def _label_faults(session: Session, info: StreamInfo) -> list[Fault]:
    decoder = session.experiment.decoder
    table = {roi.label: roi for roi in info.rois}
    missing = [label for label in (*decoder.p_plus, *decoder.p_minus) if label not in table]
    if missing and session.day.ensembles_from:
        # they were there on day 1: this is no slip of the pen
        return [_missing_fault(missing, session, info)]
    faults = []
    for name, labels in (("p_plus", decoder.p_plus), ("p_minus", decoder.p_minus)):
        for label in labels:
            wrong = _label_fault(
                f"experiment.decoder.{name}", label, table, info, decoder.decode_plane
            )
            if wrong is not None:
                faults.append(wrong)
    return faults


def _missing_fault(missing: Sequence[str], session: Session, info: StreamInfo) -> Fault:
    return Fault(
        "experiment.decoder",
        list(missing),
        f"neurons that the stream has today; those of {session.subject} "
        f"({session.day.ensembles_from}) are not all among the {len(info.rois)} ROIs of "
        f"{info.source}",
        f"find them in the field of view, or confirm going on with the rest, P+ and P- each at "
        f"least {FEWEST}: --without {','.join(missing)}",
        ("rig.source", "experiment.decoder.decode_plane"),
    )


def _label_fault(
    key: str, label: str, table: dict[str, Roi], info: StreamInfo, decode_plane: int
) -> Fault | None:
    others = ("rig.source", "experiment.decoder.decode_plane")
    in_plane = [roi.label for roi in info.plane_rois(decode_plane)]
    roi = table.get(label)
    if roi is None:
        # no spelling is near: another number is another neuron
        allowed = f"an ROI of the stream ({len(table)} ROIs of {info.source})"
        return Fault(key, label, allowed, f"plane {decode_plane} has {_listed(in_plane)}", others)
    if roi.plane != decode_plane:
        return Fault(
            key,
            label,
            f"an ROI of plane {decode_plane}, which is decoded; {label} lies in plane {roi.plane}",
            f"plane {decode_plane} has {_listed(in_plane)}; or set "
            f"experiment.decoder.decode_plane = {roi.plane} for both ensembles",
            others,
        )
    return None


def _light_faults(session: Session, info: StreamInfo) -> list[Fault]:
    """ROIs of the ensembles that the gate blanks, or may blank."""
    experiment = session.experiment
    light, decoder = experiment.light, experiment.decoder
    table = {roi.label: roi for roi in info.rois}
    rows = blanked_rows(light, info)
    faults = []
    for name, labels in (("p_plus", decoder.p_plus), ("p_minus", decoder.p_minus)):
        barred = [
            label for label in labels if label in table and is_barred(light, info, table[label])
        ]
        if not barred:
            continue
        known = rows is not None and all(table[label].y_px == table[label].y_px for label in barred)
        allowed = (
            f"ROIs below the first {rows} rows, which the gate of the light blanks, and "
            f"{light.margin_px:g} px more"
            if known
            else "ROIs whose place in the image is known, because the gate of the light blanks rows"
        )
        todo = (
            "choose others, or set experiment.light.blanked_rows to what your gate blanks"
            if known
            else "set experiment.light.blanked_rows = 0 if they lie below the rows that are gated"
        )
        others = ("experiment.light", "rig.source")
        faults.append(Fault(f"experiment.decoder.{name}", barred, allowed, todo, others))
    return faults


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:LABELS_SHOWN])
    more = len(labels) - LABELS_SHOWN
    return f"{shown}, … ({more} more)" if more > 0 else shown or "no ROI"


def _duration_faults(session: Session, opened: Opened) -> list[Fault]:
    experiment, duration_s = session.experiment, opened.duration_s
    if duration_s is None:
        return []
    blocks, baseline = planned_blocks(session), experiment.baseline
    needed_s, what = experiment.decoder.f0_window_s, "the F0 window"
    if BlockKind.BASELINE in blocks and baseline is not None:
        needed_s, what = baseline.duration_s, "the baseline"
    if BlockKind.CLOSED_LOOP in blocks:
        needed_s += experiment.task.grey_s + experiment.task.trial_s
        what = f"{what} and one trial"
    if duration_s >= needed_s:
        return []
    allowed = f"at least {needed_s:g} s, {what}"
    others = ("experiment.baseline.duration_s", "experiment.task.trial_s")
    if isinstance(session.rig.source, RecordingSettings):
        return [
            Fault(
                "rig.source.path",
                str(session.rig.source.path),
                f"{allowed}; this recording ends after {duration_s:g} s",
                "name a longer one, set rig.source.loop = true, or shorten baseline or trial",
                others,
            )
        ]
    todo = "raise it, or shorten baseline or trial"
    return [Fault("rig.source.duration_s", duration_s, allowed, todo, others)]
