"""``retrieval.centring``: cosines of queries and memory, each less its mean; embeddings are handed over as they are."""

import dataclasses

import numpy as np
import pytest
from naive_read import WIDTH, frames_of, naive_query, random_bank

from hicm import verbs
from hicm.cli import main
from hicm.config import Config, RetrievalConfig
from hicm.data.features import Features, open_features, write_features
from hicm.data.samples import single_sample
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.memory.bank import Bank, load_bank
from hicm.retrieval import scoring
from hicm.retrieval.lookup import search_text, search_video
from hicm.retrieval.mean_frame import find_mean
from hicm.retrieval.reader import Reader
from hicm.retrieval.scoring import captions_mean
from hicm.retrieval.store import open_retrieved
from hicm.rooms import check_settings
from hicm.stages.retrieve import retrieve
from hicm.stages.video_captioner import VideoCaptioner
from tests.tiny import make_tiny, tiny_config

MEAN = np.linspace(-1, 1, WIDTH, dtype=np.float32)
BOTH = {"retrieval__centring": "both"}


def moved(bank: Bank, by: np.ndarray) -> Bank:
    levels = tuple(dataclasses.replace(level, embeddings=level.embeddings - by) for level in bank.levels)
    return dataclasses.replace(bank, levels=levels, leaves=dataclasses.replace(
        bank.leaves, embeddings=bank.leaves.embeddings - by))


@pytest.mark.parametrize("search", [{}, {"levels": [0], "beam": 3}, {"search": "flat", "flat_level": 0},
                                    {"search": "top_only", "levels": [1], "select": "similarity", "threshold": 0.1}])
@pytest.mark.parametrize("centring", ["queries", "both"])
def test_cosines_are_those_of_a_memory_and_frames_that_were_moved(search, centring):
    """Whatever the search; but what is handed over are the embeddings of the bank."""
    rng = np.random.default_rng(0)
    bank, (frames, mask) = random_bank(rng, captions=60), frames_of(rng, 4, 12)
    settings = RetrievalConfig(**{"windows": 3, "top_k": 2, "read": "items"} | search)
    found = Reader(bank, dataclasses.replace(settings, centring=centring), MEAN).read(frames, mask)
    other = moved(bank, bank.leaves.embeddings.mean(axis=0)) if centring == "both" else bank
    expected = Reader(other, settings).read(frames - MEAN, mask)
    for level, scores in expected.scores.items():
        np.testing.assert_allclose(found.scores[level], scores, atol=1e-5)
        np.testing.assert_array_equal(found.nodes[level], expected.nodes[level])
    np.testing.assert_array_equal(found.slots, expected.slots)
    assert found.mask.any() and not found.windows.all(), "some windows are padding"
    for (_, level, node), vector in zip(found.slots[found.mask], found.vectors[found.mask], strict=True):
        np.testing.assert_array_equal(vector, (bank.level(level) if level else bank.leaves).embeddings[node])


@pytest.mark.parametrize("gather", [0, scoring.GATHER])
def test_a_caption_that_stands_in_is_centred_too(gather, monkeypatch):
    """Whether nodes are scored one by one, or the whole level is."""
    monkeypatch.setattr(scoring, "GATHER", gather)
    rng = np.random.default_rng(1)
    bank, (frames, mask) = random_bank(rng, captions=60), frames_of(rng, 1, 12)
    settings = RetrievalConfig(windows=3, top_k=2, centring="both")
    found = Reader(bank, settings, MEAN).read(frames, mask, [bank.leaves.videos[0]])
    centre, seen = captions_mean(bank), 0
    for window, visited in enumerate(found.visited(0)):
        for _, _, score, leaf in visited:
            if leaf >= 0:
                query = naive_query(frames[0], mask[0], settings, window) - MEAN
                other = bank.leaves.embeddings[leaf] - centre
                assert score == pytest.approx(query @ other / np.linalg.norm(query) / np.linalg.norm(other), abs=1e-5)
                seen += 1
    assert seen


def test_a_bank_without_captions_has_the_mean_of_its_finest_level():
    bank = random_bank(np.random.default_rng(0))
    np.testing.assert_allclose(captions_mean(bank), bank.leaves.embeddings.mean(axis=0), atol=1e-6)
    for leaves in (None, dataclasses.replace(bank.leaves, embeddings=None)):
        bare = dataclasses.replace(bank, leaves=leaves)
        np.testing.assert_allclose(captions_mean(bare), bank.level(1).embeddings.mean(axis=0), atol=1e-6)


def test_a_reader_without_the_mean_or_with_another_width():
    bank, settings = random_bank(np.random.default_rng(0)), RetrievalConfig(centring="both")
    with pytest.raises(UserError, match=r"retrieval\.centring=both needs the mean frame of the training split"):
        Reader(bank, settings)
    with pytest.raises(UserError, match="the mean frame is 3 wide and the memory bank 8"):
        Reader(bank, settings, np.zeros(3, np.float32))
    with pytest.raises(UserError, match=r"retrieval\.centring: expected one of 'none', 'queries', 'both', found 'x'"):
        Reader(bank, dataclasses.replace(settings, centring="x"))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Config:
    """Settings with a memory, read only but for the means beside the bank."""
    return tiny_config(tmp_path_factory.mktemp("tiny"), videos=6, **BOTH)


@pytest.fixture
def config(world) -> Config:
    for file in world.bank.glob("mean_frame*"):
        file.unlink()
    return world


def rows_of(config: Config, split: str) -> np.ndarray:
    features = open_features(config.data.features)
    return np.concatenate([features.read(video) for video in read_json(config.data.annotations[split][0], "x")])


def test_the_mean_frame_is_computed_once(config, tmp_path, monkeypatch):
    assert find_mean(dataclasses.replace(config, retrieval=RetrievalConfig())) is None
    assert find_mean(dataclasses.replace(config, retrieval=RetrievalConfig(centring="both", search="none"))) is None
    found = find_mean(config)
    np.testing.assert_allclose(found.mean, rows_of(config, "train").mean(axis=0), atol=1e-6)
    file, = config.bank.glob("mean_frame*")
    monkeypatch.setattr(Features, "read", None)
    np.testing.assert_array_equal(find_mean(config).mean, found.mean)
    monkeypatch.undo()
    features = open_features(config.data.features)
    ids = [video for split in ("train", "val") for video in read_json(config.data.annotations[split][0], "x")]
    write_features(tmp_path / "other.h5", {video: features.read(video) + 1 for video in ids})
    other = dataclasses.replace(config, data=dataclasses.replace(config.data, features=str(tmp_path / "other.h5")))
    np.testing.assert_allclose(find_mean(other).mean, found.mean + 1, atol=1e-5)
    held = dataclasses.replace(config, data=dataclasses.replace(config.data, holdout=0.5))
    assert len({one.digest for one in map(find_mean, (config, other, held))}) == 3
    assert len(list(config.bank.glob("mean_frame*"))) == 3
    file.write_text('{"mean": "x"}')
    with pytest.raises(UserError, match=r"mean_frame_.*cannot be read as a mean frame .* remove it"):
        find_mean(config)


def test_recalled_vectors_know_their_mean_frame(config, tmp_path):
    out = retrieve(config, "val", tmp_path / "val.h5")
    info = open_retrieved(out).info
    assert info["mean_frame"] == find_mean(config).digest and info["retrieval"]["centring"] == "both"
    retrieve(config, "val", out)
    found = find_mean(config)
    dataclasses.replace(found, mean=found.mean + 1).save(config.bank / "mean_frame.json")
    with pytest.raises(UserError, match=r"recalled from something else .mean_frame: other content"):
        retrieve(config, "val", out)


def test_a_text_is_centred_by_the_captions(config):
    encoder = make_encoder(config.memory.encoder)
    bank, text = load_bank(config.bank), load_bank(config.bank).leaves.texts[0]
    query, centre = encoder.encode([text])[0], captions_mean(bank)
    for changes in ({"levels": [0]}, {}):  # as what is kept, and as the captions below
        settings = dataclasses.replace(config.retrieval, top_k=50, **changes)
        found = search_text(config.bank, text, settings, encoder, 500)
        window, = found.windows
        hits = window.captions or window.levels[-1].hits
        assert hits[0].cosine == pytest.approx(1, abs=1e-5) and hits[0].text == text
        for hit in hits[:20]:
            other = bank.leaves.embeddings[bank.leaves.texts.index(hit.text)] - centre
            expected = (query - centre) @ other / np.linalg.norm(query - centre) / np.linalg.norm(other)
            assert hit.cosine == pytest.approx(expected, abs=1e-5)
        assert "cosines centred" in str(found)
        plain = search_text(config.bank, text, dataclasses.replace(settings, centring="queries"), encoder, 500)
        same = search_text(config.bank, text, dataclasses.replace(settings, centring="none"), encoder, 500)
        assert plain == same, "there are no frames among the queries"


def test_a_run_keeps_its_mean_frame(tmp_path):
    """It predicts, captions and looks up without the training features, by the mean that it was trained with."""
    settings = make_tiny(tmp_path, videos=4, train__epochs=1, train__eval_every=0, data__select="", **BOTH)
    run = verbs.train(str(settings), out=str(tmp_path / "run"))
    mean = np.float32(read_json(run / "bank" / "mean_frame.json", "x")["mean"])
    known = read_json(run / "manifest.json", "x")["decided_by"]["inputs"]["mean frame"]
    (tmp_path / "data" / "train.json").unlink()
    for file in (tmp_path / "bank").iterdir():
        file.unlink()
    predictions = read_json(verbs.predict(str(run)), "x")
    assert predictions["decided_by"]["inputs"]["mean frame"] == known
    assert open_retrieved(run / "retrieved_val.h5").info["mean_frame"] == known
    captioner = VideoCaptioner(str(run), encoder="blocks:24", cache=tmp_path / "cache", speech="none")
    assert captioner.origin(settings).inputs["mean frame"] == known
    rows = np.random.default_rng(0).standard_normal((20, 24)).astype(np.float32)
    read, _ = captioner._recall(single_sample("v", rows))
    reader = Reader(load_bank(run / "bank"), captioner.config.retrieval, mean)
    expected = reader.read(rows[None], np.ones((1, 20), bool))
    np.testing.assert_array_equal(read.vectors, expected.vectors[0])
    video = next(iter(read_json(tmp_path / "data" / "val.json", "x")))
    assert "cosines centred" in str(search_video(captioner.config, video))


def test_without_training_features_one_line_says_what_to_do(config, capsys, tmp_path):
    missing = dataclasses.replace(config, data=dataclasses.replace(config.data, train="gone"))
    with pytest.raises(UserError, match=r"centring=both: needs the mean frame of split gone, .*memory\.path=RUN/bank"):
        find_mean(missing)
    write_json(config.bank / "mean_frame.json", {"features": "x", "mean": [0.0]})
    video = next(iter(read_json(config.data.annotations["val"][0], "x")))
    with pytest.raises(UserError, match="the mean frame is 1 wide and the memory bank 24"):
        search_video(config, video)
    capsys.readouterr()
    (config.bank / "mean_frame.json").write_text("[")
    settings = config.bank.parent / "tiny.yaml"
    assert main(["memory", "search", str(settings), "--video", video]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "mean_frame.json" in said


def test_rows_of_t5_cannot_be_centred(tmp_path):
    config = tiny_config(tmp_path, videos=2, captioner__objective__denoising_memory="requeried", **BOTH)
    with pytest.raises(UserError, match=r"denoising_memory: requeried reads the memory by rows of T5"):
        check_settings(config)
    check_settings(dataclasses.replace(config, retrieval=dataclasses.replace(config.retrieval, search="none")))
