"""How likely each word is masked: content words are twice as likely as others, if their parts of speech are known."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hicm.errors import UserError, reason
from hicm.files import read_json, require
from hicm.systems.moments.words import Sentence

CONTENT = ("NN", "VB", "JJ", "RB")  # nouns, verbs, adjectives, adverbs in the tag set of the Penn Treebank
TAGGER = "averaged_perceptron_tagger_eng"  # of NLTK

Tags = dict[str, list[str]]  # by sentence: a tag for each of its words, as moments.words splits them
Tagger = Callable[[Sequence[str]], list[str]]


def nltk_tagger() -> tuple[Tagger, str]:
    """NLTK's tagger of English, words -> tags, and NLTK's version, on which the tags depend.

    Raises UserError when the package or the tagger's data are missing.
    """
    try:
        import nltk
    except ImportError as error:
        raise UserError("parts of speech are tagged by the package nltk; pip install 'hicm[glove]'") from error
    try:
        tag = nltk.tag.PerceptronTagger().tag
    except LookupError as error:
        raise UserError(f"NLTK {nltk.__version__} has no data for its tagger; python -m nltk.downloader {TAGGER}, or "
                        f"name in NLTK_DATA the folder that has taggers/{TAGGER}") from error
    except Exception as error:  # damaged data can raise nearly anything
        raise UserError(f"the data of NLTK's tagger cannot be read ({reason(error)}); python -m nltk.downloader "
                        f"{TAGGER} replaces them") from error
    return lambda words: [kind for _, kind in tag(list(words))], nltk.__version__


def tag_sentences(sentences: Iterable[str], tokens: Callable[[str], Sequence[str]], tagger: Tagger) -> Tags:
    """Tags of all words of each sentence, which ``tokens`` splits."""
    return {text: tagger(tokens(text)) for text in dict.fromkeys(sentences)}


def tags_file(tags: Tags, splitting: str, nltk: str, annotations: dict[str, str]) -> dict[str, Any]:
    """The content of a file of tags: also how sentences were split, NLTK's version, and digests by annotation file."""
    return {"words": splitting, "tagger": TAGGER, "nltk": nltk, "annotations": annotations, "tags": tags}


def load_tags(path: str | Path, splitting: str) -> Tags:
    """Tags from what `tags_file` made, or from plain json ``{sentence: [tag, ...]}``.

    Raises UserError for another file, and for tags of words that were split in another way.
    """
    content = read_json(require(path, "parts of speech", "correct moments.tags, or leave it empty"))
    if isinstance(content, dict) and isinstance(content.get("tags"), dict):
        if content.get("words") != splitting:
            raise UserError(f"{path}: tags of words that were split as {content.get('words')} does, but moments.words "
                            f"splits as {splitting}; hicm data tag-words --words {splitting} makes those")
        content = content["tags"]
    if not isinstance(content, dict) or not all(isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
                                                for tags in content.values()):
        raise UserError(f"{path}: expected {{sentence: [tag of each word, ...]}}")
    return content


def word_weights(text: str, sentence: Sentence, tags: Tags | None, where: str) -> np.ndarray:
    """Chances of the words of a sentence, float32 [L], up to a factor; all alike without ``tags``.

    Raises UserError, starting with ``where``, for a sentence without tags, or another number of them than it has words.
    """
    if tags is None:
        return np.ones(len(sentence.words), np.float32)
    found, shown = tags.get(text), sentence.shown
    if found is None or len(found) != len(shown):
        what = "no tags" if found is None else f"{len(found)} tags for {len(shown)} words ({', '.join(shown)})"
        raise UserError(f"{where}: {what} for the sentence {text!r}; tag the words as moments.words splits them (hicm "
                        "data tag-words)")
    content = np.array([any(kind in tag for kind in CONTENT) for tag in found], bool)
    return 1 + content[list(sentence.places)].astype(np.float32)
