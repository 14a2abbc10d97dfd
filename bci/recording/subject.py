"""The subject's folder: what is carried from one day to the next, as readable files.

`<sessions>/<subject>/subject/` holds JSON files, one for each thing that was decided or measured,
named after what it is and when: `ensembles-20261122T081500.json`. None is ever written over; the
newest of a kind stands, and those before tell how it came to be.
"""

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatch
from math import isfinite, nan
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bci.config.input_file import read_input
from bci.core.calibration import CalibrationResult, known_above
from bci.core.loop_types import GuardLevels
from bci.core.messages import read_message
from bci.recording.folder import replace_file
from bci.recording.manifest import Program

FOLDER = "subject"
MOST_BYTES = 64_000_000
"""Of a file in it."""
_STAMP = "%Y%m%dT%H%M%S"


class SubjectDamaged(ValueError):
    """A file of the subject's folder cannot be read; says which, and what to do."""


class StoredEnsembles(msgspec.Struct, frozen=True, kw_only=True):
    """The ensembles of an animal, fixed by ROI label.

    Parameters
    ----------
    at
        When they were chosen, ISO 8601 with the offset from UTC.
    p_plus, p_minus
        Labels.
    decode_plane
        Plane that they lie in.
    origin
        Who chose them and from what, in words.
    session
        Session whose baseline they were chosen on; empty: none.
    seed
        Of the split; None: by hand.
    weights_plus, weights_minus
        One for each label; empty: 1/n.
    axis
        `experiment.decoder.axis` of population dynamics, as the settings take it; None: none.
    controls
        ROIs of P0 to compare the ensembles with, as active as them on that day; may be none.
    """

    at: str
    p_plus: tuple[str, ...]
    p_minus: tuple[str, ...]
    decode_plane: int = 0
    origin: str = ""
    session: str = ""
    seed: int | None = None
    weights_plus: tuple[float, ...] = ()
    weights_minus: tuple[float, ...] = ()
    axis: dict[str, Any] | None = None
    controls: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """P+ and then P−."""
        return (*self.p_plus, *self.p_minus)


class StoredCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """A calibration and what it followed from. JSON knows no NaN: None is unknown.

    Parameters
    ----------
    at
        Start of the session, ISO 8601 with the offset from UTC.
    session, settings_hash, program
        The session whose baseline it is of, its resolved settings, the version that ran it.
    seed
        `experiment.calibration.seed`.
    p_plus, p_minus, without
        Ensembles it was made with, and the labels of the subject's that were left out.
    t, lo, mu, sigma, z_t, success_fraction, n_frames, run_frames
        As in `CalibrationResult`, in the unit of the signal.
    carry_over
        How T came from day 1, in words; empty: it did not.
    baseline_median, chance, chance_low, chance_high
        As there.
    p_minus_max, others_min
        Levels of the guards.
    higher
        Chance at each T that adaptive difficulty may raise t to, as of `known_above`.
    warnings
        In words.
    """

    at: str
    session: str
    settings_hash: str
    program: Program
    seed: int
    p_plus: tuple[str, ...]
    p_minus: tuple[str, ...]
    t: float
    lo: float
    mu: float
    sigma: float
    z_t: float
    success_fraction: float
    n_frames: int
    run_frames: int
    carry_over: str = ""
    without: tuple[str, ...] = ()
    baseline_median: float | None = None
    chance: float | None = None
    chance_low: float | None = None
    chance_high: float | None = None
    p_minus_max: float | None = None
    others_min: tuple[float, ...] = ()
    higher: tuple[tuple[float, float, float, float], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def day(self) -> str:
        """Local date of the session, ISO 8601."""
        return self.at[:10]

    @property
    def guards(self) -> GuardLevels | None:
        """Levels of the guards; None where it has none."""
        if self.p_minus_max is None and not self.others_min:
            return None
        return GuardLevels(
            nan if self.p_minus_max is None else self.p_minus_max, tuple(self.others_min)
        )


class DayRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One session in numbers, for the history of a subject.

    Parameters
    ----------
    at
        Start of the session, ISO 8601 with the offset from UTC.
    session
        Its name; the folder is `session` without the subject in front.
    experiment
        Name of the experiment.
    ok, reason
        Whether it ended as asked, and how.
    summary
        Counts as `bci run --json` tells them: trials, hits, misses, rewards_done, volume_ul, …
    t, lo, chance, chance_low, chance_high
        Of the last calibration; None: none.
    without
        Labels of the ensembles that were left out.
    resumed
        Session that it went on with; empty: none.
    """

    at: str
    session: str
    experiment: str
    ok: bool
    reason: str
    summary: dict[str, Any]
    t: float | None = None
    lo: float | None = None
    chance: float | None = None
    chance_low: float | None = None
    chance_high: float | None = None
    without: tuple[str, ...] = ()
    resumed: str = ""


class DayNote(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wrote down about the animal.

    Parameters
    ----------
    at
        When, ISO 8601 with the offset from UTC.
    text
        Free text.
    weight_g
        Weight of the animal; None: not weighed.
    """

    at: str
    text: str = ""
    weight_g: float | None = None


_Stored = TypeVar("_Stored", StoredEnsembles, StoredCalibration, DayRecord, DayNote)


class SubjectFolder:
    """Reads and adds to the folder of one subject; makes nothing until something is added.

    Parameters
    ----------
    root
        Folder of all subjects, `sessions/`.
    subject
        Name of the animal.

    Attributes
    ----------
    path
        The folder.
    """

    def __init__(self, root: Path, subject: str) -> None:
        self.subject = subject
        self.path = root / subject / FOLDER

    def ensembles(self) -> StoredEnsembles | None:
        """The ensembles that stand: the newest; None before they were chosen.

        Raises
        ------
        SubjectDamaged
            As all readers here: where a file cannot be read.
        """
        found = self._all("ensembles", StoredEnsembles)
        return found[-1] if found else None

    def calibrations(self) -> list[StoredCalibration]:
        """Every calibration, in order of time."""
        return self._all("calibration", StoredCalibration)

    def days(self) -> list[DayRecord]:
        """Every session, in order of time."""
        return self._all("day", DayRecord)

    def notes(self) -> list[DayNote]:
        """Everything that people wrote down, in order of time."""
        return self._all("note", DayNote)

    def first_calibration(self, ensembles: StoredEnsembles) -> StoredCalibration | None:
        """The calibration of day 1 that z_T is carried over from; None where there is none.

        The last one of the first day on which these very ensembles, none left out, were calibrated.
        """
        own = [one for one in self.calibrations() if _same(one, ensembles)]
        return next((one for one in reversed(own) if one.day == own[0].day), None)

    def newest_calibration(
        self, p_plus: Sequence[str], p_minus: Sequence[str], day: str
    ) -> StoredCalibration | None:
        """The last one of a local date (ISO 8601) with exactly these ROIs; None: none."""
        wanted = (sorted(p_plus), sorted(p_minus))
        return next(
            (
                one
                for one in reversed(self.calibrations())
                if one.day == day and (sorted(one.p_plus), sorted(one.p_minus)) == wanted
            ),
            None,
        )

    def add(self, stored: _Stored) -> Path:
        """Write one thing down, whole or not at all; returns its file, a new one always.

        Raises
        ------
        OSError
            Where it cannot be written.
        """
        kind = _KINDS[type(stored)]
        stamp = datetime.fromisoformat(stored.at).strftime(_STAMP)
        self.path.mkdir(parents=True, exist_ok=True)
        content = msgspec.json.format(msgspec.json.encode(stored), indent=2) + b"\n"
        attempt = 1
        while True:
            suffix = "" if attempt == 1 else f"-{attempt}"
            path = self.path / f"{kind}-{stamp}{suffix}.json"
            try:
                # the name is taken first, so that nobody else writes to it
                path.touch(exist_ok=False)
            except FileExistsError:
                attempt += 1
                continue
            try:
                replace_file(path, content)
            except OSError:
                path.unlink(missing_ok=True)
                raise
            return path

    def _all(self, kind: str, model: type[_Stored]) -> list[_Stored]:
        found: list[tuple[float, int, _Stored]] = []
        decoder = msgspec.json.Decoder(model)
        for path in self._files(kind):
            try:
                # empty: a name that was taken, and nothing was stored under it
                if content := read_input(path, MOST_BYTES):
                    stored = read_message(decoder, content)
                    found.append((_moment(stored.at), _attempt(path), stored))
            # NotAMessage is a ValueError, and so is a time that is none
            except (OSError, ValueError, OverflowError) as error:
                raise SubjectDamaged(
                    f"{path}: not readable ({error}). Mend it, or move it out of the folder; "
                    "what it held then counts as never stored."
                ) from error
        found.sort(key=lambda one: one[:2])
        return [stored for *_, stored in found]

    def _files(self, kind: str) -> list[Path]:
        try:
            files = list(self.path.iterdir())
        except OSError as error:
            if not self.path.exists():
                return []
            raise SubjectDamaged(
                f"{self.path}: cannot be read ({error.strerror}). Allow it to be read: without it "
                "nobody knows what was stored."
            ) from error
        return [path for path in files if fnmatch(path.name, f"{kind}-*.json")]


_KINDS: dict[type[Any], str] = {
    StoredEnsembles: "ensembles",
    StoredCalibration: "calibration",
    DayRecord: "day",
    DayNote: "note",
}


def now_iso() -> str:
    """Local time with its offset from UTC, as `at` of everything stored here."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def stored_calibration(
    found: CalibrationResult,
    *,
    at: str,
    session: str,
    settings_hash: str,
    program: Program,
    seed: int,
    p_plus: Sequence[str],
    p_minus: Sequence[str],
    without: Sequence[str] = (),
    carry_over: str = "",
) -> StoredCalibration:
    """A calibration as it is stored.

    Parameters
    ----------
    found
        From `ClosedLoop.calibrate`, with its predicted chance.
    at, session, settings_hash, program, seed, p_plus, p_minus, without, carry_over
        As in `StoredCalibration`.
    """
    guards, (chance, low, high) = found.guards, map(known, found.told_chance)
    return StoredCalibration(
        at=at,
        session=session,
        settings_hash=settings_hash,
        program=program,
        seed=seed,
        p_plus=tuple(p_plus),
        p_minus=tuple(p_minus),
        without=tuple(without),
        carry_over=carry_over,
        t=found.t,
        lo=found.lo,
        mu=found.mu,
        sigma=found.sigma,
        z_t=found.z_t,
        success_fraction=found.success_fraction,
        n_frames=found.n_frames,
        run_frames=found.run_frames,
        baseline_median=known(found.baseline_median),
        chance=chance,
        chance_low=low,
        chance_high=high,
        p_minus_max=None if guards is None else known(guards.p_minus_max),
        others_min=() if guards is None else guards.others_min,
        higher=known_above(found.t, found.told_chances),
        warnings=found.warnings,
    )


def known(value: float) -> float | None:
    """The value, None where it is not finite."""
    return value if isfinite(value) else None


def _same(calibration: StoredCalibration, ensembles: StoredEnsembles) -> bool:
    return sorted(calibration.p_plus) == sorted(ensembles.p_plus) and sorted(
        calibration.p_minus
    ) == sorted(ensembles.p_minus)


def _moment(at: str) -> float:
    """Seconds since 1970, to sort by."""
    return datetime.fromisoformat(at).timestamp()


def _attempt(path: Path) -> int:
    parts = path.stem.split("-")
    return int(parts[2]) if len(parts) > 2 and parts[2].isdigit() else 1
