"""pynwb, also if the folder that it caches its schema in cannot be used."""

import importlib
import os
import pickle
import tempfile
from unittest import mock


def import_pynwb() -> None:
    """Import pynwb; what imports it afterwards finds it imported.

    pynwb makes a folder in the user's cache when it is imported and keeps a pickle there. If the
    folder cannot be made or the pickle is damaged, it gets an empty folder instead, which is gone
    afterwards; its import then takes some seconds.
    """
    try:
        importlib.import_module("pynwb")
    except (OSError, EOFError, pickle.UnpicklingError):
        with tempfile.TemporaryDirectory(prefix="bci-pynwb-") as cache:
            shown = {
                "XDG_CACHE_HOME": cache,
                "WIN_PD_OVERRIDE_LOCAL_APPDATA": cache,
                "PYNWB_NO_CACHE_DIR": "1",
            }
            with mock.patch.dict(os.environ, shown):
                importlib.import_module("pynwb")
