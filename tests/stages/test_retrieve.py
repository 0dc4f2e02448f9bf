"""From annotations and features to the file of recalled vectors."""

import dataclasses

import numpy as np
import pytest

from hicm.cli import main
from hicm.config import Config, DataConfig, MemoryConfig, RetrievalConfig, load_config
from hicm.data.features import open_features, sample, write_features
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.files import write_json
from hicm.memory.bank import load_bank, save_bank
from hicm.retrieval.reader import Reader
from hicm.retrieval.store import open_retrieved
from hicm.retrieval.trees import Memory
from hicm.stages.build_memory import build_memory
from hicm.stages.retrieve import BATCH, retrieve
from tests.older import make_older
from tests.tiny import make_tiny

VERBS, THINGS = ("add", "cut", "boil", "fry", "serve"), ("salt", "onion", "rice", "meat", "sauce", "egg", "soup")
ENCODER = "hashing:16"


@pytest.fixture
def config(tmp_path) -> Config:
    """70 training videos (more than one batch); frames show the captions."""
    rng, encoder, features = np.random.default_rng(0), make_encoder(ENCODER), {}
    for split, count in (("train", BATCH + 6), ("val", 4)):
        annotations = {}
        for number in range(count):
            sentences = [f"{rng.choice(VERBS)} {rng.choice(THINGS)} with {rng.choice(THINGS)}" for _ in range(3)]
            video = f"{split}{number:06d}"
            annotations[video] = {"duration": 30, "timestamps": [[0, 10], [10, 20], [20, 30]], "sentences": sentences}
            features[video] = np.repeat(encoder.encode(sentences), 10, axis=0) + rng.normal(0, 0.1, (30, 16))
        write_json(tmp_path / f"{split}.json", annotations)
    write_features(tmp_path / "features.h5", features)
    data = DataConfig("made-up", {split: [str(tmp_path / f"{split}.json")] for split in ("train", "val")},
                      str(tmp_path / "features.h5"), frames=20)
    config = Config(data=data, memory=MemoryConfig(str(tmp_path / "bank"), encoder=ENCODER),
                    retrieval=RetrievalConfig(windows=4, top_k=3))
    build_memory(config)
    return config


def with_retrieval(config: Config, **changes) -> Config:
    return dataclasses.replace(config, retrieval=dataclasses.replace(config.retrieval, **changes))


def test_the_file_holds_what_the_reader_reads(config, tmp_path):
    retrieved = open_retrieved(retrieve(config, "train", tmp_path / "out.h5"))
    assert retrieved.ids[0] == "train000000"
    assert len(retrieved.ids) == BATCH + 6
    reader, features = Reader(load_bank(config.bank), config.retrieval), open_features(config.data.features)
    for video in (retrieved.ids[0], retrieved.ids[BATCH]):
        frames, mask = sample(features.read(video), 20)
        np.testing.assert_allclose(retrieved.vectors(video), reader.read(frames[None], mask[None]).vectors[0],
                                   atol=1e-6)


def test_training_leaves_a_videos_own_captions_out(config, tmp_path):
    config = with_retrieval(config, search="flat", flat_level=0)
    bank = load_bank(config.bank)
    own = {}
    for name, training in (("train", True), ("all", False)):
        retrieved = open_retrieved(retrieve(config, "train", tmp_path / f"{name}.h5", training))
        own[name] = sum(bank.leaves.videos[node] == video for video in retrieved.ids
                        for window in retrieved.visited(video) for _, node, _, _ in window)
    assert own["train"] == 0
    assert own["all"] > 100


@pytest.mark.parametrize("read", ["mean", "levels"])
def test_the_captions_below_a_beam_are_recalled_and_shown(tmp_path, read):
    """By the command: the nearest captions under the kept nodes, and in training none of the video's own."""
    settings = make_tiny(tmp_path, videos=6, retrieval__levels=[1, 0], retrieval__beam=5, retrieval__read=read)
    config = load_config(settings)
    bank, features, reader = (load_bank(config.bank), open_features(config.data.features),
                              Reader(load_bank(config.bank), config.retrieval))
    for name, extra in (("test", []), ("train", ["--training"])):
        out = tmp_path / f"{name}.h5"
        assert main(["retrieve", str(settings), "--split", "train", "--out", str(out), *extra]) == 0
        retrieved = open_retrieved(out)
        assert retrieved.levels == list(range(bank.depth, -1, -1)) and retrieved.info["retrieval"]["beam"] == 5
        for video in retrieved.ids:
            frames, mask = sample(features.read(video), 20)
            expected = reader.read(frames[None], mask[None], [video] if extra else None)
            np.testing.assert_allclose(retrieved.vectors(video), expected.vectors[0], atol=1e-6)
            visited = retrieved.visited(video)
            for window in visited:
                finest = {node for level, node, *_ in window if level == 1}
                recalled = [node for level, node, *_ in window if level == 0]
                assert len(recalled) == 2 and {bank.ancestors(1)[leaf] for leaf in recalled} <= finest
                assert not extra or video not in {bank.leaves.videos[leaf] for leaf in recalled}
            parts = Memory(config, bank).windows(visited, 60.0, video if extra else "")
            assert len(parts) == 4 and all(lowest(part.nodes) == 0 for part in parts)


def lowest(nodes) -> int:
    return min(min(node.reaches, lowest(node.below) if node.below else node.reaches) for node in nodes)


def test_a_bank_without_embedded_captions_ends_at_its_nodes(tmp_path, capsys):
    settings = make_tiny(tmp_path, videos=4, retrieval__levels=[0])
    folder = load_config(settings).bank
    bank = load_bank(folder)
    save_bank(dataclasses.replace(bank, leaves=dataclasses.replace(bank.leaves, embeddings=None)), folder)
    assert main(["retrieve", str(settings), "--out", str(tmp_path / "out.h5")]) == 2
    assert "retrieval.levels=[0]: this memory bank does not hold its captions' embeddings; choose" in \
        capsys.readouterr().err


def test_leave_own_out_can_be_switched_off(config, tmp_path):
    everything = open_retrieved(retrieve(config, "train", tmp_path / "a.h5"))
    off = open_retrieved(retrieve(with_retrieval(config, leave_own_out=False), "train", tmp_path / "b.h5", True))
    on = open_retrieved(retrieve(config, "train", tmp_path / "c.h5", True))
    same = [np.array_equal(everything.vectors(video), other.vectors(video)) for other in (off, on)
            for video in on.ids]
    assert all(same[: len(on.ids)])
    assert not all(same[len(on.ids):])


def test_the_best_of_every_window_is_left_out_in_training_alone(config, tmp_path):
    config = with_retrieval(config, search="flat", flat_level=0, leave_own_out=False)
    off = open_retrieved(retrieve(config, "train", tmp_path / "off.h5", True))
    config = with_retrieval(config, leave_best_out=True)
    training = open_retrieved(retrieve(config, "train", tmp_path / "on.h5", True))
    testing = open_retrieved(retrieve(config, "train", tmp_path / "testing.h5"))
    for video in off.ids:
        for best, rest in zip(off.visited(video), training.visited(video), strict=True):
            assert [node for _, node, *_ in best[1:]] == [node for _, node, *_ in rest[:-1]]
        np.testing.assert_array_equal(testing.vectors(video), off.vectors(video))
    with pytest.raises(UserError, match="leave_best_out: True there, False here"):
        retrieve(config, "train", tmp_path / "on.h5")


def test_nearest_rows_are_recalled_from_and_told_apart(config, tmp_path):
    nearest = dataclasses.replace(config, data=dataclasses.replace(config.data, sampling="nearest"))
    retrieved = open_retrieved(retrieve(nearest, "val", tmp_path / "r.h5"))
    features = open_features(config.data.features)
    reader, video = Reader(load_bank(config.bank), config.retrieval), retrieved.ids[0]
    rows, mask = sample(features.read(video), config.data.frames, "nearest")
    np.testing.assert_allclose(retrieved.vectors(video), reader.read(rows[None], mask[None]).vectors[0], atol=1e-6)
    with pytest.raises(UserError, match=r"frames: '20 nearest' there, 20 here"):
        retrieve(config, "val", tmp_path / "r.h5")


def test_a_finished_file_is_kept_and_a_stale_one_refused(config, tmp_path):
    out = retrieve(config, "val", tmp_path / "out.h5")
    before = out.stat().st_mtime_ns
    assert retrieve(config, "val", out).stat().st_mtime_ns == before
    with pytest.raises(UserError, match=r"out\.h5: was recalled from something else \(retrieval\.top_k: 3 there, 2 "
                                        r"here\).*remove it"):
        retrieve(with_retrieval(config, top_k=2), "val", out)
    with pytest.raises(UserError, match=r"leave_own_out: False there, True here; split: 'val' there, 'train' here; "
                                        r"videos: 4 there, 70 here"):
        retrieve(config, "train", out, training=True)
    assert retrieve(with_retrieval(config, top_k=2), "val", out, overwrite=True).stat().st_mtime_ns != before
    other = dataclasses.replace(config, memory=dataclasses.replace(config.memory, early_exit=False))
    build_memory(other, overwrite=True)
    with pytest.raises(UserError, match="bank: "):
        retrieve(with_retrieval(config, top_k=2), "val", out)


def test_a_file_made_before_there_were_reads_is_kept(config, tmp_path):
    out = retrieve(config, "val", tmp_path / "out.h5")
    make_older(out, 1)
    before = out.read_bytes()
    assert retrieve(config, "val", out).read_bytes() == before
    with pytest.raises(UserError, match=r"retrieval\.read: 'default' there, 'levels' here"):
        retrieve(with_retrieval(config, read="levels"), "val", out)


@pytest.mark.parametrize(("search", "windows"), [("none", 0), ("zero", 4)])
def test_controls_without_a_bank(config, tmp_path, search, windows):
    config = with_retrieval(config, search=search)
    config = dataclasses.replace(config, memory=dataclasses.replace(config.memory, path=str(tmp_path / "nowhere")))
    retrieved = open_retrieved(retrieve(config, "val", tmp_path / "out.h5", training=True))
    assert retrieved.vectors("val000000").shape == (windows, 16)


def test_missing_features_and_missing_bank(config, tmp_path):
    write_features(tmp_path / "few.h5", {"val000001": np.ones((5, 16))})
    data = dataclasses.replace(config.data, features=str(tmp_path / "few.h5"))
    config = dataclasses.replace(config, data=data)
    with pytest.raises(UserError, match="no features for 3 of 4 videos of split val"):
        retrieve(config, "val", tmp_path / "out.h5")
    skipping = dataclasses.replace(config, data=dataclasses.replace(data, missing_features="skip"))
    assert open_retrieved(retrieve(skipping, "val", tmp_path / "out.h5")).ids == ("val000001",)
    with pytest.raises(UserError, match="no video of split train has features"):
        retrieve(skipping, "train", tmp_path / "other.h5")
    nowhere = dataclasses.replace(skipping, memory=MemoryConfig(str(tmp_path / "nowhere")))
    with pytest.raises(UserError, match="memory bank not found"):
        retrieve(nowhere, "val", tmp_path / "other.h5")
    assert not (tmp_path / "other.h5").exists()
