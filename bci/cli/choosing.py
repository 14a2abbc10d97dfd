"""The verb that chooses ensembles from a baseline and finds their threshold."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from bci.cli.options import (
    BEFORE,
    WRONG_INPUT,
    Json,
    Out,
    Sets,
    WrongInput,
    errors,
    overrides,
    told,
    write_json,
)
from bci.config import Override, Session, load_session

if TYPE_CHECKING:
    from bci.analysis.baseline.calibration import Calibrated
    from bci.analysis.baseline.keeping import Choice
    from bci.analysis.baseline.scores import Scores

app = typer.Typer()

WIDEST = 118

Labels = Annotated[str, typer.Option(metavar="A,B,…", help="ROIs by label, chosen by hand.")]


@app.command(
    rich_help_panel=BEFORE,
    epilog="Example: `bci calibrate baseline.npy mouse1.toml --subject m1`",
)
def calibrate(
    baseline: Annotated[
        Path,
        typer.Argument(help="Session folder, .npy or .npz traces, suite2p folder or NWB file."),
    ],
    session_file: Annotated[
        Path | None,
        typer.Argument(help="Session file (TOML); none: the settings of the session folder."),
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Name of the animal.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the split into P+ and P−.")] = None,
    plus: Labels = "",
    minus: Labels = "",
    again: Annotated[
        bool, typer.Option("--again", help="Choose anew although the animal has ensembles.")
    ] = False,
    sets: Sets = None,
    out: Out = Path("sessions"),
    json_file: Json = None,
) -> None:
    """Choose P+ and P− on a baseline, find T, lo and predicted chance, keep them for the animal.

    On later days the animal's ensembles stay, and T is carried over as the settings say.
    """
    from bci.analysis.baseline.calibration import calibrate_ensembles
    from bci.analysis.baseline.keeping import choose, keep, subject_folder
    from bci.analysis.baseline.proposal import TooFewCandidates
    from bci.analysis.baseline.recording import read_baseline
    from bci.analysis.baseline.scores import score_rois
    from bci.core.calibration import BaselineRefused
    from bci.recording.readers.traces import RecordingError
    from bci.recording.subject import SubjectDamaged

    console = told(json_file)
    try:
        settings = _settings(baseline, session_file, subject, sets)
        recorded = read_baseline(baseline, settings)
        scores = score_rois(recorded)
        folder = subject_folder(out, settings)
        try:
            choice = choose(
                scores, settings, folder,
                plus=_labels(plus), minus=_labels(minus), seed=seed, again=again,
            )  # fmt: skip
        except (TooFewCandidates, ValueError):
            _show(scores, settings, None, console)
            raise
        _show(scores, settings, choice, console)
        found = calibrate_ensembles(recorded, choice.ensembles, choice.z_first)
    except (TooFewCandidates, BaselineRefused, RecordingError, SubjectDamaged) as error:
        errors().print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(WRONG_INPUT) from error
    _tell(found, scores.rate_hz, console)
    files = keep(folder, choice, found, scores, recorded)
    for kind, path in files.items():
        console.print(f"{kind:12s}{path}", markup=False, highlight=False, soft_wrap=True)
    result = {
        "ensembles": choice.ensembles, "calibration": found.result, "rois": scores.rois,
        "files": files,
    }  # fmt: skip
    write_json(json_file, result)


def _settings(
    baseline: Path, session_file: Path | None, subject: str | None, sets: list[str] | None
) -> Session:
    """Settings of the session file, or those that the session folder was recorded with."""
    from bci.config.load import dump_session, validate_session
    from bci.recording.folder import JOURNAL
    from bci.recording.manifest import read_manifest

    is_session = (baseline / JOURNAL).is_file()
    named = [Override("subject", subject)] if subject is not None else []
    if session_file is not None:
        recording = None if is_session else baseline
        return load_session(session_file, [*overrides(sets), *named], recording)
    if not is_session:
        raise WrongInput(
            f"{baseline} is no session folder, so it has no settings: name a session file behind it"
        )
    if sets:
        raise WrongInput("--set changes a session file: name one behind the baseline")
    data = dump_session(read_manifest(baseline).session_settings())
    if subject is not None:
        data["subject"] = subject
    session, faults = validate_session(data)
    if session is None or faults:
        from bci.config import SettingsError

        raise SettingsError(faults)
    return session


def _labels(text: str) -> list[str]:
    return [label.strip() for label in text.split(",") if label.strip()]


def _show(scores: "Scores", settings: Session, choice: "Choice | None", console: Console) -> None:
    from bci.analysis.baseline.tables import HEAD, score_rows

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in HEAD:
        words = name in ("ROI", "", "like", "not a candidate")
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    ensembles = choice.ensembles if choice is not None else None
    styles = {"P+": "bold blue", "P−": "bold yellow"}
    for row in score_rows(scores, settings.experiment.ensembles, ensembles):
        table.add_row(*row, style=styles.get(row[1], "dim" if row[-1] else None))
    # a table of which half is cut off tells nothing: let a narrow terminal wrap it
    console.width = max(console.width, WIDEST)
    console.print(table, soft_wrap=False)


def _tell(found: "Calibrated", rate_hz: float, console: Console) -> None:
    from bci.analysis.baseline.figures import unit_of
    from bci.analysis.report.tables import rows_of_calibration

    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in rows_of_calibration(found.result, rate_hz, unit_of(found)):
        table.add_row(name, value, style="yellow" if name == "warning" else None)
    console.print()
    console.print(table, soft_wrap=False)
