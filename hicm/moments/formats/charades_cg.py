"""Annotations of Charades-CG, and of ActivityNet Captions and others in that form (Li et al., CVPR 2022).

A json object by video; ids count all sentences from 1.
"""

from hicm.moments.formats import _checks, _lists
from hicm.moments.records import Annotations
from hicm.source import Source

FORM = '{video: {"timestamps", "sentences", "duration"}}'
SIDE = "annotations"


def matches(source: Source) -> bool:
    """Whether the first video has spans, sentences and ``duration``."""
    return _checks.by_video(source, ("timestamps", "sentences", "duration"))


def read(source: Source) -> Annotations:
    """Every sentence of every video in turn, cleaned by the video's duration."""
    return _lists.read_lists(source, "charades_cg", lambda row: _checks.positive(
        row.entry.get("duration"), row.where, "duration"))
