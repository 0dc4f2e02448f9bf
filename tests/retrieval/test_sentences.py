"""What sentences recall: distinct texts, nothing of their own video, the same alone as among others."""

from dataclasses import replace

import numpy as np
import pytest

from hicm.config import MemoryConfig, RetrievalConfig, SummaryConfig
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.memory.bank import Bank
from hicm.memory.captions import Captions
from hicm.memory.summarise import summarise_tree
from hicm.memory.summarisers import make_summariser
from hicm.memory.tree import build_tree
from hicm.retrieval.sentences import SentenceReader

ENCODER = make_encoder("hashing:64")
DOES, WHAT = ("cuts", "fries", "washes", "serves"), ("bread", "eggs", "rice", "fish", "leeks", "beans")
SETTINGS = {"descend": {}, "captions": {"levels": [0], "beam": 8, "top_k": 8}, "mixed": {"levels": [0, 1]},
            "flat": {"search": "flat", "flat_level": 0}, "top": {"search": "top_only"}, "random": {"search": "random"},
            "centred": {"centring": "both"}}


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> Bank:
    """Captions of 24 videos, four each; six subjects."""
    folder = tmp_path_factory.mktemp("bank")
    texts, videos = [], []
    for number, what in enumerate(WHAT * 4):
        for does in DOES:
            texts.append(f"person {number} {does} the {what}")
            videos.append(f"video {number:05d}")
    captions = Captions(tuple(texts), tuple(videos), np.arange(len(texts)) % len(DOES), ())
    tree = build_tree(captions, ENCODER, MemoryConfig(), folder)
    levels, _ = summarise_tree(tree, make_summariser("medoid", SummaryConfig(), folder), ENCODER)
    return Bank(levels, tree.leaves, {"encoder": ENCODER.name})


def settings(name: str) -> RetrievalConfig:
    return RetrievalConfig(**SETTINGS[name])


def owners(bank: Bank) -> dict[str, str]:
    return dict(zip(bank.leaves.texts, bank.leaves.videos, strict=True))


@pytest.mark.parametrize("name", SETTINGS)
def test_a_training_sentence_recalls_nothing_of_its_own_video(bank, name):
    reader, wrote = SentenceReader(bank, settings(name), ENCODER), owners(bank)
    texts, own = bank.leaves.texts, bank.leaves.videos
    found = list(reader.read(texts, 8, own))
    assert all(found) and not [text for some, video in zip(found, own, strict=True) for text in some
                               if wrote[text] == video]
    free = list(reader.read(texts, 8))
    assert name in ("top", "random") or sum(
        wrote[text] == video for some, video in zip(free, own, strict=True) for text in some) > len(texts) / 2


@pytest.mark.parametrize("name", SETTINGS)
def test_a_sentence_alone_recalls_the_same(bank, name):
    reader = SentenceReader(bank, settings(name), ENCODER)
    texts = bank.leaves.texts[:7]
    found = list(reader.read(texts, 5))
    assert [next(reader.read([text], 5)) for text in texts] == found
    assert list(reader.read(texts[::-1], 5)) == found[::-1]


def test_the_nearest_come_first_and_none_twice(bank):
    sentence = "Person 3 fries the fish!"
    [found] = SentenceReader(bank, settings("flat"), ENCODER).read([sentence], 6)
    cosines = ENCODER.encode(found) @ ENCODER.encode([sentence])[0]
    assert len(set(found)) == 6 and (np.diff(cosines) <= 1e-6).all() and "person 3 fries the fish" not in found
    [all_levels] = SentenceReader(bank, RetrievalConfig(levels=[0, 1, 2], top_k=20), ENCODER).read([sentence], 60)
    assert len(set(all_levels)) == len(all_levels), "a summary quotes a caption"


@pytest.mark.parametrize("search", ["zero", "none"])
def test_nothing_is_recalled_without_a_bank(search):
    assert list(SentenceReader(None, RetrievalConfig(search=search), None).read(["a", "b"], 3)) == [(), ()]


def test_a_threshold_may_leave_nothing(bank):
    reader = SentenceReader(bank, RetrievalConfig(select="similarity", threshold=0.99, levels=[0]), ENCODER)
    assert list(reader.read(["zebras yawn"], 3)) == [()]


def test_the_best_is_left_out(bank):
    reader = SentenceReader(bank, settings("flat"), ENCODER)
    [found], [without] = (list(reader.read(["somebody fries the fish"], 9, best_out=out)) for out in (False, True))
    assert without == found[1:] + without[len(found) - 1:]


def test_a_bank_that_does_not_know_whose_captions_it_holds_is_refused(bank):
    nameless = replace(bank, leaves=replace(bank.leaves, videos=("",) * len(bank.leaves)))
    reader = SentenceReader(nameless, RetrievalConfig(), ENCODER)
    with pytest.raises(UserError, match="leaving a video's own captions out needs the bank's captions with"):
        list(reader.read(["a"], 3, ["video 00001"]))
