"""The denoising loss: sentinels are never ordinary words, and a second read of the memory is like the first."""

import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm import verbs
from hicm.config import load_config
from hicm.data.samples import open_samples
from hicm.errors import UserError
from hicm.memory.bank import load_bank
from hicm.stages.retrieve import with_recall
from hicm.systems.captioner import objective as objectives
from hicm.systems.captioner import prepare
from hicm.systems.captioner.sequences import corrupt, masked
from hicm.systems.captioner.system import System
from hicm.systems.captioner.vocabulary import EOS, PAD, Vocabulary, train_vocabulary
from tests.tiny import WIDTH, make_tiny


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(["Chop the onion.", "Serve the soup."] * 5, 60, 100)


@pytest.fixture(scope="module")
def few():
    """With 3 sentinels."""
    tokenizer = train_vocabulary(["Chop the onion.", "Serve the soup."] * 5, 60, 0).tokenizer
    vocabulary = Vocabulary(tokenizer, 10)
    vocabulary.sentinels = vocabulary.sentinels[:3]
    return vocabulary


def restore(source: list[int], target: list[int], sentinels: tuple[int, ...]) -> list[int]:
    """The sequence before it was masked."""
    spans: dict[int, list[int]] = {}
    for token in target[:-1]:
        if token in sentinels:
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    assert all(spans.values())
    return [token for one in source[:-1] for token in spans.get(one, [one])]


@given(st.integers(1, 4000), st.floats(0, 1), st.floats(1, 20), st.booleans(), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_words_are_never_sentinels(vocabulary, few, length, density, span, small, seed):
    """Each sentinel stands once, in order, for a span that is not empty; as many ids are masked as ever."""
    words = few if small else vocabulary
    x = [*np.random.default_rng(seed).integers(3, vocabulary.sentinels[-1], length).tolist(), EOS]
    source, target = corrupt(x, words, np.random.default_rng(seed), density, span)
    noise, spans = masked(len(x), density, span)
    used = [token for token in source if token >= words.sentinels[-1]]
    assert used == [token for token in target if token >= words.sentinels[-1]]
    assert used == list(words.sentinels[:min(spans, len(words.sentinels))])
    assert len(target) == noise + len(used) + 1 and len(source) == len(x) - noise + len(used) + 1
    assert restore(source, target, words.sentinels) == x


def as_before(x, first_sentinel, rng, density, span):
    """Span corruption as hicm 0.1.0 had it, right for at most 100 spans."""
    length = len(x)
    noise = min(max(int(np.round(length * density)), 1), length - 1)
    spans = min(max(int(np.round(noise / span)), 1), noise, length - noise)
    lengths = []
    for items in (noise, length - noise):
        first = np.arange(items - 1) < spans - 1
        rng.shuffle(first)
        lengths.append(np.bincount(np.cumsum(np.concatenate([[False], first])), minlength=spans).tolist())
    source, target, position = [], [], 0
    for number, (mask, keep) in enumerate(zip(*lengths, strict=True)):
        source += [*x[position:position + keep], first_sentinel - number]
        target += [first_sentinel - number, *x[position + keep:position + keep + mask]]
        position += keep + mask
    return [*source, EOS], [*target, EOS]


@pytest.mark.parametrize(("length", "spans"), [(2, 1), (50, 2), (1000, 50), (2000, 100), (2020, 101), (4000, 200)])
def test_up_to_a_hundred_spans_are_as_they_were(vocabulary, length, spans):
    x = [*np.random.default_rng(length).integers(3, 20, length - 1).tolist(), EOS]
    found = corrupt(x, vocabulary, np.random.default_rng(7))
    before = as_before(x, vocabulary.text_size - 1, np.random.default_rng(7), 0.25, 5.0)
    assert masked(length, 0.25, 5.0)[1] == spans and (found == before) == (spans <= 100)


def test_a_vocabulary_without_sentinels_masks_nothing(few):
    few.sentinels, kept = (), few.sentinels
    assert corrupt([5, 6, 7, EOS], few, np.random.default_rng(0)) == ([PAD], [EOS])
    config = load_config(None, ["data.speech=asr.json"])
    with pytest.raises(UserError, match=r"captioner.tokenizer: has no sentinels .* or set captioner\.objective"):
        prepare.check_sentinels(config, few)
    prepare.check_sentinels(load_config(None, ["data.speech=asr.json", "captioner.objective.denoising=0"]), few)
    few.sentinels = kept


@pytest.mark.parametrize(("override", "told"), [
    ("captioner.max_speech_tokens=2000", None), ("captioner.max_speech_tokens=5000", "250 spans, .* has 100 sentinels"),
    ("captioner.objective.noise_span=1", "masked in 250 spans"), ("captioner.objective.noise_density=0.6", "120 spans"),
    ("data.speech=", None)])
def test_too_few_sentinels_are_told_once(vocabulary, override, told):
    config = load_config(None, ["data.speech=asr.json", override])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        prepare.check_sentinels(config, vocabulary)
    assert len(said) == (told is not None)
    if told:
        with pytest.warns(UserWarning, match=told):
            prepare.check_sentinels(config, vocabulary)


# --- the second read of the memory ---------------------------------------------------------------------------------

T5 = {"d_model": WIDTH, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 4}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=4, captioner__t5_config=T5, train__epochs=1,
                     train__eval_every=0, captioner__objective__denoising_memory="requeried",
                     memory__hierarchy="kmeans", memory__branching=2, memory__top=2)


@pytest.mark.parametrize("changes", [
    ["retrieval.search=random"], ["retrieval.search=zero"],
    *(pytest.param(more, marks=pytest.mark.slow) for more in (
        ["retrieval.search=none"], ["captioner.use_video=false"], ["preset=released", "retrieval.search=random"]))])
@pytest.mark.filterwarnings("ignore:.*the same vector")
def test_every_search_can_be_read_twice(tiny, tmp_path, changes):
    """A random one needs the videos' ids, which were not handed on; those without a bank need none."""
    missing = ["memory.path=gone"] if changes[0] in ("retrieval.search=zero", "retrieval.search=none") else []
    run = verbs.train(str(tiny), out=str(tmp_path / "run"), set_=[*changes, *missing])
    losses = [json.loads(line).get("denoising") for line in (run / "stats.jsonl").read_text().splitlines()]
    assert losses and all(loss > 0 for loss in losses if loss is not None)


def system_of(tiny, folder, *overrides):
    config = load_config(tiny, overrides)
    samples = with_recall(config, open_samples(config.data, "train"), "train", folder / "r.h5", training=True)
    torch.manual_seed(0)
    return System.prepare(config, folder, samples)


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, dtype=torch.bool)


@pytest.mark.parametrize("leave", [True, False])
def test_a_video_does_not_recall_its_own_captions_the_second_time_either(tiny, leave):
    """With its own captions as queries, a search through all captions would find those first."""
    config = load_config(tiny, ["retrieval.search=flat", "retrieval.flat_level=0", "retrieval.top_k=1",
                                f"retrieval.leave_own_out={leave}"])
    leaves = load_bank(config.bank).leaves
    videos, vectors = np.asarray(leaves.videos), leaves.embeddings.astype(np.float32)
    ids = open_samples(config.data, "train").ids[:2]
    own = [vectors[videos == video][:1] for video in ids]
    queries = torch.from_numpy(np.stack([np.repeat(vector, 24, axis=0) for vector in own]))
    recalled, mask = prepare.make_rereader(config, WIDTH, WIDTH)(queries, ones(2, 24), ids)
    owners = [set(videos[np.isclose(vectors, vector[0].numpy(), atol=1e-6).all(axis=1)]) for vector in recalled]
    assert mask.all() and all(owners)
    assert [video in found for video, found in zip(ids, owners, strict=True)] == [not leave] * 2


def test_slots_that_recalled_nothing_are_not_attended(tiny, tmp_path):
    system = system_of(tiny, tmp_path, "retrieval.read=levels", "retrieval.select=similarity", "retrieval.threshold=2")
    states = torch.randn(2, 24, WIDTH), ones(2, 24)
    _, seen = objectives._with_second_read(system.model, states, ("a", "b"), system.objective.reread)
    assert seen[:, :24].all() and not seen[:, 24:].any()


@pytest.mark.filterwarnings("ignore:.*the same vector")
def test_the_released_behaviour_attends_them(tiny, tmp_path):
    """hicm2.md 2.6: visual and memory tokens are read as frames, all of them, and all that is recalled is attended."""
    system = system_of(tiny, tmp_path, "preset=released", "retrieval.select=similarity", "retrieval.threshold=2")
    _, seen = objectives._with_second_read(system.model, (torch.randn(2, 24, WIDTH), ones(2, 24)), ("a", "b"),
                                           system.objective.reread)
    assert seen.all() and seen.shape == (2, 28)


def test_padded_frames_take_no_part_in_the_second_queries(tiny, tmp_path):
    reread = prepare.make_rereader(load_config(tiny), WIDTH, WIDTH)
    rows, mask = torch.randn(1, 24, WIDTH), torch.arange(24)[None] < 18
    other = torch.where(mask[..., None], rows, torch.randn(1, 24, WIDTH) * 9)
    for one, two in zip(reread(rows, mask, ("a",)), reread(other, mask, ("a",)), strict=True):
        assert torch.equal(one, two)
