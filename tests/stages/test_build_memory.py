"""From annotation files to a bank folder, and the tree as text."""

import contextlib
import dataclasses

import numpy as np
import pytest

from hicm.config import Config, DataConfig, MemoryConfig
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.files import write_json
from hicm.memory import tree
from hicm.memory.bank import Bank, load_bank, save_bank
from hicm.memory.hierarchies.finch import Clustering, finch
from hicm.memory.show import show_memory
from hicm.memory.summarisers.medoid import Medoid
from hicm.memory.summarisers.node import Members, Summary
from hicm.stages import build_memory as build
from hicm.stages.build_memory import build_memory

VERBS, THINGS = ("add", "cut", "boil", "fry"), ("salt", "onion", "rice", "meat", "sauce", "egg")


def annotate(path, videos: dict[str, list[str]]) -> str:
    write_json(path, {video: {"duration": 30.0, "timestamps": [[0, 10]] * len(sentences), "sentences": sentences}
                      for video, sentences in videos.items()})
    return str(path)


@pytest.fixture
def config(tmp_path) -> Config:
    rng = np.random.default_rng(0)
    splits = {split: [annotate(tmp_path / f"{split}.json", {
        f"{split}{video}": [f"{rng.choice(VERBS)} {rng.choice(THINGS)} and {rng.choice(THINGS)}" for _ in range(4)]
        for video in range(12)})] for split in ("train", "val")}
    return Config(data=DataConfig("made-up", splits),
                  memory=MemoryConfig(str(tmp_path / "bank"), encoder="hashing:32"))


def with_memory(config: Config, **changes) -> Config:
    return dataclasses.replace(config, memory=dataclasses.replace(config.memory, **changes))


@pytest.mark.parametrize("sources", [["train"], ["val", "train"]])
def test_the_bank_is_the_clustering_of_all_captions(config, sources):
    config = with_memory(config, source=sources)
    assert build_memory(config) == config.bank
    bank = load_bank(config.bank)
    assert len(bank.leaves) == 48 * len(sources)
    assert len(set(bank.leaves.texts)) < len(bank.leaves)  # duplicates are kept
    assert bank.leaves.videos[:5] == (f"{sources[0]}0",) * 4 + (f"{sources[0]}1",)
    assert bank.leaves.sentences[:5].tolist() == [0, 1, 2, 3, 0]
    np.testing.assert_array_equal(bank.leaves.embeddings, make_encoder("hashing:32").encode(bank.leaves.texts))
    labels = finch(bank.leaves.embeddings)
    assert bank.depth == labels.shape[1] > 1
    for number, level in enumerate(bank.levels, start=1):
        np.testing.assert_array_equal(bank.ancestors(number), labels[:, number - 1])
        assert all((np.diff(children) > 0).all() for children in level.children)


def test_every_summary_is_the_medoid_of_what_lies_below(config):
    bank = load_bank(build_memory(config))
    texts, embeddings = bank.leaves.texts, bank.leaves.embeddings
    for number, level in enumerate(bank.levels, start=1):
        for node, children in enumerate(level.children):
            assert level.texts[node] == bank.leaves.texts[level.authors[node]]
            np.testing.assert_array_equal(level.embeddings[node], bank.leaves.embeddings[level.authors[node]])
            below = embeddings[children]
            cosines = below @ below.mean(axis=0) / np.linalg.norm(below, axis=1)
            assert level.texts[node] in {texts[child] for child, cosine in zip(children, cosines, strict=True)
                                         if cosine > cosines.max() - 1e-6}, (number, node)
        texts, embeddings = level.texts, level.embeddings


class Writer:
    """A summariser that writes, as a language model does."""

    name = "writer"

    def summarise(self, nodes: list[Members]) -> list[Summary]:
        assert all(len(node.texts) > 1 for node in nodes)
        assert len({node.level for node in nodes}) <= 1
        return [Summary(f"sum {node.level}.{node.node} of {len(node.texts)}") for node in nodes]


def test_written_summaries_are_encoded_and_have_no_author(config, monkeypatch):
    monkeypatch.setattr(build, "make_summariser", lambda *_: Writer())
    bank = load_bank(build_memory(config))
    for level in bank.levels:
        assert (level.authors == -1).all()
        np.testing.assert_array_equal(level.embeddings, make_encoder("hashing:32").encode(level.texts))
    assert bank.info["summariser"] == "writer"
    assert bank.levels[0].texts[0] == f"sum 1.0 of {len(bank.levels[0].children[0])}"


def test_an_only_child_passes_its_summary_on(config, monkeypatch):
    """FINCH may leave a cluster alone at the next level; it is not paraphrased again."""
    labels = np.asarray([[0, 0], [0, 0], [1, 1], [1, 1], [2, 1]] + [[3, 1]] * 43)
    monkeypatch.setattr(tree, "partitions", lambda *_: Clustering(labels, None))
    monkeypatch.setattr(build, "make_summariser", lambda *_: Writer())
    bank = load_bank(build_memory(config))
    assert bank.levels[0].texts[:3] == ("sum 1.0 of 2", "sum 1.1 of 2", bank.leaves.texts[4])
    assert bank.levels[0].authors.tolist() == [-1, -1, 4, -1]
    assert bank.levels[1].texts == ("sum 1.0 of 2", "sum 2.1 of 3")


def test_a_finished_bank_is_kept_and_another_one_refused(config, tmp_path):
    arrays = build_memory(config) / "bank.npz"
    before = arrays.stat().st_mtime_ns
    assert build_memory(config) == config.bank
    assert arrays.stat().st_mtime_ns == before
    with pytest.raises(UserError, match=r"bank: holds another memory bank \(encoder: 'hashing:32' there, 'hashing:8' "
                                        r"here\); .*--overwrite"):
        build_memory(with_memory(config, encoder="hashing:8"))
    annotate(tmp_path / "train.json", {"new": ["add salt", "cut onion"]})
    with pytest.raises(UserError, match=r"captions: 48 there, 2 here; annotations: "):
        build_memory(config)
    build_memory(config, overwrite=True)
    assert len(load_bank(config.bank).leaves) == 2


def test_one_caption_is_a_memory(config, tmp_path):
    annotate(tmp_path / "train.json", {"v": ["add salt"]})
    bank = load_bank(build_memory(config))
    assert [level.texts for level in bank.levels] == [("add salt",)]


def test_what_cannot_be_built(config, tmp_path):
    annotate(tmp_path / "train.json", {"v": ["add salt", " "]})
    with pytest.raises(UserError, match=r"train\.json: video v: sentences\[1\] is blank"):
        build_memory(config)
    annotate(tmp_path / "train.json", {"v": []})
    with pytest.raises(UserError, match=r"memory\.source=\['train'\]: no caption"):
        build_memory(config)
    with pytest.raises(UserError, match="no files for split 'test'"):
        build_memory(with_memory(config, source=["test"]))
    np.savez(tmp_path / "e.npz", sentences=np.asarray(["a"]), embeddings=np.full((1, 2), np.nan))
    annotate(tmp_path / "train.json", {"v": ["a"]})
    with pytest.raises(UserError, match=r"the embedding of 'a' is not finite"):
        build_memory(with_memory(config, encoder=f"array:{tmp_path / 'e.npz'}"))
    assert not config.bank.exists()


def test_medoid():
    embeddings = np.asarray([[1, 0], [1, 1], [0, 1], [1, 1]], np.float32)
    first, alone = Medoid().summarise([Members(1, 0, ("a", "b", "c", "d"), embeddings),
                                       Members(1, 1, ("x", "y", "x"), embeddings[[0, 2, 0]])])
    assert (first.text, first.author) == ("b", 1)  # b and d tie
    np.testing.assert_array_equal(first.embedding, [1, 1])
    assert (alone.text, alone.author) == ("x", 0)


class TestShow:
    def test_tree(self, config):
        bank = load_bank(build_memory(config))
        text = show_memory(config.bank, depth=1)
        assert f"encoder hashing:32 (32 wide), summaries by medoid, from train\nlevel {bank.depth} " in text
        assert "captions       48 of 12 videos" in text
        tree = text.split("\n\n")[1].splitlines()
        assert len(tree) == len(bank.levels[-1])
        sizes = [int(line.split("(")[1].split(")")[0]) for line in tree]
        assert sum(sizes) == 48
        assert sizes == sorted(sizes, reverse=True)

    def test_everything(self, config):
        bank = load_bank(build_memory(config))
        tree = show_memory(config.bank, depth=9, children=0, width=1000).split("\n\n")[1].splitlines()
        assert len(tree) == 48 + sum(map(len, bank.levels))
        assert sum(f"- {bank.leaves.texts[0]}  [train0 #0]" in line for line in tree) == 1

    def test_limits(self, config):
        build_memory(config)
        text = show_memory(config.bank, depth=9, children=1, width=40)
        assert max(map(len, text.splitlines())) <= 40
        assert "... and " in text

    def test_find(self, config):
        bank = load_bank(build_memory(config))
        tree = show_memory(config.bank, depth=1, children=0, find="FRY rice", width=1000).split("\n\n")[1]
        found = [line for line in tree.splitlines() if line.lstrip().startswith("- ")]
        assert len(found) == sum("fry rice" in text for text in bank.leaves.texts) > 0
        assert all("fry rice" in line for line in found)
        with pytest.raises(UserError, match="no text of this memory contains 'xylophone'"):
            show_memory(config.bank, find="xylophone")

    def test_without_captions(self, config, tmp_path):
        bank = load_bank(build_memory(config))
        first = dataclasses.replace(bank.levels[0], children=(np.zeros(0, np.int64),) * len(bank.levels[0]))
        save_bank(Bank((first, *bank.levels[1:])), tmp_path / "bare")
        text = show_memory(tmp_path / "bare", depth=9, children=0)
        assert "encoder unknown" in text
        assert "\ncaptions " not in text

    def test_no_bank(self, tmp_path):
        with pytest.raises(UserError, match="memory bank not found"):
            show_memory(tmp_path)


def test_of_two_members_of_like_length_the_first_is_the_medoid():
    """Both are equally near to their mean; rounding must not choose."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        pair = rng.standard_normal((2, 16)).astype(np.float32)
        pair /= np.linalg.norm(pair, axis=1, keepdims=True)
        assert Medoid().summarise([Members(1, 0, ("a", "b"), pair)])[0].text == "a"


@pytest.mark.parametrize(("encoder", "said"), [("hashing:16", "encoder"), ("hashing:32", "")])
def test_a_bank_built_while_the_encoder_loads_is_kept(config, monkeypatch, encoder, said):
    """Another build may finish between the first look at the folder and the lock."""
    check, other = build.check_encoder, with_memory(config, encoder=encoder)

    def slow(*about):
        monkeypatch.setattr(build, "check_encoder", check)
        build_memory(other)
        monkeypatch.setattr(build, "build_tree", None)  # nothing is built again
        check(*about)

    monkeypatch.setattr(build, "check_encoder", slow)
    with pytest.raises(UserError, match=said) if said else contextlib.nullcontext():
        build_memory(config)
    assert load_bank(config.bank).width == int(encoder.partition(":")[2])
