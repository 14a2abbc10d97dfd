"""A session as an NWB file, schema 2.11."""

from bci.recording.pynwb_import import import_pynwb

import_pynwb()

from bci.recording.nwb.export import export_nwb  # noqa: E402 - imports pynwb

__all__ = ["export_nwb"]
