"""A session on one page, to look at and to keep."""

from bci.analysis.report.page import write_report

__all__ = ["write_report"]
