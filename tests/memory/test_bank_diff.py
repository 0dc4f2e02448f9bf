"""What two banks have in common and where they differ."""

import dataclasses
import json

import numpy as np
import pytest

from hicm.memory.bank import Bank, save_bank
from hicm.memory.diff import diff_banks
from hicm.memory.exports import export_bank
from hicm.memory.imports import import_bank
from tests.retrieval.naive_read import random_bank


@pytest.fixture
def bank() -> Bank:
    return dataclasses.replace(random_bank(np.random.default_rng(3), depth=2, captions=12, written=1.0),
                               info={"encoder": "e", "summariser": "medoid"})


def changed(bank: Bank, number: int, **fields) -> Bank:
    levels = list(bank.levels)
    levels[number - 1] = dataclasses.replace(levels[number - 1], **fields)
    return dataclasses.replace(bank, levels=tuple(levels))


def diff(tmp_path, left: Bank, right: Bank):
    return diff_banks(save_bank(left, tmp_path / "a"), save_bank(right, tmp_path / "b"))


def test_a_bank_is_identical_to_itself(bank, tmp_path):
    found = diff(tmp_path, bank, bank)
    assert found.identical and str(found).endswith("identical") and found.shared == 12
    assert all((level.rand, level.rewritten, level.embedding) == (1, 0, 0) for level in found.levels)


def test_another_origin_alone_is_a_difference(bank, tmp_path):
    found = diff(tmp_path, bank, dataclasses.replace(bank, info={"encoder": "e", "summariser": "other"}))
    assert not found.identical and found.info == {"summariser": ("medoid", "other")}
    assert "summariser: 'medoid' in A, 'other' in B" in str(found)


def test_rewritten_summaries_are_counted_and_shown(bank, tmp_path):
    texts = list(bank.levels[0].texts)
    texts[1] = "another summary"
    found = diff(tmp_path, bank, changed(bank, 1, texts=tuple(texts)))
    first, top = found.levels
    assert (first.rewritten, top.rewritten) == (1, 0) and not found.identical
    assert first.examples == ((bank.levels[0].texts[1], "another summary"),)
    assert f"'{bank.levels[0].texts[1]}' in A, 'another summary' in B" in str(found)


def test_nodes_are_found_by_their_captions_not_their_numbers(bank, tmp_path):
    """Level 1 in reverse order is the same partition."""
    first, top = bank.levels
    last = len(first) - 1
    mirrored = Bank((
        dataclasses.replace(first, texts=first.texts[::-1], embeddings=first.embeddings[::-1],
                            children=first.children[::-1], authors=first.authors[::-1]),
        dataclasses.replace(top, children=tuple(last - ids for ids in top.children))), bank.leaves, bank.info)
    found = diff(tmp_path, bank, mirrored)
    assert not found.identical and found.levels[0].same == len(first)
    assert all((level.rand, level.rewritten, level.embedding) == (1, 0, 0) for level in found.levels)


def test_partitions_and_embeddings_are_compared(bank, tmp_path):
    first = bank.levels[0]
    given = next(node for node, ids in enumerate(first.children) if len(ids) > 1)
    taken = (given + 1) % len(first)
    children = list(first.children)
    children[taken] = np.append(children[taken], children[given][0])
    children[given] = children[given][1:]
    embeddings = first.embeddings.copy()
    embeddings[:, 0] += 0.25
    found = diff(tmp_path, bank, changed(bank, 1, children=tuple(children), embeddings=embeddings))
    assert found.levels[0].rand < 1 and found.levels[0].same == len(first) - 2
    assert found.levels[0].embedding == pytest.approx(0.25)
    wide = [dataclasses.replace(level, embeddings=np.tile(level.embeddings, 2)) for level in bank.levels]
    wide = dataclasses.replace(bank, levels=tuple(wide), leaves=dataclasses.replace(bank.leaves, embeddings=None))
    found = diff(tmp_path, bank, wide)
    assert not found.identical and [level.embedding for level in found.levels] == [None, None]


def test_captions_of_one_bank_alone(bank, tmp_path):
    texts = ("only here", *bank.leaves.texts[1:])
    found = diff(tmp_path, bank, dataclasses.replace(bank, leaves=dataclasses.replace(bank.leaves, texts=texts)))
    assert found.shared == 11 and found.only[1][0].startswith("'only here' [video-")
    assert "only in A: 1, e.g. 'caption 0'" in str(found) and "only in B: 1, e.g. 'only here'" in str(found)
    found = diff(tmp_path, bank, random_bank(np.random.default_rng(4), depth=3, captions=30))
    assert found.depths == (2, 3) and found.levels[2].nodes[0] == 0 and found.levels[2].rand is None
    strange = dataclasses.replace(bank.leaves, texts=tuple(f"new {leaf}" for leaf in range(12)))
    found = diff(tmp_path, bank, dataclasses.replace(bank, leaves=strange))
    assert found.shared == 0 and found.levels[0].rand is None and len(found.only[0]) == 5 and str(found)


def test_without_videos_the_text_counts(bank, tmp_path):
    leaves = dataclasses.replace(bank.leaves, texts=("same",) * 3 + bank.leaves.texts[3:])
    bank = dataclasses.replace(bank, leaves=leaves)
    path = export_bank(save_bank(bank, tmp_path / "a"), tmp_path / "a.pkl", "released")
    found = diff_banks(tmp_path / "a", import_bank(path, tmp_path / "b"))
    assert found.matched_by == "text" and found.shared == 12 and "12 shared (same text)" in str(found)
    assert all(level.rand == 1 and level.same == level.nodes[0] for level in found.levels)


def test_without_captions_the_number_counts(bank, tmp_path):
    first = dataclasses.replace(bank.levels[0], children=(np.zeros(0, np.int64),) * len(bank.levels[0]))
    bare = dataclasses.replace(bank, levels=(first, bank.levels[1]), leaves=None)
    found = diff(tmp_path, bank, changed(bare, 2, texts=("x", *bare.levels[1].texts[1:])))
    assert found.shared is None and found.levels[1].rewritten == 1 and found.levels[0].rewritten == 0
    assert "compared by their numbers" in str(found) and not found.identical


def test_json(bank, tmp_path):
    content = json.loads(json.dumps(diff(tmp_path, bank, changed(bank, 1, texts=bank.levels[0].texts)).to_json()))
    assert content["identical"] is True and content["levels"][0]["rand"] == 1
