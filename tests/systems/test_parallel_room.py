"""The room of the parallel system: words, the choice of events, saved models, settings, its memory."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import hicm.systems.parallel as room
from hicm.config import RetrievalConfig, load_config
from hicm.data.samples import MemoryTokens, open_samples, single_sample
from hicm.data.speech import open_speech
from hicm.errors import UserError
from hicm.memory.bank import load_bank
from hicm.retrieval.windows import window_seconds
from hicm.rooms import check_settings
from hicm.stages.retrieve import with_recall
from hicm.strict import setting_names
from hicm.systems.parallel.dataset import VideoDataset, boxes_of
from hicm.systems.parallel.decode import Candidate, choose
from hicm.systems.parallel.findings import findings
from hicm.systems.parallel.model import Parallel
from hicm.systems.parallel.settings import DecodeSettings, Settings
from hicm.systems.parallel.system import System
from hicm.systems.parallel.vocabulary import Vocabulary, build_vocabulary, load_vocabulary
from hicm.systems.parallel.weights import load_model, save_model
from hicm.training.optim import optimiser_step
from hicm.types import Event, Span, Video
from tests.tiny import make_tiny

SMALL = Settings(queries=4, width=32, hidden=32, heads=2, levels=2, points=2, encoder_layers=1)
WORDS = Vocabulary(["chop", "the", "onion", "UNK"])


def test_sentences_are_split_as_pdvc_splits_them(tmp_path):
    assert WORDS.encode('Chop: the "ONION", half-done.', 28) == [0, 1, 2, 3, 4, 4, 0]
    assert WORDS.encode("the " * 40, 28) == [0, *[2] * 28, 0]
    assert WORDS.decode([1, 2, 3, 0, 1]) == "chop the onion." and WORDS.decode([0, 1]) == "" == WORDS.decode([])
    WORDS.save(tmp_path / "words.json")
    assert load_vocabulary(tmp_path / "words.json").words == WORDS.words
    assert json.loads((tmp_path / "words.json").read_text())["word_to_ix"]["onion"] == 3
    built = build_vocabulary(["Fry it.", "fry it, then stir", "stir"], 2)
    assert built.words == ("fry", "it", "stir", "UNK")


@pytest.mark.parametrize(("texts", "found"), [
    (["Fry it.", "fry it"], "occurs 2 times"), (["...", ""], "occurs 0 times")])
def test_a_vocabulary_without_words_is_refused(texts, found):
    with pytest.raises(UserError, match=f"parallel.rarest=3: no word .*{found}"):
        build_vocabulary(texts, 3)


@pytest.mark.parametrize(("content", "told"), [
    ([], "expected a vocabulary"), ({"ix_to_word": {"1": "a", "3": "b"}}, "found none for 2"),
    ({"ix_to_word": {"1": "a", "2": 5}}, "found none for 2"), ({"ix_to_word": {"1": "a", "2": "a"}}, "'a' has several"),
    ({"ix_to_word": {"1": "UNK", "2": "a"}}, "expected UNK, .* under the last id 2, found 'a'"),
    ({"ix_to_word": {}}, "expected a vocabulary")])
def test_a_vocabulary_that_is_none_is_refused(tmp_path, content, told):
    (tmp_path / "words.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=told):
        load_vocabulary(tmp_path / "words.json")


def candidate(query: int, start: float, event: float, words: int, log: float) -> Candidate:
    return Candidate(query, Span(start, start + 1), event, [1] * words + [0] * (5 - words), log)


def test_the_best_events_are_chosen_and_put_in_order_of_time():
    found = [candidate(0, 9, 0.9, 1, -2.0), candidate(1, 5, 0.8, 4, -4.0), candidate(2, 7, 0.5, 0, 0.0),
             candidate(3, 1, 0.4, 5, -1.0)]
    settings = DecodeSettings()
    # by hand: event + log / words ** 2
    assert [round(one.joint(settings), 3) for one in found] == [-1.1, 0.55, 0.5, 0.36]
    assert [one.query for one in choose(found, 2, settings)] == [3, 1], "without a word: no event"
    assert [one.query for one in choose(found, 2, DecodeSettings(empty="keep"))] == [1, 2]
    assert [one.query for one in choose(found, 0, settings)] == [1], "at least one"
    assert [one.query for one in choose(found, 9, settings)] == [3, 1, 0]
    assert [one.query for one in choose(found, 1, DecodeSettings(caption_weight=0.0))] == [0]
    assert [one.query for one in choose(found, 1, DecodeSettings(length_power=0.0))] == [3]
    assert choose([], 3, settings) == []


@pytest.fixture
def saved(tmp_path) -> Path:
    torch.manual_seed(0)
    save_model(Parallel(SMALL, 8, 8, len(WORDS)), WORDS, tmp_path / "saved", run="x")
    return tmp_path / "saved"


def test_a_model_is_read_back(saved):
    model, words = load_model(saved)
    assert words.words == WORDS.words and model.settings == SMALL and not model.training
    assert json.loads((saved / "parallel.json").read_text())["run"] == "x"


def test_a_saved_model_whose_files_do_not_belong_together_is_refused(saved, tmp_path):
    Vocabulary(["other", *WORDS.words[1:]]).save(saved / "vocabulary.json")
    with pytest.raises(UserError, match="has other words than those the model was trained with"):
        load_model(saved)
    WORDS.save(saved / "vocabulary.json")
    save_model(Parallel(SMALL, 8, 0, len(WORDS)), WORDS, tmp_path / "other")
    (saved / "model.safetensors").write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"does not fit the model; missing keys: .*recalled.* and \d+ more"):
        load_model(saved)
    (saved / "model.safetensors").write_bytes(b"x")
    with pytest.raises(UserError, match="weights cannot be read"):
        load_model(saved)
    (saved / "vocabulary.json").unlink()
    with pytest.raises(UserError, match="vocabulary not found"):
        load_model(saved)


@pytest.mark.parametrize(("override", "told"), [
    ("parallel.width=48", "a multiple of 32"), ("parallel.heads=3", "and of parallel.heads=3"),
    ("data.target=speech", "learns events and captions"),
    ("data.sampling=nearest data.frames=0", "data.frames=0 takes all rows as stored; set data.frames"),
    ("parallel.objective.caption=0", "need a weight"),
    ("parallel.vocabulary=nowhere.json", "nowhere.json: vocabulary not found")])
def test_settings_that_cannot_be_trained_are_refused(override, told):
    with pytest.raises(UserError, match=told):
        check_settings(load_config(None, ["system=parallel", *override.split()]))
    check_settings(load_config(None, ["system=parallel", "preset=released"]))


def test_what_was_recalled_keeps_its_order_without_its_gaps():
    tokens = MemoryTokens(np.arange(6, dtype=np.float32).reshape(3, 2), np.array([True, False, True]),
                          np.zeros((3, 3), np.int32))
    sample = single_sample("v", np.ones((5, 2)), duration=10.0, recalled=tokens)
    item = VideoDataset([], WORDS, 0, 28).item(sample)
    assert item.memory.tolist() == [[0, 1], [4, 5]] and item.rows.shape == (5, 2)
    assert VideoDataset([], WORDS, 3, 28).item(sample).rows.shape == (3, 2)
    assert VideoDataset([], WORDS, 9, 28).item(sample).rows.shape == (5, 2), "no padding"


def test_lengths_of_events_are_never_negative():
    events = [Event(Span(2, 4), "a"), Event(Span(4, 2), "b"), Event(Span(3, 3), "c"), Event(Span(8, 12), "d")]
    np.testing.assert_allclose(boxes_of(events, 10.0), [[0.3, 0.2], [0.3, 0.2], [0.3, 0], [1.0, 0.4]], atol=1e-6)
    assert boxes_of((), 10.0).shape == (0, 2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("parallel"), videos=4)


def test_all_rows_of_a_video_are_cut_into_windows(tiny, tmp_path):
    """data.frames=0: windows are those of the video's own rows; with more windows than rows, the last ones are empty.
    """
    config = load_config(tiny, ["system=parallel", "data.frames=0", "retrieval.tail=drop", "retrieval.search=flat",
                                "retrieval.flat_level=0", "retrieval.top_k=3"])
    samples = open_samples(config.data, "val")
    recalled = with_recall(config, samples, "val", tmp_path / "r.h5")
    leaves = load_bank(config.bank).leaves.embeddings.astype(np.float32)
    for sample in recalled:
        step = len(sample.rows) // 4
        means = sample.rows[:4 * step].reshape(4, step, -1).mean(1)
        cosines = means @ (leaves / np.linalg.norm(leaves, axis=1, keepdims=True)).T
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :3]
        np.testing.assert_allclose(sample.recalled.vectors, leaves[best].mean(1), atol=1e-5)
    longest = max(len(sample.rows) for sample in samples)
    config = load_config(tiny, ["system=parallel", "data.frames=0", f"retrieval.windows={longest + 5}"])
    for sample in with_recall(config, samples, "val", tmp_path / "more.h5"):
        assert sample.recalled.mask.sum() == len(sample.rows) and sample.recalled.mask[:len(sample.rows)].all()


def test_windows_of_all_rows_in_seconds():
    spans = window_seconds(RetrievalConfig(windows=4), 10.5, 0)
    assert spans == [(0.0, 3.0), (3.0, 6.0), (6.0, 9.0), (9.0, 10.5)]
    assert window_seconds(RetrievalConfig(windows=4), 2.0, 0) == [(0.0, 1.0), (1.0, 2.0), None, None]


def test_the_captioner_refuses_all_rows(tiny):
    with pytest.raises(UserError, match=r"data.frames: 0, all rows, is not for the captioner"):
        check_settings(load_config(tiny, ["data.frames=0"]))


def test_a_model_without_a_memory_is_pdvc(tiny, tmp_path):
    config = load_config(tiny, ["system=parallel", "retrieval.search=none"])
    samples = with_recall(config, open_samples(config.data, "train"), "train", tmp_path / "r.h5")
    system = System.prepare(config, tmp_path, samples)
    assert system.model.memory_width == 0 and system.size == 4
    system.save(tmp_path / "saved")
    assert System.load(tmp_path / "saved", config).model.projection is None
    with pytest.raises(UserError, match="was trained without a memory"):
        System.load(tmp_path / "saved", load_config(tiny, ["system=parallel"]))
    with pytest.raises(UserError, match=r"was trained with parallel.queries=6, found 7"):
        System.load(tmp_path / "saved", load_config(tiny, ["system=parallel", "parallel.queries=7"]))


@pytest.mark.parametrize(("scale", "steps"), [(1.0, {"captions": 0.01, "rest": 0.01}),
                                              (4.0, {"captions": 0.04, "rest": 0.01})])
def test_the_captioner_may_learn_faster_than_the_rest(tiny, tmp_path, scale, steps):
    config = load_config(tiny, ["system=parallel", "retrieval.search=none", f"parallel.caption_lr={scale}",
                                "parallel.weight_decay=0"])
    system = System.prepare(config, tmp_path, open_samples(config.data, "train"))
    optimiser = system.optimiser(system.module, 0.01)
    before = {name: weight.detach().clone() for name, weight in system.module.named_parameters()}
    for weight in system.module.parameters():
        weight.grad = torch.ones_like(weight)
    optimiser_step(system.module, optimiser, 0.01, 1e9)
    for name, weight in system.module.named_parameters():  # Adam's first step is as long as the learning rate
        step = steps["captions" if ".captions." in name else "rest"]
        torch.testing.assert_close(before[name] - weight, torch.full_like(weight, step), atol=1e-6, rtol=0)


def test_a_training_split_without_captions_is_refused(tiny, tmp_path):
    config = load_config(tiny, ["system=parallel", "retrieval.search=none"])
    samples = open_samples(config.data, "train")
    samples.videos = tuple(replace(video, events=()) for video in samples.videos)
    with pytest.raises(UserError, match="no captions to learn from"):
        System.prepare(config, tmp_path, samples)


def test_a_video_with_more_events_than_queries_or_none_trains(tiny, tmp_path):
    config = load_config(tiny, ["system=parallel", "retrieval.search=none", "parallel.queries=2"])
    samples = open_samples(config.data, "train")
    first, *rest = samples.videos
    many = tuple(Event(Span(number, number + 2.0), "chop it") for number in range(5))
    samples.videos = (replace(first, events=many), replace(rest[0], events=()), *rest[1:])
    system = System.prepare(config, tmp_path, samples)
    [batch] = system.batches([[(0, 0), (0, 1)]])
    total = system.total(system.module(batch), system.counts(batch))
    total.backward()
    assert total.isfinite() and all(weight.grad.isfinite().all() for weight in system.module.parameters())


def test_what_is_lost_of_the_data_is_counted(tiny, tmp_path):
    config = load_config(tiny, ["system=parallel", "parallel.queries=2", "parallel.max_events=3",
                                "parallel.max_words=4"])
    words = tmp_path / "words.json"
    Vocabulary(["chop", "it", "now", "UNK"]).save(words)
    config = replace(config, room=replace(config.room, vocabulary=str(words)))
    texts = ("Chop it.", "chop it now and then again", "now, chop", "it")
    videos = [Video("a", 9.0, tuple(Event(Span(0, 1), text) for text in texts)),
              Video("b", 9.0, (Event(Span(0, 1), "chop it now"),) * 3), Video("c", 9.0, ())]
    found = [str(one) for one in findings(config, "train", videos, open_speech(""), 24, tmp_path) if one]
    assert [line.partition(":")[0] + ":" + line.partition(":")[2].partition(";")[0] for line in found[:3]] == [
        "2 of 3 videos have more events than parallel.queries=2: a (4), b (3)",
        "1 of 3 videos have more events than parallel.max_events=3: a (4)",
        "1 of 3 videos have a caption with more words than parallel.max_words=4: a (6)"]
    assert found[3].startswith("1 of 3 videos have words that the vocabulary lacks (3 of 20: again, and, then): a (3)")
    assert len(found) == 4
    assert not list(filter(None, findings(config, "val", videos[2:], open_speech(""), 24, tmp_path)))
    words.unlink()
    *_, note = findings(config, "val", videos, open_speech(""), 24, tmp_path)
    assert note.level == "note" and "words.json" in str(note)


def test_every_file_and_setting_of_the_room_is_listed():
    folder = Path(room.__file__).parent
    page = (folder / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in folder.iterdir() if not path.name.startswith("_")}
    settings = set(setting_names(Settings, "").values()) - {"objective", "decode"}
    assert not [name for name in files - {"README.md"} | settings if f"`{name}`" not in page]
