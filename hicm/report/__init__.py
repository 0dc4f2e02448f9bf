"""The report: reads run folders, and writes one self-contained page and PNG pictures."""

from hicm.report.page import report

__all__ = ["report"]
