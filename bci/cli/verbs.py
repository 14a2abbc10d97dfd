"""All verbs put together, and what is wrong told in words."""

import errno
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from bci.cli import benches, choosing, doctor, keys, processes, rewards, sessions, tell
from bci.cli.options import BEFORE, FAULT, WRONG_INPUT, WrongInput, errors, told
from bci.config import SettingsError
from bci.config.input_file import InputRefused
from bci.program import OtherProgramError, check_parent

app = typer.Typer(
    name="bci",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Closed-loop two-photon brain–computer interface: neurons turn a grating to a reward.",
    epilog="First step: `bci run configs/demo.toml --headless`; then docs/tutorial.md. "
    "Exit codes: 0 as asked, 1 a fault in the run or an answer that is no, 2 wrong input.",
)


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Tell the version and exit.",
            is_eager=True,
            callback=lambda wanted: _tell_version() if wanted else None,
        ),
    ] = False,
) -> None:
    """What stands before a verb."""


app.add_typer(sessions.app)
app.add_typer(doctor.app)
app.add_typer(tell.app)
app.add_typer(choosing.app)
app.add_typer(rewards.reward, name="reward", rich_help_panel=BEFORE)
app.add_typer(benches.bench, name="bench", rich_help_panel=BEFORE)
app.add_typer(processes.app)
app.add_typer(keys.app)


TODO = {
    errno.ENOENT: "check the path",
    errno.ENOSPC: "make room there",
    errno.EROFS: "copy the folder to where it may be written to",
    errno.EACCES: "allow it, or copy the folder to where it may be written to",
}
"""What helps against an error of the system."""


def _tell_version() -> None:
    from bci.recording.manifest import describe_program

    program = describe_program()
    commit = f", commit {program.commit[:10]}" if program.commit else ""
    changed = ", with changes of your own" if program.dirty else ""
    told().print(f"two-photon-bci {program.version}{commit}{changed}", highlight=False)
    raise typer.Exit


def run() -> None:
    """Run the command line; what is wrong ends in words that say what to do, and an exit code."""
    if isinstance(sys.stdout, TextIOWrapper):
        # a file on Windows, or a terminal in the C locale, has no │: nothing ends for want of it
        sys.stdout.reconfigure(errors="replace")
    try:
        check_parent()
        app()
    except SettingsError as error:
        n = len(error.faults)
        _tell(f"{n} fault{'s' * (n != 1)} in the settings, nothing was started:")
        for fault in error.faults:
            _tell(f"  • {fault}")
        sys.exit(WRONG_INPUT)
    except (OtherProgramError, WrongInput) as error:
        _tell(str(error))
        sys.exit(WRONG_INPUT)
    except InputRefused as error:
        _tell(f"{error.filename}: {error}; name a regular file")
        sys.exit(WRONG_INPUT)
    except OSError as error:
        # a full disk, a folder that may not be written: what it names is all there is to know
        if error.filename is None and error.errno is not None:
            raise
        what = str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
        todo = TODO.get(error.errno or 0)
        _tell(f"{what}; {todo}" if todo else what)
        sys.exit(FAULT)
    except (ValueError, RuntimeError) as error:
        from bci.recording.contents import DamagedJournal
        from bci.recording.manifest import NoManifest
        from bci.recording.recover import StillRecording
        from bci.recording.subject import SubjectDamaged

        if not isinstance(error, NoManifest | DamagedJournal | StillRecording | SubjectDamaged):
            raise
        _tell(str(error))
        sys.exit(FAULT if isinstance(error, StillRecording) else WRONG_INPUT)


def _tell(text: str) -> None:
    errors().print(text, markup=False, highlight=False, soft_wrap=True)
