"""The command line: one verb for everything the program does."""

import sys

import typer

from bci.cli import benches, choosing, doctor, processes, rewards, sessions, tell
from bci.cli.options import FAULT, WRONG_INPUT, errors
from bci.config import SettingsError

app = typer.Typer(
    name="bci",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Closed-loop two-photon brain–computer interface: neurons turn a grating to a reward.",
    epilog="First steps: `bci check configs/demo.toml`, `bci run configs/demo.toml --headless`.",
)
app.add_typer(sessions.app)
app.add_typer(doctor.app)
app.add_typer(tell.app)
app.add_typer(choosing.app)
app.add_typer(benches.bench, name="bench")
app.add_typer(rewards.reward, name="reward")
app.add_typer(processes.app)


def main() -> None:
    """Run the command line; wrong settings end with exit code 2 and say what to do."""
    try:
        app()
    except SettingsError as error:
        console = errors()
        n = len(error.faults)
        console.print(f"{n} fault{'s' * (n != 1)} in the settings, nothing was started:")
        for fault in error.faults:
            console.print(f"  • {fault}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(WRONG_INPUT)
    except ValueError as error:
        from bci.recording.manifest import NoManifest
        from bci.recording.session_record import DamagedJournal

        if not isinstance(error, NoManifest | DamagedJournal):
            raise
        errors().print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(WRONG_INPUT if isinstance(error, NoManifest) else FAULT)
    except OSError as error:
        # a full disk, a folder that may not be written: what it names is all there is to know
        if error.filename is None and error.errno is not None:
            raise
        told = str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
        errors().print(told, markup=False, highlight=False, soft_wrap=True)
        sys.exit(FAULT)
