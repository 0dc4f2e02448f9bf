"""What a video recalled, as trees that follow those of the memory."""

from dataclasses import replace

import numpy as np
import pytest

from hicm.config import Config, DataConfig, RetrievalConfig
from hicm.memory.bank import Bank, load_bank
from hicm.retrieval.reader import Reader
from hicm.retrieval.store import open_retrieved, save_retrieved
from hicm.retrieval.trees import NODES, Memory
from hicm.stages.build_memory import build_memory
from hicm.types import Event, Span
from tests.memory_data import write_config

ONE = Config(data=DataConfig(frames=10), retrieval=RetrievalConfig(windows=1))


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> Bank:
    return load_bank(build_memory(write_config(tmp_path_factory.mktemp("memory"), 40, summariser="medoid")))


def walk(nodes):
    return [found for node in nodes for found in (node, *walk(node.below))]


def test_paths_follow_the_tree_and_keep_the_best(bank):
    config = Config(data=DataConfig(frames=60), retrieval=RetrievalConfig(windows=6, top_k=3))
    frames = np.random.default_rng(0).standard_normal((1, 60, bank.width)).astype(np.float32)
    visited = Reader(bank, config.retrieval).read(frames, np.ones((1, 60), bool)).visited(0)
    found = Memory(config, bank).windows(visited, 180.0)
    assert [part.span for part in found] == [Span(30 * place, 30 * (place + 1)) for place in range(6)]
    for part, nodes in zip(found, visited, strict=True):
        seen = {(level, bank.level(level).texts[node]): score for level, node, score, _ in nodes}
        shown = walk(part.nodes)
        finest = max((entry for entry in nodes if entry[0] == 1), key=lambda entry: entry[2])
        assert bank.level(1).texts[finest[1]] in {node.text for node in shown if node.reaches == 1}
        assert {root.level for root in part.nodes} == {bank.depth}  # descending: all hang below the top
        assert sum(node.level - node.reaches + 1 for node in shown if node.level) == len(nodes)  # 3 per level: all
        for node in shown:
            for level in range(node.reaches, node.level + 1) if node.level else ():
                assert seen[level, node.text] == pytest.approx(node.score, abs=1e-6)  # one by one, or as one product
            for child in node.below:
                assert child.level == node.reaches - 1
                lower = bank.texts(child.level)
                parents = [at for at, text in enumerate(bank.level(node.reaches).texts) if text == node.text]
                assert any(lower[at] == child.text for parent in parents
                           for at in bank.level(node.reaches).children[parent])


@pytest.mark.parametrize(("rows", "seconds"), [("thinned", 20), ("all", 5)])
def test_windows_last_as_long_as_the_rows_that_are_read(bank, rows, seconds):
    """Features of four rows a second."""
    data = DataConfig(frames=60, feature_fps=4.0, feature_rows=rows)
    config = Config(data=data, retrieval=RetrievalConfig(windows=3))
    frames = np.random.default_rng(0).standard_normal((1, 60, bank.width)).astype(np.float32)
    visited = Reader(bank, config.retrieval).read(frames, np.ones((1, 60), bool)).visited(0)
    found = Memory(config, bank).windows(visited, 3.0 * seconds)
    assert [part.span for part in found] == [Span(seconds * place, seconds * (place + 1)) for place in range(3)]


def test_what_was_read_and_what_was_stored_are_the_same(bank, tmp_path):
    settings = RetrievalConfig(windows=4, top_k=2)
    frames = np.random.default_rng(1).standard_normal((2, 20, bank.width)).astype(np.float32)
    recalled = Reader(bank, settings).read(frames, np.ones((2, 20), bool))
    stored = open_retrieved(save_retrieved(tmp_path / "retrieved.h5", ["a", "b"], [recalled], {}))
    assert [recalled.visited(row) for row in range(2)] == [stored.visited("a"), stored.visited("b")]
    assert all(len(nodes) > 2 for nodes in stored.visited("a"))


def test_of_many_nodes_the_best_and_their_parents_are_shown(bank):
    visited = [(level, node, 1 - node / 1000, -1) for level in (2, 1) for node in range(len(bank.level(level)))]
    part, = Memory(ONE, bank).windows([visited], 10.0)
    shown = [node for node in walk(part.nodes) if node.reaches == 1]
    assert len(bank.level(1)) > NODES and [node.text for node in sorted(shown, key=lambda node: -node.score)] == \
        list(bank.level(1).texts[:NODES])
    assert all(root.level == 2 for root in part.nodes) and len(walk(part.nodes)) < len(visited)


def test_nodes_of_a_beam_that_were_not_read_are_shown_on_the_way_only(bank):
    """Level 2 and the captions are read; level 1 is passed through."""
    def shown(**settings) -> set[tuple[int, int]]:
        config = Config(data=DataConfig(frames=10), retrieval=RetrievalConfig(windows=1, beam=4, **settings))
        return {entry[:2] for entry in Memory(config, bank)._shown(visited)}

    first, second, third = (int(np.flatnonzero(bank.ancestors(2) == top)[0]) for top in range(3))
    visited = [(2, top, 0.9 - top / 10, -1) for top in range(3)]
    visited += [(1, int(bank.ancestors(1)[leaf]), 0.5, -1) for leaf in (second, first, third)]
    visited += [(0, second, 0.8, -1)]
    below = {(1, int(bank.ancestors(1)[second])), (2, 1), (0, second)}
    assert shown(levels=[2, 0], top_k=1) == {(2, 0), *below}
    assert shown(levels=[0], top_k=1) == below
    assert shown(levels=[2, 0], select="max") == {(2, 0), *below}
    assert shown(levels=[2, 0], select="similarity", threshold=0.75) == {(2, 0), (2, 1), *below}
    assert shown(levels=[2, 0], top_k=1, search="flat") == {entry[:2] for entry in visited}


def test_one_text_on_several_levels_is_one_entry(bank):
    node = int(np.argmax([bank.level(1).texts[children[0]] == text for text, children
                          in zip(bank.level(2).texts, bank.level(2).children, strict=True)]))
    child = int(bank.level(2).children[node][0])
    same, = Memory(ONE, bank).windows([[(2, node, 0.5, -1), (1, child, 0.5, -1)]], 10.0)
    entry, = same.nodes
    assert (entry.level, entry.reaches) == (2, 1) and entry.below[0].level == 0
    near, = Memory(ONE, bank).windows([[(2, node, 0.5, -1), (1, child, np.nextafter(np.float32(0.5), 1), -1)]], 10.0)
    assert near.nodes[0].reaches == 1, "two ways of computing a cosine may differ by rounding"
    other, = Memory(ONE, bank).windows([[(2, node, 0.5, -1), (1, child, 0.4, -1)]], 10.0)
    assert (other.nodes[0].reaches, other.nodes[0].below[0].level) == (2, 1)


def test_a_caption_that_was_recalled_hangs_below_its_node(bank):
    node, author, other = next((node, int(author), int(leaf)) for node, author in enumerate(bank.level(1).authors)
                               for leaf in bank.level(1).children[node]
                               if bank.leaves.texts[leaf] != bank.leaves.texts[author])
    part, = Memory(ONE, bank).windows([[(1, node, 0.5, -1), (0, other, 0.4, -1)]], 10.0)
    root, = part.nodes
    assert (root.level, root.reaches) == (1, 1)
    assert [(leaf.level, leaf.text, leaf.score, leaf.source) for leaf in root.below] == \
        [(0, bank.leaves.texts[other], 0.4, bank.leaves.videos[other])]
    part, = Memory(ONE, bank).windows([[(1, node, 0.5, -1), (0, author, 0.5, -1)]], 10.0)
    root, = part.nodes
    assert (root.level, root.reaches, root.source, root.below) == (1, 0, bank.leaves.videos[author], ())


def test_bank_without_captions_and_flat_search(bank):
    level = replace(bank.level(1), children=tuple(np.zeros(0, np.int64) for _ in range(len(bank.level(1)))))
    bare = replace(bank, leaves=None, levels=(level, *bank.levels[1:]))
    part, = Memory(ONE, bare).windows([[(1, 0, 0.5, -1)]], 10.0)
    assert part.nodes[0].text == bank.level(1).texts[0] and not part.nodes[0].below
    part, = Memory(ONE, bank).windows([[(0, 3, 0.5, -1)]], 10.0)
    assert (part.nodes[0].text, part.nodes[0].source) == (bank.leaves.texts[3], bank.leaves.videos[3])
    assert Memory(ONE, bank).windows([[]], 10.0) == []
    part, = Memory(ONE, bank).windows([[(1, 0, 0.5, -1)]], 10.0, rows=np.array([[2, 7]]))
    assert part.span == Span(2, 7)


def test_own_captions_are_not_shown_when_left_out(bank):
    own = bank.leaves.videos[0]
    node = int(bank.ancestors(1)[0])
    others = {bank.leaves.texts[leaf] for leaf in bank.leaves_of(1, node) if bank.leaves.videos[leaf] != own}
    part, = Memory(ONE, bank).windows([[(1, node, 0.5, -1)]], 10.0, own)
    assert {child.text for child in part.nodes[0].below} <= others


def test_a_quoted_caption_stands_below_its_summaries(bank):
    leaf = next(leaf for leaf, text in enumerate(bank.leaves.texts) if bank.leaves.texts.count(text) == 1)
    often = max(bank.leaves.texts, key=bank.leaves.texts.count)
    events = [Event(Span(2, 5), bank.leaves.texts[leaf], 0.25), Event(Span(5, 6), "not from the memory", 0.9),
              Event(Span(7, 8), often, 0.5)]
    once, repeated = Memory(ONE, bank).quoted(events)
    assert (once.span, repeated.span) == (Span(2, 5), Span(7, 8))
    path = walk(once.nodes)
    assert [path[0].level, path[-1].level] == [bank.depth, 0]
    assert (path[-1].text, path[-1].score, path[-1].source) == (bank.leaves.texts[leaf], 0.25, bank.leaves.videos[leaf])
    texts = {level: bank.level(level).texts[bank.ancestors(level)[leaf]] for level in range(1, bank.depth + 1)}
    for node in path[:-1]:
        assert node.score is None and {texts[level] for level in range(node.reaches, node.level + 1)} == {node.text}
    assert walk(repeated.nodes)[-1].source == f"{bank.leaves.texts.count(often)} times"


def test_without_embeddings_of_captions_the_finest_nodes_are_quoted(bank):
    bare = replace(bank, leaves=replace(bank.leaves, embeddings=None))
    text = bank.level(1).texts[2]
    part, = Memory(ONE, bare).quoted([Event(Span(0, 1), text, 0.5)])
    assert (walk(part.nodes)[-1].reaches, walk(part.nodes)[-1].text, walk(part.nodes)[-1].score) == (1, text, 0.5)
