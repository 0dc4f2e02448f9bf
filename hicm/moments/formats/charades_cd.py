"""Annotations of Charades-CD: a json object by video (Yuan et al., 2021).  Ids count all sentences from 1."""

from hicm.moments.formats import _checks, _lists
from hicm.moments.records import Annotations
from hicm.source import Source

FORM = '{video: {"timestamps", "sentences", "video_duration"}}'
SIDE = "annotations"


def matches(source: Source) -> bool:
    """Whether the first video has spans, sentences and ``video_duration``."""
    return _checks.by_video(source, ("timestamps", "sentences", "video_duration"))


def read(source: Source) -> Annotations:
    """Every sentence of every video in turn, cleaned by the video's duration."""
    return _lists.read_lists(source, "charades_cd", lambda row: _checks.positive(
        row.entry.get("video_duration"), row.where, "video_duration"))
