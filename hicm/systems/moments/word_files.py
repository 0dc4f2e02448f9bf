"""Files that are made of the sentences of annotations: counts of words, and parts of speech (`hicm.rooms`)."""

from collections.abc import Sequence

from hicm.errors import UserError
from hicm.files import json_text
from hicm.plugins import find_module
from hicm.systems.moments import words as splitting
from hicm.systems.moments.counts import FORMS
from hicm.systems.moments.tags import nltk_tagger, tag_sentences, tags_file


def count_file(sentences: Sequence[str], words: str, most: int) -> str:
    """The text of a count file of the form ``words``; ``most``: tokens of a sentence that are read, marks included.

    Raises UserError when there is no such form, and when no word is read.
    """
    if words not in FORMS:
        raise UserError(f"--words={words}: expected {' or '.join(FORMS)}")
    text = FORMS[words](sentences, most)
    if not text:
        raise UserError(f"no words in {len(sentences)} sentences; nothing to count")
    return text


def tag_file(sentences: Sequence[str], words: str, annotations: dict[str, str]) -> str:
    """The text of a file of parts of speech; ``words``: the module that splits sentences, ``annotations``: digests.

    Raises UserError when there is no such module, and when the tagger is missing.
    """
    tokens = find_module(splitting.__name__, splitting.GROUP, words, "--words", "tokens").tokens
    tagger, version = nltk_tagger()
    return json_text(tags_file(tag_sentences(sentences, tokens, tagger), words, version, annotations), indent=1) + "\n"
