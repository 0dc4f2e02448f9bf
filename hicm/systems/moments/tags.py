"""How likely each word is masked: content words are twice as likely as others, if their parts of speech are known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hicm.errors import UserError
from hicm.files import read_json, require

CONTENT = ("NN", "VB", "JJ", "RB")  # nouns, verbs, adjectives, adverbs in the tag set of the Penn Treebank

Tags = dict[str, list[str]]  # by sentence: a tag for each of its words


def load_tags(path: str | Path) -> Tags:
    """Tags from a json file ``{sentence: [tag, ...]}``.  Raises UserError for another file."""
    content = read_json(require(path, "parts of speech", "correct moments.tags, or leave it empty"))
    if not isinstance(content, dict) or not all(isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
                                                for tags in content.values()):
        raise UserError(f"{path}: expected {{sentence: [tag of each word, ...]}}")
    return content


def word_weights(text: str, words: Sequence[str], tags: Tags | None, where: str) -> np.ndarray:
    """Chances of the words of a sentence, float32 [L], up to a factor; all alike without ``tags``.

    Raises UserError, starting with ``where``, for a sentence without tags, or another number of them.
    """
    if tags is None:
        return np.ones(len(words), np.float32)
    found = tags.get(text)
    if found is None or len(found) < len(words):
        what = "no tags" if found is None else f"{len(found)} tags for {len(words)} words ({', '.join(words)})"
        raise UserError(f"{where}: {what} for the sentence {text!r}; tag the words as moments.words splits them")
    return np.array([2 if any(kind in tag for kind in CONTENT) else 1 for tag in found[:len(words)]], np.float32)
