"""What a sentence recalls: the texts of the nodes that the search of ``retrieval`` keeps for its embedding.

A sentence is read as a video of one frame and one window would be.  Each is looked up on its own, so that what it
recalls does not depend on others that are looked up at the same time.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from hicm.config import RetrievalConfig
from hicm.encoders import Encoder
from hicm.errors import UserError
from hicm.memory.bank import Bank
from hicm.retrieval.reader import Reader, needs_bank
from hicm.retrieval.records import Recalled
from hicm.retrieval.scoring import captions_mean

_WORD = re.compile(r"[^\W_]+")


def for_texts(settings: RetrievalConfig) -> RetrievalConfig:
    """The same search for texts: one window, and no mean frame, which a text does not share."""
    return replace(settings, windows=1, window_shape="uniform", mask_padding=True,
                   centring="both" if settings.centring == "both" else "none")


def refuse_other_encoder(bank: Bank, encoder: Encoder, where: object) -> None:
    """UserError unless ``encoder`` made the embeddings of the bank, which is called ``where``."""
    made_by = bank.info.get("encoder", "unknown")
    if made_by != encoder.name:
        raise UserError(f"{where}: the encoder of its embeddings is {made_by}, that of the text {encoder.name}; "
                        "use the bank's (memory.encoder), or import the bank again naming its encoder")


def text_reader(bank: Bank | None, settings: RetrievalConfig) -> Reader:
    """The reader of a bank for texts; with ``centring: both`` the captions' mean is subtracted from texts, too."""
    settings = for_texts(settings)
    mean = captions_mean(bank) if bank is not None and settings.centring == "both" else None
    return Reader(bank, settings, mean)


class SentenceReader:
    """Recalls texts for sentences.  ``bank`` and ``encoder``, the bank's own, may be None for a search without a bank.

    Raises UserError when the settings do not fit the bank.
    """

    def __init__(self, bank: Bank | None, settings: RetrievalConfig, encoder: Encoder | None) -> None:
        self.bank, self.encoder, self.asks = bank, encoder, needs_bank(settings)
        self.reader = text_reader(bank, replace(settings, read="items", precision="float32",
                                                temperature=RetrievalConfig.temperature))

    def read(self, sentences: Sequence[str], most: int, own: Sequence[str | None] | None = None,
             best_out: bool = False) -> Iterator[tuple[str, ...]]:
        """For each sentence at most ``most`` texts, the nearest first.

        They differ from the sentence and from each other in their words.  ``own``: for each sentence the video whose
        captions it may not recall (None: nothing is left out); ``best_out``: as in `Reader.read`.  Raises UserError
        when the bank cannot tell which captions are whose.
        """
        if not self.asks or self.bank is None or self.encoder is None:
            yield from (() for _ in sentences)
            return
        queries = np.asarray(self.encoder.encode(list(sentences)), np.float32)
        for number, (sentence, query) in enumerate(zip(sentences, queries, strict=True)):
            found = self.reader.read(query[None, None], np.ones((1, 1), bool), None if own is None else [own[number]],
                                     [sentence], best_out)
            yield _distinct(sentence, _texts(self.bank, found), most)


def _texts(bank: Bank, recalled: Recalled) -> list[str]:
    """The texts of the slots of one sentence, the nearest first; of equally near ones that of the lowest level."""
    slots, scores = recalled.slots[0][recalled.mask[0]], recalled.slot_scores
    if scores is None:
        raise ValueError("texts need a read that hands over single nodes")
    order = np.lexsort([slots[:, 1], -scores[0][recalled.mask[0]]])  # stable
    return [bank.texts(level)[node] for level, node in slots[order, 1:].tolist()]


def _distinct(sentence: str, texts: Sequence[str], most: int) -> tuple[str, ...]:
    known, found = {_key(sentence)}, []
    for text in texts:
        if (key := _key(text)) not in known:
            known.add(key)
            found.append(text)
    return tuple(found[:most])


def _key(text: str) -> str:
    """Texts with the same words have the same key."""
    return " ".join(_WORD.findall(text.lower())) or text
