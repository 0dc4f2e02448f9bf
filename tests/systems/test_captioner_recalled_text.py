"""The captioner reads what is recalled as sentences with times, before the speech."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm import verbs
from hicm.config import load_config
from hicm.data.samples import MemoryTokens
from hicm.errors import UserError
from hicm.memory.bank import load_bank
from hicm.retrieval.windows import slot_seconds
from hicm.rooms import check_settings
from hicm.stages.origins import training_samples
from hicm.stages.retrieve import with_recall
from hicm.systems.captioner.dataset import VideoDataset
from hicm.systems.captioner.prepare import open_vocabulary
from hicm.systems.captioner.recalled_text import Sentence, sentences
from hicm.systems.captioner.vocabulary import EOS
from tests.tiny import make_tiny, tiny_config

TEXT = {"retrieval__read": "items", "captioner__memory_as": "text"}


def tokens(*slots: tuple[int, str, float]) -> MemoryTokens:
    """Slots as (window, text, cosine); an empty text is a masked slot."""
    count = len(slots)
    return MemoryTokens(np.zeros((count, 3), np.float32), np.array([bool(text) for _, text, _ in slots], bool),
                        np.array([(window, 1, 0) for window, _, _ in slots], np.int32).reshape(-1, 3),
                        np.array([cosine for _, _, cosine in slots], np.float32), tuple(text for _, text, _ in slots))


def test_the_same_text_in_consecutive_windows_is_one_sentence():
    spans = [(0.0, 2.0), (2.0, 4.0), (4.0, 6.0), (6.0, 8.0), None]
    read = tokens((0, "stir", 0.5), (0, "cut", 0.25), (1, "stir", 0.75), (3, "stir", 0.5), (3, "", 0.0),
                  (4, "pour", 1.0))
    found = sentences(read, slot_seconds(read.slots, spans), 16)
    assert found == [Sentence(0.0, 4.0, "stir", 0.75, 0), Sentence(0.0, 2.0, "cut", 0.25, 0),
                     Sentence(6.0, 8.0, "stir", 0.5, 3)]
    read = tokens((0, "a", 0.1), (1, "b", 0.5), (2, "c", 0.25))
    assert [one.text for one in sentences(read, slot_seconds(read.slots, spans), 2)] == ["b", "c"]


def test_equal_cosines_come_from_all_of_the_video():
    read = tokens(*((window, f"{window} {rank}", 0.0) for window in range(30) for rank in range(5)))
    spans = [(10.0 * window, 10.0 * window + 10) for window in range(30)]
    found = sentences(read, slot_seconds(read.slots, spans), 16)
    assert len({one.window for one in found}) > 8 and max(one.window for one in found) > 20


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["", "a", "b", "c"]), st.floats(-1, 1, width=32)),
                max_size=20), st.integers(1, 5))
def test_sentences_are_the_best_in_order_of_time(slots, limit):
    slots = sorted(slots, key=lambda slot: slot[0])
    spans = [(float(second), float(second + 1)) for second in range(6)]
    read = tokens(*slots)
    found, every = (sentences(read, slot_seconds(read.slots, spans), most) for most in (limit, 100))
    assert found == [one for one in every if one in found] and len(found) == min(limit, len(every))
    assert min((one.cosine for one in found), default=1) >= max((one.cosine for one in every if one not in found),
                                                                default=-1)
    assert [one.start for one in every] == sorted(one.start for one in every)
    for text in "abc":
        heard = {second for one in every if one.text == text for second in range(int(one.start), int(one.end))}
        assert heard == {window for window, said, _ in slots if said == text}, "every window, and no other"


@pytest.fixture
def config(tmp_path):
    return tiny_config(tmp_path, videos=6, **TEXT)


def dataset(config, tmp_path, teaching=True):
    samples = with_recall(config, training_samples(config)["train"], "train", tmp_path / "recalled.h5", training=True)
    vocabulary = open_vocabulary(config, tmp_path / "run", samples.speech)
    return VideoDataset(config, samples, vocabulary, teaching), samples, vocabulary


def test_items_begin_with_the_texts_of_other_videos_and_a_separator(config, tmp_path):
    data, samples, vocabulary = dataset(config, tmp_path)
    leaves = load_bank(config.bank).leaves
    for row in range(len(samples)):
        item, sample = data[0, row], samples[row]
        read, heard = item.speech[:item.speech.index(EOS)], item.speech[item.speech.index(EOS) + 1:]
        assert item.memory.shape[0] == 0 and heard == data._speech(sample.speech, sample.duration)
        assert item.noisy_speech[:len(read) + 1] == [*read, EOS]
        assert sum(token >= vocabulary.text_size for token in read) == 2 * len(sentences(
            sample.recalled, data._slot_seconds(sample, sample.recalled), 16)) > 0
        named = [(level, node) for level, node in sample.recalled.slots[sample.recalled.mask][:, 1:].tolist()]
        own = {text for text, video in zip(leaves.texts, leaves.videos, strict=True) if video == sample.id}
        others = {text for text, video in zip(leaves.texts, leaves.videos, strict=True) if video != sample.id}
        assert named and not {text for text in sample.recalled.texts if text} & (own - others), "leave_own_out"


def test_the_times_are_those_of_the_windows_that_were_recalled(tmp_path):
    data, samples, _ = dataset(tiny_config(tmp_path, videos=6, **TEXT, retrieval__window_shape="ward"), tmp_path)
    shown = set()
    for sample in samples:
        windows = sample.recalled.window_rows * max(sample.duration / 20, 1.0)
        seconds = data._slot_seconds(sample, sample.recalled)
        np.testing.assert_allclose(seconds, np.minimum(windows, sample.duration)[sample.recalled.slots[:, 0]])
        shown |= set(np.diff(sample.recalled.window_rows).ravel().tolist())
    assert len(shown) > 2, "windows differ in length"
    slow = replace(samples[0], duration=40.0, seconds_per_row=5.0)  # as a video file is read, whatever the data's rows
    rows = np.minimum(slow.recalled.window_rows * 5.0, 40)[slow.recalled.slots[:, 0]]
    rows[rows[:, 0] >= 40] = np.nan
    np.testing.assert_allclose(data._slot_seconds(slow, slow.recalled), rows)


def test_training_noise_drops_sentences_by_epoch_and_prediction_none(tmp_path):
    config = tiny_config(tmp_path, videos=6, **TEXT, captioner__memory_drop=0.5, captioner__memory_drop_all=0.25)
    data, _, _ = dataset(config, tmp_path)
    lengths = {len(data[epoch, 0].speech) for epoch in range(20)}
    assert len(lengths) > 3 and [data[3, 0]] == [data[3, 0]]
    assert data[3, 0].speech == data[3, 0].speech
    none = len(data._prepared[0].speech) + 1
    assert none in lengths and len({len(dataset(config, tmp_path, False)[0][epoch, 0].speech) for epoch in range(5)}
                                   ) == 1


def test_a_run_trains_predicts_and_captions_without_its_memory(tmp_path):
    run = verbs.train(str(make_tiny(tmp_path, videos=4, train__epochs=1, train__eval_every=1, **TEXT)),
                      out=str(tmp_path / "run"))
    found = json.loads(verbs.predict(str(run)).read_text())["results"]
    for search in ("none", "zero", "random", "flat", "top_only"):
        other = verbs.predict(str(run), set_=[f"retrieval.search={search}"], out=str(tmp_path / f"{search}.json"))
        assert found.keys() == json.loads(other.read_text())["results"].keys()
    with pytest.raises(UserError, match=r"set retrieval\.read=items"):
        verbs.predict(str(run), set_=["retrieval.read=mean"], out=str(tmp_path / "mean.json"))
    with pytest.raises(UserError, match="memory_as"):
        verbs.predict(str(run), set_=["captioner.memory_as=vectors"], out=str(tmp_path / "no.json"))


def test_a_read_without_nodes_is_refused_before_anything_is_read(tmp_path):
    config = load_config(make_tiny(tmp_path, videos=2, captioner__memory_as="text"))
    with pytest.raises(UserError, match=r"set retrieval\.read=items"):
        check_settings(config)


def test_noise_without_recalled_texts_is_announced(tmp_path):
    config = load_config(make_tiny(tmp_path, videos=2, captioner__memory_drop=0.5))
    with pytest.warns(UserWarning, match="without effect where no texts are recalled: captioner.memory_drop"):
        check_settings(config)
