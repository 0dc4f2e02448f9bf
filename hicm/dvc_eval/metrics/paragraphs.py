"""Paragraph captioning (PDVC, CM2): all captions of a video as one text, the data set as one corpus.

All annotators of a video are references of one item of the corpus.  A video that is missing, or predicted without
events, has an empty paragraph and stays in the corpus.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from hicm.dvc_eval.inputs.case import Case, Events
from hicm.dvc_eval.inputs.protocols import Protocol
from hicm.dvc_eval.metrics import corpus
from hicm.dvc_eval.metrics.part import Aligned, Corpus, Part, TextPairs
from hicm.dvc_eval.words.meteor import Meteor
from hicm.dvc_eval.words.texts import Oddities, Texts
from hicm.errors import UserError

MOST_WORDS = 50_000  # per video: the captions of an hour have some thousands
_OTHERS = re.compile("[^a-zA-Z]+")
_LETTER = re.compile("[a-zA-Z]")


class ParagraphScores:
    """The ``wanted`` metrics, as in CAPTION_METRICS (`hicm.dvc_eval.metrics.part.Scorer`), of a whole data set.

    Paragraphs consist of the letters of the captions or, if ``texts`` are given, of their words.
    """

    def __init__(self, case: Case, rules: Protocol, wanted: set[str], texts: Texts | None) -> None:
        self.wanted, self.rules, self.words = wanted, rules, texts is not None
        if texts is None:
            self.predicted, self.references = predicted_paragraphs(case), reference_paragraphs(case)
        else:
            self.predicted, self.references = word_paragraphs(case, texts)
        sides: list[Sequence[str | None]] = [self.predicted, *self.references]
        for side in sides:
            for video, text in zip(case.videos, side, strict=True):
                if text is not None and len(text) > MOST_WORDS and text.count(" ") >= MOST_WORDS:
                    raise UserError(f"video {video}: its captions have {text.count(' ') + 1} words, too many for a "
                                    f"paragraph (at most {MOST_WORDS}); shorten them, or leave para_* out of the "
                                    "metrics")

    def meteor_size(self) -> int:
        """The number of references of all paragraphs."""
        given = sum(text is not None for side in self.references for text in side)
        return given if "METEOR" in self.wanted else 0

    def meteor_pairs(self) -> Iterator[TextPairs]:
        """Each paragraph with each of its references."""
        if self.meteor_size():
            texts, pairs = corpus.meteor_pairs(self.predicted, self.references)
            yield TextPairs(texts, pairs, self.words)

    def add_meteor(self, found: Aligned) -> None:
        """All are in one block."""
        self.found = found

    def fill(self, part: Part) -> None:
        """BLEU, ROUGE-L and CIDEr."""
        items = corpus.Items.of(self.predicted, self.references)
        part.rows |= {f"para_{name}": rows for name, rows in
                      corpus.overlap_rows(items, self.wanted, self.rules.rouge_empty).items()}
        if "CIDEr" in self.wanted:
            video = np.arange(len(self.predicted))
            part.corpora.append(Corpus("para_CIDEr", 0, video, self.predicted, self.references,
                                       corpus.cider_scores(items)))

    def fill_meteor(self, part: Part, meteor: Meteor) -> None:
        """METEOR, with the best reference of each paragraph."""
        if self.meteor_size():
            part.rows["para_METEOR"] = corpus.meteor_rows(self.references, self.found.statistics[self.found.rows])


def predicted_paragraphs(case: Case) -> list[str]:
    """One text per video: events in file order, letters only."""
    return [letters(". ".join([*captions, ""])) for captions in _by_video(case.predicted)]


def reference_paragraphs(case: Case) -> list[list[str | None]]:
    """The same for each annotator; None where one left the video out."""
    return [[letters(" ".join(captions)) if present else None
             for captions, present in zip(_by_video(events), events.present.tolist(), strict=True)]
            for events in case.annotators]


def word_paragraphs(case: Case, texts: Texts) -> tuple[list[str], list[list[str | None]]]:
    """The words of all events of a video in file order: predictions, and each annotator's as above."""
    def joined(events: Events, ids: np.ndarray) -> list[str]:
        spoken = replace(events, captions=tuple(texts.tokens[at] for at in ids.tolist()))
        return [" ".join(filter(None, captions)) for captions in _by_video(spoken)]

    return joined(case.predicted, texts.predicted), [
        [text if present else None for text, present in zip(joined(events, ids), events.present.tolist(), strict=True)]
        for events, ids in zip(case.annotators, texts.references, strict=True)]


def count_letterless(case: Case, oddities: Oddities) -> None:
    """Count the captions of each side that leave nothing in a paragraph."""
    for side, files in (("predictions", [case.predicted]), ("references", case.annotators)):
        oddities.add(side, "letterless", sum(not _LETTER.search(text) for events in files for text in events.captions))


def letters(text: str) -> str:
    """Lower case, with everything but a-z replaced by single blanks.

    >>> letters("Add 2 cups. It's DONE!")
    'add cups it s done'
    """
    return _OTHERS.sub(" ", text).lower().strip()


def _by_video(events: Events) -> list[Sequence[str]]:
    ends = np.cumsum(events.counts).tolist()
    return [events.captions[first:end] for first, end in zip([0, *ends], ends, strict=False)]
