"""A ``.json`` file: one video's entry, or entries by video id."""

from pathlib import Path
from typing import Any

from hicm.data.speech.formats.jsonl_file import by_video
from hicm.files import each_once, read_json

SUFFIXES = (".json", ".json3")


def read_file(path: Path) -> Any:
    """Its content; a list of entries that name their videos becomes entries by video id."""
    content = read_json(path, "speech file", each_once)
    return by_video(content, str(path)) if isinstance(content, list) else content
