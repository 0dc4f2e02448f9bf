import dataclasses

import numpy as np
import pytest

from hicm.errors import UserError
from hicm.files import read_json, sha256, write_json
from hicm.memory.bank import ARRAYS, TEXTS, Bank, Leaves, Level, bank_hash, load_bank, save_bank


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


@pytest.fixture
def bank() -> Bank:
    """Five captions of two videos, three nodes above them, one on top."""
    rng = np.random.default_rng(0)
    leaves = Leaves(tuple("abcde"), rng.standard_normal((5, 4)).astype(np.float32), ("v", "v", "w", "w", "w"),
                    ints(0, 1, 0, 1, 2))
    first = Level(("a", "c", "of d"), rng.standard_normal((3, 4)).astype(np.float32),
                  (ints(0, 4), ints(2, 1), ints(3)), ints(0, 2, -1))
    top = Level(("c",), rng.standard_normal((1, 4)).astype(np.float32), (ints(2, 0, 1),), ints(2))
    return Bank((first, top), leaves, {"encoder": "made up", "sources": ["train"]})


def same(left: Bank, right: Bank) -> bool:
    def equal(a, b):
        return a is b or (a.dtype == b.dtype and np.array_equal(a, b))

    levels = all(x.texts == y.texts and equal(x.embeddings, y.embeddings) and equal(x.authors, y.authors)
                 and len(x.children) == len(y.children) and all(map(equal, x.children, y.children))
                 for x, y in zip(left.levels, right.levels, strict=True))
    a, b = left.leaves, right.leaves
    leaves = a is b or (a.texts == b.texts and a.videos == b.videos and equal(a.sentences, b.sentences)
                        and equal(a.embeddings, b.embeddings))
    return levels and leaves and left.info == right.info


def test_shape_and_ancestry(bank):
    assert (bank.width, bank.depth) == (4, 2)
    assert bank.ancestors(1).tolist() == [0, 1, 1, 2, 0]
    assert bank.leaves_of(1, 0).tolist() == [0, 4]
    assert bank.leaves_of(2, 0).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match=r"level 3 does not exist; it has levels 1 \(finest\) to 2"):
        bank.level(3)


@pytest.mark.parametrize("kind", ["full", "half precision", "no leaf embeddings", "no leaves", "accents"])
def test_round_trip(bank, tmp_path, kind):
    first, top = bank.levels
    if kind == "half precision":
        bank = dataclasses.replace(bank, levels=tuple(
            dataclasses.replace(level, embeddings=level.embeddings.astype(np.float16)) for level in bank.levels))
    elif kind == "no leaf embeddings":
        bank = dataclasses.replace(bank, leaves=dataclasses.replace(bank.leaves, embeddings=None))
    elif kind == "no leaves":
        first = dataclasses.replace(first, children=(ints(),) * 3)
        bank = dataclasses.replace(bank, leaves=None, levels=(first, top))
    elif kind == "accents":
        top = dataclasses.replace(top, texts=("sautée \u2028 \U0001f9c5",))
        bank = dataclasses.replace(bank, levels=(first, top))
    assert save_bank(bank, tmp_path / "bank") == tmp_path / "bank"
    assert same(load_bank(tmp_path / "bank"), bank)
    assert sorted(path.name for path in (tmp_path / "bank").iterdir()) == [TEXTS, ARRAYS]
    save_bank(bank, tmp_path / "again")
    assert bank_hash(tmp_path / "bank") == bank_hash(tmp_path / "again")


def first_with(bank: Bank, **changes) -> Bank:
    return dataclasses.replace(bank, levels=(dataclasses.replace(bank.levels[0], **changes), *bank.levels[1:]))


def leaves_with(bank: Bank, **changes) -> Bank:
    return dataclasses.replace(bank, leaves=dataclasses.replace(bank.leaves, **changes))


NAN = np.full((3, 4), 1, np.float32)
NAN[1, 2] = np.nan
BROKEN = [
    (lambda b: dataclasses.replace(b, levels=()), "no level"),
    (lambda b: first_with(b, children=(ints(0, 5), ints(2, 1), ints(3))),
     r"level 1, node 0: child 5 does not exist \(the level below has 5\)"),
    (lambda b: first_with(b, children=(ints(0, -1), ints(2, 1), ints(3))), "level 1, node 0: child -1 does not exist"),
    (lambda b: first_with(b, children=(ints(0, 4), ints(2, 1), ints(3, 4))),
     "level 1, node 2: child 4 is also a child of node 0"),
    (lambda b: first_with(b, children=(ints(0), ints(2, 1), ints(3))),
     "level 1: node 4 of the level below has no parent"),
    (lambda b: first_with(b, children=(ints(0, 4), ints(2, 1, 3), ints())), "level 1, node 2: no children"),
    (lambda b: first_with(b, children=(ints(0, 4), ints(2, 1, 3))), "3 texts, 2 lists of children and 3 authors"),
    (lambda b: first_with(b, texts=("a", "chop it \ud83d", "c")), r"level 1, row 1: 'chop it \\ud83d' is no text that"),
    (lambda b: first_with(b, texts=("a", 5, "c")), "level 1, row 1: 5 is no text"),
    (lambda b: first_with(b, embeddings=NAN), "level 1, row 1: the embedding is not finite"),
    (lambda b: first_with(b, embeddings=np.ones((2, 4), np.float32)), r"shape \[2, 4\], expected \[3, 4\]"),
    (lambda b: first_with(b, embeddings=np.ones(3, np.float32)), r"shape \[3\], expected \[nodes, width\]"),
    (lambda b: first_with(b, embeddings=np.ones((3, 5), np.float32)), r"leaves: embeddings have shape \[5, 4\]"),
    (lambda b: first_with(b, embeddings=np.ones((3, 4))), "embeddings are float64, expected float32 or float16"),
    (lambda b: first_with(b, texts=(), embeddings=np.ones((0, 4), np.float32)), "level 1: no node"),
    (lambda b: first_with(b, authors=ints(1, 2, -1)), "level 1, node 0: its author, leaf 1, is not below it"),
    (lambda b: first_with(b, authors=ints(0, 2, 9)), "level 1, node 2: its author, leaf 9"),
    (lambda b: leaves_with(b, videos=("v",)), "leaves: 5 texts, 1 video ids and 5 sentence numbers"),
    (lambda b: leaves_with(b, embeddings=np.ones((4, 4), np.float32)), r"leaves: embeddings have shape \[4, 4\]"),
    (lambda b: dataclasses.replace(b, leaves=None), "level 1: nodes have children"),
]


@pytest.mark.parametrize(("spoil", "message"), BROKEN)
def test_a_broken_bank_is_neither_accepted_nor_written(bank, tmp_path, spoil, message):
    with pytest.raises(UserError, match=message):
        spoil(bank).validate()
    with pytest.raises(UserError, match=f"{tmp_path}.*{message}"):
        save_bank(spoil(bank), tmp_path)
    assert list(tmp_path.iterdir()) == []


def vouch(folder) -> None:
    """Make the json belong to the arrays as they are now."""
    write_json(folder / TEXTS, {**read_json(folder / TEXTS), "arrays_sha256": sha256(folder / ARRAYS)})


def rewrite(folder, **arrays) -> None:
    """Replace arrays (None: remove)."""
    with np.load(folder / ARRAYS) as stored:
        content = {**stored, **arrays}
    np.savez(folder / ARRAYS, **{name: array for name, array in content.items() if array is not None})
    vouch(folder)


def test_a_broken_folder_is_not_loaded(bank, tmp_path):
    def expect(message: str) -> None:
        with pytest.raises(UserError, match=message):
            load_bank(tmp_path)
        save_bank(bank, tmp_path)

    expect("memory bank not found; build it with")
    (tmp_path / ARRAYS).write_bytes((tmp_path / ARRAYS).read_bytes()[:-100])
    expect(r"bank\.npz: does not belong to the bank\.json beside it")
    (tmp_path / ARRAYS).unlink()
    expect(r"bank\.npz: the bank's arrays not found")
    (tmp_path / TEXTS).write_text("{")
    expect(r"bank\.json: memory bank is not valid json")
    write_json(tmp_path / TEXTS, {"format": 2})
    expect(r"bank\.json: not a memory bank of format 1")
    (tmp_path / ARRAYS).write_bytes(b"PK no zip")
    vouch(tmp_path)
    expect(r"bank\.npz: not a memory bank of format 1")
    rewrite(tmp_path, level_1_authors=None)
    expect(r"not a memory bank of format 1 .*level_1_authors")
    rewrite(tmp_path, level_2_children=ints(2, 0, 0))
    expect("level 2, node 0: child 0 is also a child of node 0")
    rewrite(tmp_path, level_1_embeddings=NAN)
    expect("level 1, row 1: the embedding is not finite")
    assert same(load_bank(tmp_path), bank)


def test_a_torn_write_is_noticed(bank, tmp_path):
    """The arrays of another bank under an older json: an interrupted write."""
    save_bank(bank, tmp_path)
    texts = (tmp_path / TEXTS).read_bytes()
    save_bank(first_with(bank, embeddings=2 * bank.levels[0].embeddings), tmp_path)
    (tmp_path / TEXTS).write_bytes(texts)
    with pytest.raises(UserError, match="interrupted write or damaged copy"):
        load_bank(tmp_path)
