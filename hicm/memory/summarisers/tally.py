"""How a build fares: unusable answers per kind, one sentence for many nodes, and when going on is pointless."""

from collections import Counter
from collections.abc import Sequence

from hicm.memory.summarisers.answers import Verdict, plain_words

SAME = "is the same for many nodes"
FEW = 50  # outcomes before a build is judged
SAME_NODES, SAME_SHARE = 5, 0.1  # a sentence for so many nodes, and for this share of all, says nothing about any


class Tally:
    """The outcomes so far, one for each different question."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._problems: Counter[str] = Counter()
        self._given: Counter[str] = Counter()  # sentence -> questions it answers, without those whose text it quotes
        self._often: set[str] = set()  # sentences given for SAME_NODES or more

    def add(self, key: str, verdict: Verdict, texts: Sequence[str]) -> None:
        """Count the outcome of a question that showed ``texts``, once."""
        if key in self._keys:
            return
        self._keys.add(key)
        if verdict.problem:
            self._problems[verdict.problem] += 1
        elif (said := plain_words(verdict.text)) not in map(plain_words, texts):
            self._given[said] += 1
            if self._given[said] >= SAME_NODES:
                self._often.add(said)

    def is_everywhere(self, text: str, texts: Sequence[str]) -> bool:
        """Whether a sentence, no quotation of one of ``texts``, is given for too many nodes to summarise any."""
        said = plain_words(text)
        return self._everywhere(said) and said not in map(plain_words, texts)

    def _everywhere(self, said: str) -> bool:
        return said in self._often and self._given[said] >= SAME_SHARE * len(self._keys)

    def too_many(self, share: float) -> str:
        """What failed, as a phrase, once more than ``share`` of enough answers did; else ""."""
        same = sum(self._given[said] for said in self._often if self._everywhere(said))
        failed = self._problems + Counter({SAME: same})
        if len(self._keys) < FEW or failed.total() <= share * len(self._keys):
            return ""
        kinds = ", ".join(f"{kind}: {count:,}" for kind, count in failed.most_common())
        return f"{failed.total():,} of {len(self._keys):,} answers so far cannot be used ({kinds})"
