"""The day in the report: its blocks, and what it took over from days and sessions before."""

from bci.analysis.report.html import Rows
from bci.core.counted import counted
from bci.recording.block_times import block_spans
from bci.recording.chosen import experiments
from bci.recording.session_record import SessionRecord
from bci.recording.time_axis import TimeAxis


def block_rows(record: SessionRecord, axis: TimeAxis) -> Rows:
    """Number, kind, start, end, how it ended."""
    return [
        (
            str(span.number),
            span.label.replace("_", " "),
            f"{span.start_s:.1f} s",
            f"{span.stop_s:.1f} s",
            "over" if span.whole else "the session ended in it",
        )
        for span in block_spans(record, axis)
    ]


def day_rows(record: SessionRecord) -> Rows:
    """Where ensembles and T came from, who was left out, what was gone on with."""
    day = record.session.day
    rows: Rows = []
    _, experiment, origin = experiments(record)[-1]
    decoder = experiment.decoder
    if decoder.p_plus:
        whence = f"chosen in this session by {origin}" if origin else day.ensembles_from
        whence = f" ({whence})" if whence else ""
        rows.append(("P+", f"{', '.join(decoder.p_plus)}{whence}"))
        rows.append(("P−", ", ".join(decoder.p_minus) or "–"))
    else:
        rows.append(("ensembles", "none chosen"))
    if day.without:
        rows.append(("left out today", f"{', '.join(day.without)}: weights 1/n of the rest"))
    if day.threshold is not None:
        rows.append(("T, lo", f"{day.threshold.t:.4f}, {day.threshold.lo:.4f}, "
                     f"{day.threshold.origin}"))  # fmt: skip
    if experiment.calibration.z_first is not None:
        rule = experiment.calibration.carry_over
        rows.append(
            ("carried over", f"z of T of day 1: {experiment.calibration.z_first:.3f} ({rule})")
        )
    if (resumed := day.resumed) is not None:
        rows.append(
            (
                "goes on with",
                f"{resumed.session}: {counted(resumed.trials, 'trial')}, "
                f"{resumed.session_spent_s:.0f} s of trials, "
                f"{counted(resumed.rewards, 'reward')} ({resumed.volume_ul:g} µl) before this",
            )
        )
    return rows
