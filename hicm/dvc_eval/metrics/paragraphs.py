"""Paragraph captioning (PDVC, CM2): all captions of a video as one text, the data set as one corpus.

All annotators of a video are references of one item of the corpus.  A video that is missing, or predicted without
events, has an empty paragraph and stays in the corpus.
"""

import re
from collections.abc import Sequence

import numpy as np

from hicm.dvc_eval.inputs.case import Case, Events
from hicm.dvc_eval.metrics import corpus
from hicm.dvc_eval.metrics.part import Corpus, Part
from hicm.dvc_eval.words.meteor import Meteor
from hicm.errors import UserError

MOST_WORDS = 50_000  # per video: the captions of an hour have some thousands
_OTHERS = re.compile("[^a-zA-Z]+")


class ParagraphScores:
    """The ``wanted`` metrics, as in CAPTION_METRICS (`hicm.dvc_eval.metrics.part.Scorer`)."""

    def __init__(self, case: Case, wanted: set[str]) -> None:
        self.wanted = wanted
        self.predicted, self.references = predicted_paragraphs(case), reference_paragraphs(case)
        sides: list[Sequence[str | None]] = [self.predicted, *self.references]
        for side in sides:
            for video, text in zip(case.videos, side, strict=True):
                if text is not None and len(text) > MOST_WORDS and text.count(" ") >= MOST_WORDS:
                    raise UserError(f"video {video}: its captions have {text.count(' ') + 1} words, too many for a "
                                    f"paragraph (at most {MOST_WORDS}); shorten them, or leave para_* out of the "
                                    "metrics")

    def meteor_pairs(self) -> list[tuple[str, str]]:
        """Each paragraph with each of its references."""
        return corpus.meteor_pairs(self.predicted, self.references) if "METEOR" in self.wanted else []

    def fill(self, part: Part) -> None:
        """BLEU and ROUGE-L; CIDEr is counted over the whole data set at the end."""
        part.rows |= {f"para_{name}": rows for name, rows in
                      corpus.overlap_rows(self.predicted, self.references, self.wanted).items()}
        if "CIDEr" in self.wanted:
            video = np.arange(len(self.predicted))
            part.corpora.append(Corpus("para_CIDEr", 0, video, self.predicted, self.references))

    def fill_meteor(self, part: Part, statistics: np.ndarray, meteor: Meteor) -> None:
        """METEOR, with the best reference of each paragraph."""
        if "METEOR" in self.wanted:
            part.rows["para_METEOR"] = corpus.meteor_rows(self.references, statistics)


def predicted_paragraphs(case: Case) -> list[str]:
    """One text per video: events in file order, letters only."""
    return [letters(". ".join([*captions, ""])) for captions in _by_video(case.predicted)]


def reference_paragraphs(case: Case) -> list[list[str | None]]:
    """The same for each annotator; None where one left the video out."""
    return [[letters(" ".join(captions)) if present else None
             for captions, present in zip(_by_video(events), events.present.tolist(), strict=True)]
            for events in case.annotators]


def letters(text: str) -> str:
    """Lower case, with everything but a-z replaced by single blanks.

    >>> letters("Add 2 cups. It's DONE!")
    'add cups it s done'
    """
    return _OTHERS.sub(" ", text).lower().strip()


def _by_video(events: Events) -> list[Sequence[str]]:
    ends = np.cumsum(events.counts).tolist()
    return [events.captions[first:end] for first, end in zip([0, *ends], ends, strict=False)]
