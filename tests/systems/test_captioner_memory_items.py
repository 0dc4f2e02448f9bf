"""Recalled vectors that say where they are from, a gate before them, and training noise on what is recalled."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hicm.config import load_config
from hicm.data.samples import MemoryTokens
from hicm.errors import UserError
from hicm.memory.bank import load_bank
from hicm.rooms import check_settings
from hicm.stages.origins import training_samples
from hicm.stages.retrieve import with_recall
from hicm.systems.captioner.dataset import VideoDataset
from hicm.systems.captioner.memory_noise import chosen, exchanged
from hicm.systems.captioner.memory_positions import TIMES, MemoryPositions, marks, ranks
from hicm.systems.captioner.objective import Objective
from hicm.systems.captioner.prepare import open_vocabulary
from hicm.systems.captioner.vocabulary import train_vocabulary
from hicm.systems.captioner.weights import load_captioner, load_state, own_state, save_captioner
from tests.systems.test_captioner_parts import WORDS, make_batch, make_model
from tests.tiny import make_tiny, tiny_config

ITEMS = {"retrieval__read": "items", "retrieval__top_k": 6}
TEXT = {**ITEMS, "captioner__memory_as": "text"}
SLOTS = st.lists(st.tuples(st.integers(0, 3), st.floats(-1, 1, width=32), st.booleans()), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(WORDS * 5, 60, 100)


def tokens(slots) -> MemoryTokens:
    """Slots as (window, cosine, whether it is real), the nodes numbered."""
    windows, cosines, real = (np.array(part) for part in zip(*slots, strict=True))
    places = np.arange(len(slots))
    return MemoryTokens(np.repeat(places[:, None] + 1.0, 3, 1).astype(np.float32), real.astype(bool),
                        np.stack([windows, np.ones_like(places), places], 1).astype(np.int32),
                        cosines.astype(np.float32), tuple(f"text {place}" for place in places))


# --- what a recalled vector stands for ----------------------------------------------------------------------------

@given(SLOTS)
def test_ranks_number_the_items_of_a_window_nearest_first(slots):
    read = tokens(slots)
    found = ranks(read.slots[:, 0], read.cosines, read.mask)
    assert (found == -1).tolist() == (~read.mask).tolist()
    for window in range(4):
        own = [place for place, (number, _, real) in enumerate(slots) if real and number == window]
        assert [place for _, place in sorted(zip(found[own].tolist(), own, strict=True))] == sorted(
            own, key=lambda place: -slots[place][1])


def test_marks_are_time_level_rank_and_cosine():
    read = tokens([(0, 0.5, True), (0, 0.75, True), (1, 0.25, True), (1, 0.9, False)])
    read.slots[0, 1] = 2
    seconds = np.array([[0, 4], [0, 4], [4, 12], [np.nan, np.nan]])
    scaled = np.array([0, 1, -1]) * 1.5 ** 0.5
    np.testing.assert_allclose(marks(read, seconds, 20.0), [
        [0.1, 2, 1, 0.5, scaled[0]], [0.1, 1, 0, 0.75, scaled[1]], [0.4, 1, 0, 0.25, scaled[2]], [-1, 1, -1, 0, 0]],
        rtol=1e-6)
    mean = dataclasses.replace(read, cosines=None, slots=np.array([[0, -1, -1]] * 4))
    assert marks(mean, seconds, 20.0)[:, 1:].tolist() == [[-1, -1, 0, 0]] * 4


def test_each_mark_changes_the_token_and_times_are_mixed():
    positions = MemoryPositions(8)
    own = torch.tensor([[[0.5, 1.0, 2.0, 0.3, 1.0]]])
    assert not positions(own).any(), "at the start nothing is added"
    with torch.no_grad():
        for part in positions.parameters():
            part.normal_(generator=torch.Generator().manual_seed(0))
    for at, other in ((0, 0.6), (1, 2.0), (1, -1.0), (2, 3.0), (2, -1.0), (3, 0.4), (4, -1.0)):
        changed = own.clone()
        changed[..., at] = other
        assert not torch.allclose(positions(changed), positions(own)), (at, other)
    alone = torch.tensor([[-1.0, -1, -1, 0, 0]])
    between = torch.tensor([[(3 + 0.25) / (TIMES - 1), -1.0, -1, 0, 0]])
    torch.testing.assert_close(positions(between) - positions(alone),
                               (0.75 * positions.times[3] + 0.25 * positions.times[4])[None], rtol=0, atol=1e-5)
    far = torch.tensor([[-1.0, 99, 99, 0, 0]])
    torch.testing.assert_close(positions(far), (positions.levels[-1] + positions.ranks[-1])[None])


def with_marks(batch):
    generator = torch.Generator().manual_seed(5)
    shape = batch.memory.shape[:2]
    return dataclasses.replace(batch, marks=torch.stack([
        torch.rand(shape, generator=generator), torch.ones(shape), torch.zeros(shape),
        torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)], 2))


def test_a_captioner_with_positions_starts_as_one_without(vocabulary):
    plain, batch = make_model(vocabulary), with_marks(make_batch(vocabulary))
    model = make_model(vocabulary, memory_positions=True)
    with torch.inference_mode():
        assert torch.equal(model.encode(batch)[0], plain.encode(batch)[0])
        model.memory_positions.cosines.normal_(generator=torch.Generator().manual_seed(0))
        memory = slice(10, 15)
        assert (model.encode(batch)[0] - plain.encode(batch)[0])[:, memory].abs().min(1)[0].max() > 1e-3
        halves = dataclasses.replace(batch.to("cpu", torch.bfloat16), speech=batch.speech)
        assert halves.marks.dtype == torch.float32 and halves.memory.dtype == torch.bfloat16
    with pytest.raises(ValueError, match="stands for"):
        model.encode(dataclasses.replace(batch, marks=None))


# --- the gate -----------------------------------------------------------------------------------------------------

def test_behind_a_closed_gate_it_does_not_matter_what_is_recalled(vocabulary):
    model, batch = make_model(vocabulary, memory_gate=True), make_batch(vocabulary)
    other = dataclasses.replace(batch, memory=batch.memory.flip(0) * 3)
    objective = Objective(denoising=0.0)
    with torch.inference_mode():
        assert torch.equal(objective(model, batch), objective(model, other))
        frames, open_ = model.encode(batch)[0], make_model(vocabulary).encode(batch)[0]
        assert torch.equal(frames[:, :10], open_[:, :10]) and not frames[:, 10:15].any()
    objective(model, batch).sum().backward()
    assert model.memory_gate.grad.abs() > 0, "training can open it"
    with torch.no_grad():
        model.memory_gate.fill_(0.5)
        assert not torch.equal(objective(model, batch), objective(model, other))
        torch.testing.assert_close(model.encode(batch)[0][:, 10:15], open_[:, 10:15] * torch.tensor(0.5).tanh())


def test_positions_and_gate_can_be_gained_and_are_saved(vocabulary, tmp_path):
    plain, model = make_model(vocabulary), make_model(vocabulary, memory_positions=True, memory_gate=True)
    gained = {"memory_gate", *(f"memory_positions.{name}" for name in ("times", "levels", "ranks", "cosines"))}
    assert set(load_state(model, own_state(plain), "start")) == gained
    with pytest.raises(UserError, match=r"missing keys: memory_positions\.times"):
        load_state(model, {name: value for name, value in own_state(model).items()
                           if name != "memory_positions.times"}, "start")
    with torch.no_grad():
        model.memory_gate.fill_(0.25)
    save_captioner(model, vocabulary, tmp_path / "model")
    again, _, _ = load_captioner(tmp_path / "model")
    assert again.memory_gate.item() == 0.25 and again.config.memory_positions


# --- training noise -----------------------------------------------------------------------------------------------

@given(SLOTS, st.integers(1, 4), st.integers(0, 9))
def test_the_nearest_are_read_and_any_in_training(slots, count, seed):
    read = tokens(slots)
    best, drawn = chosen(read, count), chosen(read, count, np.random.default_rng(seed))
    for found in (best, drawn):
        assert not (found.mask & ~read.mask).any() and not found.vectors[~found.mask].any()
        np.testing.assert_array_equal(found.vectors[found.mask], read.vectors[found.mask])
        for window in range(4):
            own = read.mask & (read.slots[:, 0] == window)
            assert (found.mask & own).sum() == min(count, own.sum())
    for window in range(4):
        own = read.mask & (read.slots[:, 0] == window)
        if (own & ~best.mask).any():
            assert read.cosines[own & best.mask].min() >= read.cosines[own & ~best.mask].max()
    assert chosen(read, 0) is read and chosen(dataclasses.replace(read, cosines=None), count).mask is read.mask


def test_every_item_is_as_likely():
    read = tokens([(0, cosine, True) for cosine in (0.9, 0.5, 0.1)])
    counts = Counter(place for seed in range(600)
                     for place in np.flatnonzero(chosen(read, 1, np.random.default_rng(seed)).mask).tolist())
    assert all(150 < counts[place] < 250 for place in range(3))


def dataset(config, tmp_path, teaching=True):
    samples = with_recall(config, training_samples(config)["train"], "train", tmp_path / "recalled.h5", training=True)
    vocabulary = open_vocabulary(config, tmp_path / "run", samples.speech)
    return VideoDataset(config, samples, vocabulary, teaching), samples


def test_exchanged_items_are_of_their_level_and_not_the_videos_own(tmp_path):
    config = tiny_config(tmp_path, videos=6, **TEXT, captioner__memory_swap=0.5)
    data, samples = dataset(config, tmp_path)
    bank, rng, names = load_bank(config.bank), np.random.default_rng(0), set()
    for sample in samples:
        read = sample.recalled
        assert exchanged(read, 0.0, data.others, sample.id, rng).texts == read.texts
        found = exchanged(read, 1.0, data.others, sample.id, rng)
        for real, (_, level, node), text, vector in zip(found.mask, found.slots.tolist(), found.texts, found.vectors,
                                                        strict=True):
            if real:
                source = bank.level(level) if level else bank.leaves
                assert text == source.texts[node] and (vector == source.embeddings[node]).all()
                author = source.authors[node] if level else node
                assert bank.leaves.videos[author] != sample.id
                names.add((level, node))
        same = read.slots[:, 1] == found.slots[:, 1]
        assert (same | (found.slots[:, 1] == 0))[found.mask].all() and (found.mask == read.mask).all()
        assert (found.slots[:, 0] == read.slots[:, 0]).all() and (found.cosines == read.cosines).all()
    assert len(names) > 5


@pytest.mark.parametrize("room", [TEXT, {**ITEMS, "captioner__memory_positions": True}], ids=["text", "vectors"])
def test_noise_depends_on_epoch_and_video_and_prediction_has_none(room, tmp_path):
    config = tiny_config(tmp_path, videos=4, **room, captioner__memory_sample=2, captioner__memory_swap=0.2)

    def read(data, epoch):
        item = data[epoch, 0]
        return item.speech, item.memory[item.memory_mask].tolist(), None if item.marks is None else item.marks.tolist()

    one, two = (dataset(config, tmp_path)[0] for _ in range(2))
    assert [read(one, epoch) for epoch in range(4)] == [read(two, epoch) for epoch in (0, 1, 2, 3)]
    assert read(two, 1) == read(one, 1), "whatever was asked for before"
    assert len({str(read(one, epoch)) for epoch in range(4)}) == 4
    quiet, samples = dataset(config, tmp_path, teaching=False)
    assert read(quiet, 0) == read(quiet, 3)
    item = quiet.item(samples[0], np.random.default_rng(0))
    assert item.speech == read(quiet, 0)[0]
    if room is not TEXT:
        nearest = chosen(samples[0].recalled, 2)
        np.testing.assert_array_equal(quiet[0, 0].memory, nearest.vectors)
        assert set(quiet[0, 0].marks[nearest.mask][:, 2].tolist()) == {0.0, 1.0}
        assert (quiet[0, 0].marks[~nearest.mask][:, 2] == -1).all()
        assert one[0, 0].memory.shape == quiet[0, 0].memory.shape and len(one[0, 0].spans) == len(quiet[0, 0].spans)


# --- settings -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("changes", "message"), [
    ({"captioner__memory_sample": 2}, r"kept apart \(retrieval\.read=items does\): captioner\.memory_sample"),
    ({"captioner__memory_swap": 0.1, "retrieval__search": "none"}, "kept apart .*: captioner.memory_swap"),
    ({**TEXT, "captioner__memory_gate": True, "captioner__memory_positions": True},
     "without effect where no vectors are recalled: captioner.memory_positions, captioner.memory_gate"),
    ({**ITEMS, "captioner__memory_sample": 6, "retrieval__levels": [1]}, "so nothing is sampled"),
], ids=str)
def test_settings_without_effect_are_announced(changes, message, tmp_path):
    with pytest.warns(UserWarning, match=message):
        check_settings(load_config(make_tiny(tmp_path, videos=2, **changes)))


def test_the_second_read_knows_neither_positions_nor_noise(tmp_path):
    config = load_config(make_tiny(tmp_path, videos=2, **ITEMS, captioner__memory_sample=2,
                                   captioner__memory_positions=True,
                                   captioner__objective__denoising_memory="requeried"))
    with pytest.raises(UserError, match=r"captioner\.memory_sample, captioner\.memory_positions; set it to shared"):
        check_settings(config)
