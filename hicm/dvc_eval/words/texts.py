"""Captions as numbers: each distinct caption is cleaned and tokenised once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from hicm.dvc_eval.inputs.case import Case
from hicm.dvc_eval.words.tokenise import LINE_BREAKS, Tokeniser, clean, is_plain


@dataclass(frozen=True)
class Texts:
    """Tokenised captions, each distinct string once.

    ``predicted`` (N,) and each annotator's array in ``references`` (M,) hold one index into ``tokens`` per event.
    """

    tokens: list[str]
    predicted: np.ndarray
    references: list[np.ndarray]


@dataclass
class Oddities:
    """How many captions were not read exactly as written, by side and kind, for warnings."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, side: str, kind: str, captions: int) -> None:
        """Add a number of captions of one kind."""
        if captions:
            self.counts[side, kind] = self.counts.get((side, kind), 0) + captions

    def include(self, other: "Oddities") -> None:
        """Add the captions of other videos."""
        for (side, kind), captions in other.counts.items():
            self.add(side, kind, captions)

    def warnings(self) -> list[str]:
        """One line per side and kind."""
        reasons = {"broken": "contain a line break (CR, VT, FF, U+2028 or U+2029), read as a blank",
                   "foreign": "contain characters outside ASCII, read as blanks, as in the toolkits (see --rule "
                              "tok=unicode)",
                   "wordless": "have no words; they count as empty",
                   "letterless": "have no letters a to z; paragraphs leave them out",
                   "unproven": "contain text that the tokeniser's rules were not verified on; compare with the jar: "
                               "--check-with-java"}
        return [f"{side}: {number} captions {reason}" if side else f"{number} captions {reason}"
                for kind, reason in reasons.items() for (side, of), number in self.counts.items() if of == kind]


def intern_captions(case: Case, tokeniser: Tokeniser, oddities: Oddities, ascii_only: bool = True) -> Texts:
    """Clean and tokenise each distinct caption once.  Raises Unavailable if the tokeniser cannot work here.

    With ``ascii_only`` every character outside ASCII becomes a blank first, as in the toolkits for events.
    """
    sides = (("predictions", Counter(case.predicted.captions)),
             ("references", Counter(chain.from_iterable(events.captions for events in case.annotators))))
    captions: dict[str, str] = {}
    for side, texts in sides:
        odd = [caption for caption in texts if not is_plain(caption)]
        oddities.add(side, "broken", sum(texts[caption] for caption in odd if LINE_BREAKS.search(caption)))
        if ascii_only:
            oddities.add(side, "foreign", sum(texts[caption] for caption in odd if not caption.isascii()))
        captions |= zip(texts, clean(list(texts), ascii_only), strict=True)
    distinct = list(dict.fromkeys(captions.values()))
    tokens = dict(zip(distinct, tokeniser.tokenise(distinct), strict=True))
    unproven = set(tokeniser.unproven)
    for side, texts in sides:
        oddities.add(side, "wordless", sum(texts[caption] for caption in texts if not tokens[captions[caption]]))
        oddities.add("", "unproven", sum(texts[caption] for caption in texts if captions[caption] in unproven))
    distinct, ids = number_texts([[tokens[captions[caption]] for caption in events.captions]
                                  for events in (case.predicted, *case.annotators)])
    return Texts(distinct, ids[0], ids[1:])


def number_texts(lists: Sequence[Sequence[str | None]]) -> tuple[list[str], list[np.ndarray]]:
    """The distinct texts in some lists, and each list as indices into them; -1 for None.

    >>> number_texts([["stir", "fry"], [None, "stir"]])
    (['stir', 'fry'], [array([0, 1]), array([-1,  0])])
    """
    distinct = list(dict.fromkeys(text for texts in lists for text in texts if text is not None))
    index = {text: at for at, text in enumerate(distinct)}
    return distinct, [np.array([-1 if text is None else index[text] for text in texts], dtype=np.int64)
                      for texts in lists]
