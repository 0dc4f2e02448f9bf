"""Several banks as one: nothing is lost, nothing changes its place."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.config import RetrievalConfig
from hicm.errors import UserError
from hicm.memory.bank import Bank, bank_hash, load_bank, save_bank
from hicm.memory.merge import merge_banks
from hicm.retrieval.reader import Reader
from tests.retrieval.naive_read import random_bank

INFO = {"encoder": "hashing:8", "summariser": "medoid", "sources": ["train"]}


def made(seed: int, depth: int = 2, captions: int = 8, dtype=np.float32, **info) -> Bank:
    return dataclasses.replace(random_bank(np.random.default_rng(seed), depth, captions, dtype=dtype),
                               info={**INFO, **info})


def path_of(bank: Bank, leaf: int, depth: int) -> list[tuple[str, list[float]]]:
    """Text and embedding above a caption at each level, the top repeated."""
    levels = [min(number, bank.depth) for number in range(1, depth + 1)]
    nodes = [bank.ancestors(level)[leaf] for level in levels]
    return [(bank.level(level).texts[node], bank.level(level).embeddings[node].tolist())
            for level, node in zip(levels, nodes, strict=True)]


@given(st.lists(st.tuples(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 12)), min_size=2, max_size=3,
                unique_by=lambda bank: bank[0]))
@settings(max_examples=20)
def test_every_caption_keeps_its_ancestry(tmp_path_factory, plans):
    folder = tmp_path_factory.mktemp("merge")
    banks = [made(*plan, summariser=f"number {number}") for number, plan in enumerate(plans)]
    folders = [save_bank(bank, folder / str(number)) for number, bank in enumerate(banks)]
    whole = load_bank(merge_banks(folders, folder / "all"))
    depth = max(bank.depth for bank in banks)
    assert whole.depth == depth and len(whole.leaves) == sum(len(bank.leaves) for bank in banks)
    first = 0
    for bank in banks:
        for leaf in range(len(bank.leaves)):
            place = first + leaf
            assert path_of(whole, place, depth) == path_of(bank, leaf, depth)
            assert whole.leaves.texts[place] == bank.leaves.texts[leaf]
            assert whole.leaves.videos[place] == bank.leaves.videos[leaf]
            assert np.array_equal(whole.leaves.embeddings[place], bank.leaves.embeddings[leaf])
        first += len(bank.leaves)
    for number in range(1, depth + 1):
        authors = [author + start if author >= 0 else -1
                   for bank, start in zip(banks, np.cumsum([0, *(len(b.leaves) for b in banks)]), strict=False)
                   for author in bank.level(min(number, bank.depth)).authors]
        assert whole.level(number).authors.tolist() == authors


def test_origin_and_type(tmp_path):
    a = save_bank(made(1, dtype=np.float16, sources=["train"]), tmp_path / "a")
    b = save_bank(made(2, summariser="imported", sources=["x.pkl", "train"]), tmp_path / "b")
    out = merge_banks([a, b], tmp_path / "all")
    bank = load_bank(out)
    assert bank.leaves.embeddings.dtype == np.float32 and bank.levels[0].embeddings.dtype == np.float32
    assert bank.info == {"encoder": "hashing:8", "summariser": "medoid, imported", "sources": ["train", "x.pkl"],
                         "captions": 16, "merged": [{"name": "a", "sha256": bank_hash(a)},
                                                    {"name": "b", "sha256": bank_hash(b)}]}
    half = load_bank(merge_banks([a, save_bank(made(3, dtype=np.float16), tmp_path / "c")], tmp_path / "half"))
    assert half.levels[0].embeddings.dtype == np.float16
    reader = Reader(bank, RetrievalConfig(windows=1, top_k=2))
    assert reader.read(np.ones((1, 1, 8), np.float32), np.ones((1, 1), bool), ["video-00000"]).mask.all()


def test_captions_embeddings_are_kept_only_where_all_are(tmp_path):
    a, b = made(1), made(2)
    b = dataclasses.replace(b, leaves=dataclasses.replace(b.leaves, embeddings=None))
    folders = [save_bank(a, tmp_path / "a"), save_bank(b, tmp_path / "b")]
    bank = load_bank(merge_banks(folders, tmp_path / "all"))
    assert bank.leaves.embeddings is None and bank.leaves.texts == a.leaves.texts + b.leaves.texts


def test_what_cannot_be_merged(tmp_path):
    def expect(message: str, *banks: Bank, **options) -> None:
        folders = [save_bank(bank, tmp_path / f"bank{number}") for number, bank in enumerate(banks)]
        with pytest.raises(UserError, match=message):
            merge_banks(folders, tmp_path / "all", **options)

    expect("1 bank to merge; name two or more", made(1))
    expect("bank1: the same bank as .*bank0; name each once", made(1), made(1))
    wide = made(2)
    wide = Bank(tuple(dataclasses.replace(level, embeddings=np.tile(level.embeddings, 2)) for level in wide.levels),
                dataclasses.replace(wide.leaves, embeddings=None), INFO)
    for force in (False, True):
        expect("bank1: embeddings are 16 wide, those of .*bank0 8", made(1), wide, force=force)
    other = made(2, encoder="hashing:9")
    expect("bank1: its encoder is hashing:9, that of .*bank0 hashing:8; .*--force", made(1), other)
    expect("its encoder is unknown, that of .* unknown", made(1, encoder="unknown"), made(2, encoder="unknown"))
    bare = made(2, depth=1)
    bare = Bank((dataclasses.replace(bare.levels[0], authors=np.full(len(bare.levels[0]), -1),
                                     children=(np.zeros(0, np.int64),) * len(bare.levels[0])),), None, INFO)
    expect("bank1: holds no captions, unlike .*bank0", made(1), bare)
    expect("bank0: holds no captions, unlike .*bank1", bare, made(1))
    assert not (tmp_path / "all").exists()
    folders = [save_bank(made(1), tmp_path / "a"), save_bank(made(2, encoder="other"), tmp_path / "b")]
    assert load_bank(merge_banks(folders, tmp_path / "all", force=True)).info["encoder"] == "hashing:8, other"


def test_banks_without_captions_merge(tmp_path):
    folders = []
    for seed in (1, 2):
        bank = made(seed, depth=seed)
        levels = [dataclasses.replace(level, authors=np.full(len(level), -1)) for level in bank.levels]
        levels[0] = dataclasses.replace(levels[0], children=(np.zeros(0, np.int64),) * len(levels[0]))
        folders.append(save_bank(Bank(tuple(levels), None, INFO), tmp_path / str(seed)))
    bank = load_bank(merge_banks(folders, tmp_path / "all"))
    assert bank.leaves is None and bank.depth == 2


def test_a_merge_is_kept_and_another_bank_not_replaced(tmp_path):
    a, b, c = (save_bank(made(seed), tmp_path / str(seed)) for seed in (1, 2, 3))
    out = merge_banks([a, b], tmp_path / "all")
    stamp = (out / "bank.json").stat().st_mtime_ns
    assert merge_banks([a, b], out) == out and (out / "bank.json").stat().st_mtime_ns == stamp
    with pytest.raises(UserError, match="all: holds another memory bank"):
        merge_banks([a, c], out)
    assert load_bank(merge_banks([a, c], out, overwrite=True)).info["merged"][1]["name"] == "3"
