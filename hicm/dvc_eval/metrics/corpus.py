"""Caption metrics over a whole data set as one corpus, for paragraphs and clips.

An item is a predicted text with one or several references.  Each gives statistics that add up over the corpus; CIDEr's
idf is counted over all items, so its statistics are valid for this corpus only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from hicm.dvc_eval.words.bleu import bleu_scores, bleu_statistics
from hicm.dvc_eval.words.cider import cider
from hicm.dvc_eval.words.grams import Grams, count_grams
from hicm.dvc_eval.words.meteor import total
from hicm.dvc_eval.words.meteor15.score import scores as meteor_scores
from hicm.dvc_eval.words.rouge import rouge_l
from hicm.dvc_eval.words.texts import number_texts
from hicm.evaluation.measures import Measure, divide

Rows = dict[str, np.ndarray]  # metric, or Bleu for all four -> statistics, one row per item


@dataclass(frozen=True)
class Items:
    """S items: the distinct ``texts``, tokenised, and indices of them, ``hypothesis`` (S,) and ``references`` (S, A).

    -1 where an annotator has no text.
    """

    texts: list[str]
    hypothesis: np.ndarray
    references: np.ndarray

    @classmethod
    def of(cls, hypotheses: Sequence[str], references: Sequence[Sequence[str | None]]) -> "Items":
        """The items of S texts and A lists of S texts."""
        texts, (hypothesis, *others) = number_texts([hypotheses, *references])
        return cls(texts, hypothesis, np.stack(others, axis=1))

    @cached_property
    def grams(self) -> Grams:
        """The n-grams of the texts."""
        return count_grams(self.texts)


def overlap_rows(items: Items, wanted: set[str], rouge_empty: str) -> Rows:
    """Statistics of S items for BLEU and ROUGE_L, if wanted.  ``rouge_empty``: see `rouge.rouge_l`."""
    rows: Rows = {}
    if any(name.startswith("Bleu") for name in wanted):
        rows["Bleu"] = bleu_statistics(items.grams, items.hypothesis, items.references)
    if "ROUGE_L" in wanted:
        rows["ROUGE_L"] = counted(rouge_l(items.texts, items.hypothesis, items.references, rouge_empty))
    return rows


def cider_scores(items: Items) -> np.ndarray:
    """CIDEr (0..10) of each of S items, with all of them as the corpus."""
    owner = np.zeros(len(items.hypothesis), dtype=np.int64)
    return cider(items.grams, items.hypothesis, items.references, owner, 1)


def meteor_pairs(hypotheses: Sequence[str], references: Sequence[Sequence[str | None]],
                 ) -> tuple[list[str], np.ndarray]:
    """Distinct texts, and the pairs (Q, 2) of them whose statistics `meteor_rows` needs.

    All items of the first annotator, then of the second, and so on.
    """
    texts, (first, *others) = number_texts([hypotheses, *references])
    pairs = np.concatenate([np.stack([first, second], axis=1) for second in others])
    return texts, pairs[pairs[:, 1] >= 0]


def meteor_rows(references: Sequence[Sequence[str | None]], statistics: np.ndarray) -> np.ndarray:
    """METEOR's statistics (S, 23) with the best reference of each item, on a tie the first."""
    columns = np.array([[reference is not None for reference in column] for column in references])
    found = np.zeros((*columns.shape, statistics.shape[1]))
    found[columns] = statistics
    score = np.full(columns.shape, -1.0)
    score[columns] = meteor_scores(statistics)
    best = found[score.argmax(axis=0), np.arange(columns.shape[1])]
    return total(best, np.arange(len(best)), len(best))  # ready to be summed


def corpus_measure(name: str, rows: Mapping[str, np.ndarray]) -> Measure | None:
    """The measure of a corpus metric, with or without ``para_``, from rows per video; None without its rows."""
    metric = name.removeprefix("para_")
    key = name.replace(metric, "Bleu") if metric.startswith("Bleu_") else name
    if key not in rows:
        return None
    if metric.startswith("Bleu_"):
        return Measure(name, rows[key], partial(_bleu, order=int(metric[-1])))
    if metric == "METEOR":
        return Measure(name, rows[key], meteor_scores)
    return Measure(name, rows[key], _mean, additive=metric != "CIDEr")


def counted(values: np.ndarray) -> np.ndarray:
    """Values (S,) as statistics (S, 2): the value, and 1."""
    return np.stack([values, np.ones(len(values))], axis=1)


def _mean(sums: np.ndarray) -> np.ndarray:
    return divide(sums[..., 0], sums[..., 1])


def _bleu(sums: np.ndarray, order: int) -> np.ndarray:
    return bleu_scores(sums)[..., order - 1]
