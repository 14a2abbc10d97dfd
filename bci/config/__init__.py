"""The settings: frozen models, TOML files, all faults at once."""

from bci.config.experiment import Experiment
from bci.config.fault import Fault, SettingsError
from bci.config.load import (
    Override,
    dump_session,
    load_session,
    settings_hash,
    validate_session,
)
from bci.config.rig import Rig
from bci.config.session import Session

__all__ = [
    "Experiment",
    "Fault",
    "Override",
    "Rig",
    "Session",
    "SettingsError",
    "dump_session",
    "load_session",
    "settings_hash",
    "validate_session",
]
