"""Counts and parts of speech of the words of annotated sentences, for systems that mask words."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from hicm.data.annotations import annotators
from hicm.data.text import mend
from hicm.errors import UserError, printable
from hicm.files import require, sha256, write_text
from hicm.moments.read import read_annotations
from hicm.moments.records import Query
from hicm.outputs import output_file
from hicm.rooms import room_module
from hicm.stages.new_files import refuse_other_content

ROOM = "moments"


def write_counts(annotations: Sequence[str], words: str, out: str, most: int, overwrite: bool = False) -> str:
    """Write the count file of all sentences to ``out``; returns what to print.

    ``words``: the form, clip or glove; ``most``: tokens of a sentence that are read, marks included (clip).  Raises
    UserError as `read_sentences` does, for an unknown form, and when ``out`` holds something else (unless
    ``overwrite``), is an input, or cannot be written.
    """
    if most < 3:
        raise UserError(f"--max-words={most}: expected at least 3, a word between two marks")
    room = room_module(ROOM, "word_files")
    path, sentences, text = _made(annotations, out, overwrite, lambda found: room.count_file(found, words, most))
    counts = [int(line.rpartition(" ")[2]) for line in text.splitlines()]
    return printable(f"{path}: {len(counts)} words, counted {sum(counts)} times in {sentences} sentences")


def write_tags(annotations: Sequence[str], words: str, out: str, overwrite: bool = False) -> str:
    """Write the parts of speech of all sentences to ``out``; returns what to print.

    ``words``: how sentences are split, clip, glove or each.  Raises UserError as `write_counts` does, and when NLTK's
    tagger is missing.
    """
    room, digests = room_module(ROOM, "word_files"), {}
    for file in annotations:
        digests[Path(file).name] = sha256(require(file, "annotations", "give annotation files"))
    path, sentences, _ = _made(annotations, out, overwrite, lambda found: room.tag_file(found, words, digests))
    return printable(f"{path}: parts of speech of {sentences} sentences")


def _made(annotations: Sequence[str], out: str, overwrite: bool, make: Callable[[list[str]], str],
          ) -> tuple[Path, int, str]:
    """Write what ``make`` makes of the sentences; the path, the number of sentences, the text."""
    path = output_file(out)
    for file in annotations:
        if path.exists() and Path(file).exists() and path.samefile(file):
            raise UserError(f"{out}: is the input {file}, which would be lost; choose another --out")
    sentences = read_sentences(annotations)
    text = make(sentences)
    refuse_other_content({path: text}, overwrite)
    write_text(path, text)
    return path, len(sentences), text


def read_sentences(annotations: Sequence[str]) -> list[str]:
    """The sentences of annotation files in order, each as often as it stands there; rows that cleaning skips are none.

    A file of durations goes with the annotations before it, as Charades-STA needs them.  Warns of what reading warns
    of.  Raises UserError naming the file that cannot be read.
    """
    said: list[str] = []
    found: list[Query] = []
    for file, durations in annotators(annotations):
        require(file, "annotations", "give annotation files")
        found += read_annotations([file, durations] if durations else file, said).queries
    for line in said:
        warnings.warn(line, stacklevel=2)
    return [mend(query.text) for query in found]
