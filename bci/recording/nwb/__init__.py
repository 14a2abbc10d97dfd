"""A session as an NWB file, schema 2.11."""

from bci.recording.nwb.export import export_nwb

__all__ = ["export_nwb"]
