"""The report: from run folders to one self-contained page and PNGs.  Reads files only."""

from hicm.report.page import report

__all__ = ["report"]
