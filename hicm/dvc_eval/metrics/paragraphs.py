"""Paragraph captioning (PDVC, CM2): all captions of a video as one text, the data set as one corpus.

All annotators of a video are references of one segment.  A video that is missing, or predicted without events, has an
empty paragraph and stays in the corpus.
"""

import re
from collections.abc import Sequence

import numpy as np

from hicm.dvc_eval.inputs.case import Case, Events
from hicm.dvc_eval.metrics import corpus
from hicm.dvc_eval.metrics.part import Corpus, Part
from hicm.dvc_eval.words.meteor import Meteor
from hicm.errors import UserError

MOST_WORDS = 50_000  # of a video: an hour of captions has some thousands
_OTHERS = re.compile("[^a-zA-Z]+")


class ParagraphScores:
    """The ``wanted`` metrics, as in CAPTION_METRICS (`hicm.dvc_eval.metrics.part.Scorer`)."""

    def __init__(self, case: Case, wanted: set[str]) -> None:
        self.wanted = wanted
        self.said, self.written = predicted_paragraphs(case), written_paragraphs(case)
        for side in (self.said, *self.written):
            for video, text in zip(case.videos, side, strict=True):
                if text is not None and len(text) > MOST_WORDS and text.count(" ") >= MOST_WORDS:
                    raise UserError(f"video {video}: its captions hold {text.count(' ') + 1} words, more than "
                                    f"{MOST_WORDS}, too many for a paragraph; shorten them, or leave para_* out of "
                                    "the metrics")

    def asks(self) -> list[tuple[str, str]]:
        """Each paragraph with each of its references."""
        return corpus.meteor_pairs(self.said, self.written) if "METEOR" in self.wanted else []

    def fill(self, part: Part) -> None:
        """BLEU and ROUGE-L; CIDEr is counted over the whole data set in the end."""
        part.rows |= {f"para_{name}": rows for name, rows in
                      corpus.overlap_rows(self.said, self.written, self.wanted).items()}
        if "CIDEr" in self.wanted:
            part.corpora.append(Corpus("para_CIDEr", 0, np.arange(len(self.said)), self.said, self.written))

    def fill_meteor(self, part: Part, statistics: np.ndarray, meteor: Meteor) -> None:
        """METEOR, with the best reference of each paragraph."""
        if "METEOR" in self.wanted:
            part.rows["para_METEOR"] = corpus.meteor_rows(self.written, statistics)


def predicted_paragraphs(case: Case) -> list[str]:
    """One text a video: events in file order, letters only."""
    return [letters(". ".join([*captions, ""])) for captions in _by_video(case.predicted)]


def written_paragraphs(case: Case) -> list[list[str | None]]:
    """The same of each annotator; None where one left the video out."""
    return [[letters(" ".join(captions)) if present else None
             for captions, present in zip(_by_video(events), events.present.tolist(), strict=True)]
            for events in case.annotators]


def letters(text: str) -> str:
    """Lower case, everything but a-z a blank, single blanks.

    >>> letters("Add 2 cups. It's DONE!")
    'add cups it s done'
    """
    return _OTHERS.sub(" ", text).lower().strip()


def _by_video(events: Events) -> list[Sequence[str]]:
    ends = np.cumsum(events.counts).tolist()
    return [events.captions[first:end] for first, end in zip([0, *ends], ends, strict=False)]
