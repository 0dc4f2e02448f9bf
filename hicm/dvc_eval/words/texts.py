"""Captions as numbers: each distinct one cleaned and tokenised once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hicm.dvc_eval.inputs.case import Case
from hicm.dvc_eval.words.tokenise import LINE_BREAKS, Tokeniser, clean, is_plain


@dataclass(frozen=True)
class Texts:
    """Tokenised captions, each distinct string once, and who says which.

    ``predicted`` (N,) and each of ``references`` (M,) hold, event by event, indices into ``tokens``.
    """

    tokens: list[str]
    predicted: np.ndarray
    references: list[np.ndarray]


@dataclass
class Oddities:
    """Distinct captions that were not read as written, by side and kind: what warnings are made of."""

    captions: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def add(self, side: str, kind: str, captions: Iterable[str]) -> None:
        """Remember captions of a kind."""
        found = set(captions)
        if found:
            self.captions.setdefault((side, kind), set()).update(found)

    def include(self, other: "Oddities") -> None:
        """Add those of other videos."""
        for (side, kind), captions in other.captions.items():
            self.add(side, kind, captions)

    def warnings(self) -> list[str]:
        """One line for each side and kind."""
        say = {"broken": "hold a line break (CR, VT, FF, U+2028 or U+2029); read as a blank",
               "foreign": "hold characters outside ASCII; read as blanks, as the toolkits do",
               "wordless": "have no word; they count as empty",
               "unproven": "hold what the tokeniser's rules are not proven for; compare with the jar: "
                           "--check-with-java"}
        return [f"{side}: {len(found)} captions {say[kind]}" if side else f"{len(found)} captions {say[kind]}"
                for kind in say for (side, of), found in self.captions.items() if of == kind]


def intern_captions(case: Case, tokeniser: Tokeniser, oddities: Oddities) -> Texts:
    """Clean and tokenise each distinct caption once.  Raises Unavailable when the tokeniser cannot work here.

    Every character outside ASCII becomes a blank first, as the event protocols have it.
    """
    said = list(dict.fromkeys(case.predicted.captions))
    written = list(dict.fromkeys(caption for events in case.annotators for caption in events.captions))
    captions = {}
    for side, texts in (("predictions", said), ("references", written)):
        odd = [caption for caption in texts if not is_plain(caption)]
        oddities.add(side, "broken", (caption for caption in odd if LINE_BREAKS.search(caption)))
        oddities.add(side, "foreign", (caption for caption in odd if not caption.isascii()))
        captions |= zip(texts, clean(texts), strict=True)
    distinct = list(dict.fromkeys(captions.values()))
    tokens = dict(zip(distinct, tokeniser.tokenise(distinct), strict=True))
    oddities.add("", "unproven", tokeniser.unproven)
    for side, texts in (("predictions", said), ("references", written)):
        oddities.add(side, "wordless", (caption for caption in texts if not tokens[captions[caption]]))
    texts, ids = number_texts([[tokens[captions[caption]] for caption in side] for side in
                               (case.predicted.captions, *(events.captions for events in case.annotators))])
    return Texts(texts, ids[0], ids[1:])


def number_texts(lists: Sequence[Sequence[str | None]]) -> tuple[list[str], list[np.ndarray]]:
    """The distinct texts of some lists, and each list as indices into them; -1 for None.

    >>> number_texts([["stir", "fry"], [None, "stir"]])
    (['stir', 'fry'], [array([0, 1]), array([-1,  0])])
    """
    index: dict[str | None, int] = {text: at for at, text in enumerate(dict.fromkeys(
        text for texts in lists for text in texts if text is not None))}
    distinct = list(index)
    index[None] = -1
    return distinct, [np.array([index[text] for text in texts], dtype=np.int64) for texts in lists]
