"""Captions of given clips: event i of the predictions is compared with event i of the reference.

This is how VidChapters scores captions of given events (``vidchapters-vc``) and Video ReCap captions of given clips
(``video-recap``: nlg-eval's metrics on untokenised text, and Google's ROUGE).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hicm.dvc_eval.inputs.arrays import sums_by
from hicm.dvc_eval.inputs.case import Case
from hicm.dvc_eval.inputs.protocols import GOOGLE_ROUGE, Protocol
from hicm.dvc_eval.metrics import corpus
from hicm.dvc_eval.metrics.part import Aligned, Corpus, Part, TextPairs
from hicm.dvc_eval.words.meteor import Meteor
from hicm.dvc_eval.words.rouge import common_lengths, f_score
from hicm.dvc_eval.words.texts import number_texts
from hicm.errors import UserError

_OTHERS = re.compile("[^a-z0-9]+")


class ClipCaptions:
    """Compares captions with the same index in their lists (`hicm.dvc_eval.metrics.part.Scorer`).

    ``read`` turns captions into the texts that BLEU, CIDEr and ROUGE-L compare; ``wanted``: names in CAPTION_METRICS
    and GOOGLE_ROUGE.
    """

    def __init__(self, case: Case, rules: Protocol, wanted: set[str], read: Callable[[Sequence[str]], list[str]],
                 warnings: list[str]) -> None:
        self.rules, self.wanted, self.videos = rules, wanted, len(case.videos)
        self.video, prediction, event = pair_by_order(case, warnings)
        self.captions = ([case.predicted.captions[at] for at in prediction.tolist()],
                         [case.annotators[0].captions[at] for at in event.tolist()])
        texts = [read(side) for side in self.captions]
        for side, found in zip(("predictions", "references"), texts, strict=True):
            empty = found.count("")
            if empty:
                warnings.append(f"{side}: {empty} captions have no words; they count as empty")
        self.hypotheses, self.references = texts[::-1] if rules.clip_roles == "swapped" else texts

    def meteor_size(self) -> int:
        """The number of clips."""
        return len(self.video) if "METEOR" in self.wanted else 0

    def meteor_pairs(self) -> Iterator[TextPairs]:
        """All pairs."""
        if not self.meteor_size():
            return
        sides = [self.hypotheses, self.references]
        if self.rules.reading == "raw":  # METEOR reads one line, and any white space counts as a blank
            sides = [[" ".join(text.split()) for text in side] for side in sides]
        texts, numbers = number_texts(sides)
        yield TextPairs(texts, np.stack(numbers, axis=1), self.rules.tok == "unicode")

    def add_meteor(self, found: Aligned) -> None:
        """All are in one block."""
        self.found = found

    def fill(self, part: Part) -> None:
        """BLEU and both kinds of ROUGE; CIDEr is counted over the whole data set at the end."""
        rows = corpus.overlap_rows(corpus.Items.of(self.hypotheses, [self.references]), self.wanted,
                                   self.rules.rouge_empty)
        if self.wanted & set(GOOGLE_ROUGE):
            unicode = self.rules.tok == "unicode"
            predicted, reference = (self.hypotheses, self.references) if unicode else self.captions
            scores = google_rouge(predicted, reference, str.split if unicode else letters_and_digits)
            rows |= {name: corpus.counted(column) for name, column in zip(GOOGLE_ROUGE, scores.T, strict=True)}
        part.rows |= {name: sums_by(values, self.video, self.videos) for name, values in rows.items()}
        if "CIDEr" in self.wanted:
            part.corpora.append(Corpus("CIDEr", 0, self.video, self.hypotheses, [self.references]))

    def fill_meteor(self, part: Part, meteor: Meteor) -> None:
        """METEOR: the score of summed statistics."""
        if self.meteor_size():
            part.rows["METEOR"] = self.found.total(self.video, self.videos)


def pair_by_order(case: Case, warnings: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Video (S,), and prediction and event (S,) with the same index in their lists.

    Appends to ``warnings`` if a video has more events on one side.  Raises UserError for several reference files.
    """
    if len(case.annotators) > 1:
        raise UserError(f"references: {len(case.annotators)} files, but captions of given clips have one reference "
                        "each; give one file")
    predicted, reference = case.predicted, case.annotators[0]
    uneven = np.flatnonzero(predicted.present & (predicted.counts != reference.counts))
    if len(uneven):
        warnings.append(f"{len(uneven)} videos have different numbers of predictions and events (first: "
                        f"{case.videos[uneven[0]]}): only as many as both have are compared, the rest is left out")
    prediction = np.flatnonzero(predicted.place < reference.counts[predicted.video])
    if not len(prediction):
        raise UserError("predictions: no event has a counterpart in the references; expected one prediction per "
                        "reference event, in the same order")
    first = np.cumsum(reference.counts) - reference.counts
    video = predicted.video[prediction]
    return video, prediction, first[video] + predicted.place[prediction]


def raw(text: str) -> str:
    """A caption as in ``video-recap``: lower case, without blanks around it, punctuation attached to the words."""
    return text.replace("\n", " ").strip().lower()


def letters_and_digits(text: str) -> list[str]:
    """The words of Google's ROUGE: lower case, runs of a-z and 0-9."""
    return _OTHERS.sub(" ", text.lower()).split()


def google_rouge(hypotheses: Sequence[str], references: Sequence[str],
                 split: Callable[[str], list[str]] = letters_and_digits) -> np.ndarray:
    """F1 of rouge1, rouge2, rougeL and rougeLsum of each pair, (S, 4), without stemming; 0 for a side without words.

    Captions are one line each, so rougeLsum equals rougeL.  Lin, 2004, as in Google's package.

    >>> google_rouge(["Stir the pot!"], ["stir a pot"]).round(4).tolist()
    [[0.6667, 0.0, 0.6667, 0.6667]]
    """
    tokens = [split(text) for text in (*hypotheses, *references)]
    count = len(hypotheses)
    length = np.array([len(words) for words in tokens], dtype=float)
    found = np.empty((count, 4))
    for order in (1, 2):
        grams = [Counter(zip(*(words[start:] for start in range(order)), strict=False)) for words in tokens]
        both = np.array([(one & two).total() for one, two in zip(grams[:count], grams[count:], strict=True)], float)
        found[:, order - 1] = _f1(both, length[:count] - order + 1, length[count:] - order + 1)
    common = common_lengths(tokens, np.arange(count), np.arange(count, 2 * count)).astype(float)
    found[:, 2] = found[:, 3] = _f1(common, length[:count], length[count:])
    return found


def _f1(common: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return f_score(common / np.maximum(first, 1), common / np.maximum(second, 1), 1.0)
