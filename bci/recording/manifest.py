"""What a session was run with: settings, program, packages, host."""

import hashlib
import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

import bci
from bci.config import Session, dump_session, settings_hash, validate_session
from bci.config.fault import SettingsError
from bci.config.input_file import read_input
from bci.core.messages import NotAMessage, read_message
from bci.program import installed_version
from bci.recording.folder import DAMAGED_MANIFEST, JOURNAL, MANIFEST, free_name, replace_file
from bci.recording.single_byte import ChangedByte

FORMAT = 1
PACKAGES = (
    "cobs",
    "h5py",
    "mcap",
    "msgspec",
    "numpy",
    "psychopy",
    "pydantic",
    "pynwb",
    "pyserial",
    "pyzmq",
    "scipy",
)
_NUMERIC = ("numpy", "scipy")
"""Those that the last bits of a result depend on."""
GIT_TIMEOUT_S = 5.0
WRITING = "writing"
"""Key of `Manifest.outcome`: files that are still being written."""
_UNSEALED = "0" * 64
MAX_BYTES = 64_000_000
"""Largest manifest that is read; one of 100,000 ROIs has a tenth of it."""
_BEHIND_SEAL = b'"\n}\n'
_COPY = "Copy it again from where the session was recorded."


class NoManifest(ValueError):
    """The folder holds no manifest that can be read; says what to do."""


class Program(msgspec.Struct, frozen=True):
    """Which version of this program ran.

    Parameters
    ----------
    commit
        Git commit; None: not run from a checkout.
    dirty
        True where files differed from that commit; None: unknown.
    """

    version: str
    commit: str | None
    dirty: bool | None


class Host(msgspec.Struct, frozen=True):
    """The computer that ran the loop.

    Parameters
    ----------
    cpu_features
        Instruction sets that NumPy found and may use; the bits of floating-point results depend
        on them.
    memory_bytes
        Main memory.
    """

    name: str
    system: str
    cpu: str
    cpu_features: tuple[str, ...]
    n_cores: int
    memory_bytes: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of manifest.json.

    Parameters
    ----------
    format
        Version of this file's layout.
    session
        Name of the session, as in its stream.
    started
        ISO 8601, local time with its offset from UTC.
    settings, settings_hash
        Resolved settings, and their SHA-256.
    packages
        Version of each package that results may depend on; those not installed are absent.
    preflight
        Report of the checks before the start.
    outcome
        How it ended, written at the end; empty: still running, or cut short. `writing` in it names
        the files that were still to be written then.
    seal
        SHA-256 of the whole file with 64 zeros in this place.
    """

    format: int
    session: str
    subject: str
    started: str
    settings: dict[str, Any]
    settings_hash: str
    program: Program
    python: str
    packages: dict[str, str]
    host: Host
    preflight: list[dict[str, Any]] = []
    outcome: dict[str, Any] = {}
    seal: str = _UNSEALED

    @property
    def is_over(self) -> bool:
        """True once the session has ended and all of its files were tried to be written."""
        return bool(self.outcome) and WRITING not in self.outcome

    def session_settings(self) -> Session:
        """The settings, validated.

        Raises
        ------
        SettingsError
            Where this version of the program does not take them.
        """
        session, faults = validate_session(_with_old_rules(self.settings))
        if session is None or faults:
            raise SettingsError(faults)
        return session

    @property
    def counts_passive_as_misses(self) -> bool:
        """True if the trials of this session are passive, and its journal calls them misses."""
        is_passive = self.session_settings().experiment.session_type.kind == "passive"
        return is_passive and _with_old_rules(self.settings) is not self.settings

    @property
    def stored_hash(self) -> str:
        """SHA-256 of the settings as they stand here, whatever keys this version would add."""
        text = json.dumps(self.settings, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def numerics(self) -> tuple[str, ...]:
        """What the last bits of a floating-point result depend on: NumPy, SciPy, CPU features."""
        return _numerics(self.packages, self.host.cpu_features)


def _with_old_rules(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as recorded; if they lack a key, with what the program then did by itself.

    Version 0.1.0, which has no `pause_counts`, let pauses use up `session_s`. Settings that are
    complete are returned themselves.
    """
    experiment = settings.get("experiment")
    task = experiment.get("task") if isinstance(experiment, dict) else None
    if not isinstance(experiment, dict) or not isinstance(task, dict) or "pause_counts" in task:
        return settings
    return {**settings, "experiment": {**experiment, "task": {**task, "pause_counts": True}}}


def make_manifest(
    name: str, session: Session, started: datetime, preflight: list[dict[str, Any]] | None = None
) -> Manifest:
    """Describe a session that starts now, on this computer.

    Parameters
    ----------
    name
        Name of the session.
    session
        Its settings.
    started
        Local time, or any time with an offset.
    preflight
        Report of the checks before the start.
    """
    return Manifest(
        format=FORMAT,
        session=name,
        subject=session.subject,
        started=started.astimezone().isoformat(timespec="milliseconds"),
        settings=dump_session(session),
        settings_hash=settings_hash(session),
        program=describe_program(),
        python=platform.python_version(),
        packages=package_versions(),
        host=describe_host(),
        preflight=preflight or [],
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json, sealed, whole or not at all."""
    unsealed = msgspec.structs.replace(manifest, seal=_UNSEALED)
    content = msgspec.json.format(msgspec.json.encode(unsealed), indent=2) + b"\n"
    before, _, after = content.rpartition(_UNSEALED.encode())
    seal = hashlib.sha256(content).hexdigest()
    replace_file(folder / MANIFEST, before + seal.encode() + after)


_MANIFEST = msgspec.json.Decoder(Manifest)


def read_manifest(folder: Path) -> Manifest:
    """Read manifest.json.

    Raises
    ------
    NoManifest
        Where it is missing or is none of ours.
    """
    path = folder / MANIFEST
    try:
        return read_message(_MANIFEST, read_input(path, MAX_BYTES))
    except FileNotFoundError:
        if (folder / JOURNAL).exists():
            why = f"{MANIFEST} is missing beside {JOURNAL}, and it holds the settings. {_COPY}"
        else:
            why = f"no {MANIFEST} here. Name the folder of a session, the one with {JOURNAL}."
        raise NoManifest(f"{folder}: {why}") from None
    except (OSError, NotAMessage) as error:
        raise NoManifest(
            f"{path}: not readable as a manifest ({error}). Run bci recover {folder}: it "
            f"puts one changed byte right. {_COPY}"
        ) from error


def seal_holds(folder: Path, manifest: Manifest) -> bool:
    """Tell whether every byte of manifest.json is as it was written.

    Parameters
    ----------
    folder
        Folder of the session.
    manifest
        As read from it.
    """
    if len(manifest.seal) != len(_UNSEALED):
        return False
    before, _, after = (folder / MANIFEST).read_bytes().rpartition(manifest.seal.encode())
    content = before + _UNSEALED.encode() + after
    return hashlib.sha256(content).hexdigest() == manifest.seal


def mend_manifest(folder: Path) -> ChangedByte | None:
    """Put the one changed byte of manifest.json right, if one explains that its seal fails.

    The seal is a SHA-256: what makes it hold is what was written. The file as it was found is kept
    as manifest.damaged.json. Tries every character that the file holds at every place, some
    seconds.

    Returns
    -------
    ChangedByte or None
        None if the seal holds, if no single byte explains it, or if there is no manifest.

    Raises
    ------
    OSError
        If the file cannot be read or written.
    """
    path = folder / MANIFEST
    if not path.exists():
        return None
    content = read_input(path, MAX_BYTES)
    changed = _changed_byte(content)
    if changed is not None:
        mended = bytearray(content)
        mended[changed.place] = changed.original
        replace_file(free_name(folder / DAMAGED_MANIFEST), content)
        replace_file(path, bytes(mended))
    return changed


def _changed_byte(content: bytes) -> ChangedByte | None:
    """The byte whose change broke the seal, which stands at a fixed distance from the end."""
    place = len(content) - len(_BEHIND_SEAL) - len(_UNSEALED)
    if place < 0:
        return None
    seal = content[place : place + len(_UNSEALED)]
    unsealed = content[:place] + _UNSEALED.encode() + content[place + len(_UNSEALED) :]
    computed = hashlib.sha256(unsealed).hexdigest().encode()
    wrong = [i for i, pair in enumerate(zip(seal, computed, strict=True)) if pair[0] != pair[1]]
    if len(wrong) == 1:
        return ChangedByte(place + wrong[0], seal[wrong[0]], computed[wrong[0]])
    if not wrong:
        return None
    try:
        target = bytes.fromhex(seal.decode("ascii"))
    except ValueError:
        return None
    flips = [1 << bit for bit in range(8)]
    common = [byte for byte, _ in Counter(content).most_common()]
    return _byte_that_seals(unsealed, target, lambda found: [found ^ flip for flip in flips]) or (
        _byte_that_seals(unsealed, target, lambda _: common)
    )


def _byte_that_seals(
    unsealed: bytes, target: bytes, candidates: Callable[[int], list[int]]
) -> ChangedByte | None:
    before = hashlib.sha256()
    for place, found in enumerate(unsealed):
        behind = unsealed[place + 1 :]
        for byte in candidates(found):
            sealed = before.copy()
            sealed.update(bytes((byte,)) + behind)
            if sealed.digest() == target:
                return ChangedByte(place, found, byte)
        before.update(unsealed[place : place + 1])
    return None


def finish_manifest(folder: Path, outcome: dict[str, Any], first: Manifest | None = None) -> None:
    """Add how the session ended.

    Parameters
    ----------
    folder, outcome
        Of the session.
    first
        As written at its start, for a folder that lost its manifest.
    """
    try:
        manifest = read_manifest(folder)
    except NoManifest:
        if first is None:
            raise
        manifest = first
    write_manifest(folder, msgspec.structs.replace(manifest, outcome=outcome))


def describe_program() -> Program:
    """Version of this program, and its commit where it runs from a checkout."""
    installed = installed_version()
    root = Path(bci.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return Program(installed, None, None)
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return Program(installed, commit or None, None if changes is None else bool(changes))


def numerics_here() -> tuple[str, ...]:
    """What `Manifest.numerics` would be of a session recorded on this computer."""
    return _numerics(package_versions(_NUMERIC), cpu_features())


def _numerics(packages: Mapping[str, str], features: Sequence[str]) -> tuple[str, ...]:
    return (*(f"{name} {packages.get(name)}" for name in _NUMERIC), *features)


def package_versions(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of packages, those that results may depend on, without importing any."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def describe_host() -> Host:
    """The computer this runs on, as far as results and speed depend on it."""
    return Host(
        name=platform.node(),
        system=platform.platform(),
        cpu=_cpu_model(),
        cpu_features=cpu_features(),
        n_cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
    )


def cpu_features() -> tuple[str, ...]:
    """Instruction sets that NumPy was built for or has found."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return (*extensions.get("baseline", ()), *extensions.get("found", ()))


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _git(root: Path, *arguments: str) -> str | None:
    """Output of git, None where there is none: a manifest never fails for want of it."""
    try:
        done = subprocess.run(
            # `status` would else write the index, and leave its lock where the disk is full
            ["git", "--no-optional-locks", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
