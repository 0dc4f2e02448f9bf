"""The other configurations of the published code (GloVe, its pickle, TACoS), which the golden may lack, by its rules.

Items and what the network makes of masked words are compared with the rules, written once more, in a made-up case.
"""

import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hicm.files import write_json
from hicm.moments.records import Query
from hicm.systems.moments.batch import Batch
from hicm.systems.moments.collate import collate
from hicm.systems.moments.counts import read_counts
from hicm.systems.moments.dataset import Preparation
from hicm.systems.moments.masked_words import pack
from hicm.systems.moments.model import Moments
from hicm.systems.moments.names import own_state
from hicm.systems.moments.tags import load_tags
from hicm.systems.moments.vocabulary import Vocabulary
from hicm.systems.moments.words import make_words
from tests.systems.moments import moments_golden as made

pytest.importorskip("nltk")

LISTED = ("person", "the", "pan", "puts", "a", "onto", "stove", "takes", "out", "knife")
SENTENCES = ("The person takes out a KNIFE.", "Stove", "Somebody's knife-block isn't a pan, is it?",
             "the person puts the pan onto the stove and takes out a pan and a pan and another knife")
CONFIGS = ("glove", "pickle")
CLASSES, MOST, WIDTH = 6, 16, 300


def case_of(kind: str, **changes) -> SimpleNamespace:
    """A case as the golden has them, of words alone."""
    counts = [[word, 99 - place] for place, word in enumerate(LISTED)]
    numbers = {word: number for number, word in enumerate(sorted(LISTED), start=2)}
    words = counts if kind == "pickle" else [[word, numbers[word], count] for word, count in counts]
    config = {"tokenizer_type": "GloVeNLTK", "load_vocab_pkl": kind == "pickle", "max_words_l": MOST,
              "vocab_size": CLASSES, "t_feat_dim": WIDTH} | changes
    return SimpleNamespace(salt="Pmade", name=kind, arrays={}, vocabulary={"words_by_count": words},
                           config=SimpleNamespace(**config))


def glove(case: SimpleNamespace, word: str) -> np.ndarray:
    return (0.4 * made.draw(case, f"glove{word}", (WIDTH,))).astype(np.float32)


@pytest.fixture(params=CONFIGS)
def prepared(request, tmp_path) -> tuple[SimpleNamespace, Preparation]:
    """The room's own reading of the files that such a case would have."""
    case, counts, tags = case_of(request.param), tmp_path / "counts.txt", tmp_path / "tags.json"
    if request.param == "glove":
        path = tmp_path / "glove.txt"
        path.write_text("".join(f"{word} {' '.join(map(str, glove(case, word).tolist()))}\n" for word in LISTED))
        counts.write_text("".join(f"{word} {number} {count}\n"
                                  for word, number, count in case.vocabulary["words_by_count"]))
        words = make_words(f"glove:{path}")
    else:
        path = counts = tmp_path / "glove.pkl"
        path.write_bytes(pickle.dumps({
            "w2id": {"<PAD>": 0, **{word: place for place, word in enumerate(LISTED, start=1)}},
            "id2vec": [np.zeros(WIDTH, np.float32), *(glove(case, word) for word in LISTED)],
            "counter": dict(case.vocabulary["words_by_count"])}))
        words = make_words(f"glove_pickle:{path}")
    tokens = {text: words.split(text).shown for text in SENTENCES}
    write_json(tags, {"words": "glove", "tags": {text: ["NN" if len(word) >= 4 else "DT" for word in shown]
                                                 for text, shown in tokens.items()}})
    vocabulary = Vocabulary(read_counts(counts, words.splitting)[:CLASSES], words.ends)
    return case, Preparation(words, vocabulary, 0, MOST, tags=load_tags(tags, words.splitting), tags_file=str(tags))


def batch_of(prepared: Preparation) -> Batch:
    sample = SimpleNamespace(id="v", duration=8.0, rows=np.ones((8, 5), np.float32), seconds_per_row=1.0)
    queries = [Query(str(number), text, "v", 8.0, np.array([[1.0, 4.0]])) for number, text in enumerate(SENTENCES)]
    vectors = prepared.words.vectors(SENTENCES, MOST)
    return collate([[prepared.item(sample, queries, vectors, teaching=True)]])


def test_words_follow_the_published_rules(prepared):
    """Tokens, classes, which are unknown, weights, and vectors, which are normalised before anything else."""
    import nltk

    case, room = prepared
    batch, drops = batch_of(room), case.config.load_vocab_pkl
    mean = np.mean([glove(case, word) for word in LISTED], 0)
    for row, text in enumerate(SENTENCES):
        tokens = [one for one in nltk.NLTKWordTokenizer().tokenize(text) if not drops or one.lower() in LISTED][:MOST]
        length, classes = len(tokens), [LISTED.index(one.lower()) if one.lower() in LISTED else 99 for one in tokens]
        labels = [min(one, CLASSES) for one in classes]
        assert batch.word_lengths[row] == length, text
        assert batch.labels[row].tolist() == labels + [0] * (len(batch.labels[row]) - length)
        assert batch.unknown[row].tolist() == [one == CLASSES for one in labels] + [False] * (
            len(batch.labels[row]) - length)
        assert batch.weights[row, :length].tolist() == [2 if len(one) >= 4 else 1 for one in tokens]
        for place, one in enumerate(tokens):
            vector = glove(case, one.lower()) if one.lower() in LISTED else mean
            made.close(batch.words[row, place], vector / max(np.linalg.norm(vector), 1e-5), 1e-6)
        assert not batch.words[row, length:].any() and not batch.weights[row, length:].any()


def test_the_golden_reads_words_alike(prepared):
    """What the comparison with a golden of such a configuration would make of a sentence is what the room makes."""
    case, room = prepared
    for text in SENTENCES:
        words, shown, vectors = made.words_of(case, text)
        sentence, [own] = room.sentence(text), room.words.vectors([text], MOST)
        assert list(sentence.words) == words and [sentence.shown[place] for place in sentence.places] == shown
        known = [place for place, word in enumerate(words) if word in LISTED]
        made.close(own[known], vectors[known], 1e-6)
        assert made.vocabulary(case).words == room.vocabulary.words == LISTED[:CLASSES]


SMALL = {"dataset_name": "tacos", "clip_len": -1, "share_MLP": False, "max_video_l": 20, "hidden_dim": 32,
         "dim_feedforward": 48, "nheads": 4, "num_queries": 5, "num_recfw_layers": 2, "num_recss_layers": 1,
         "t2v_layers": 1, "enc_layers": 1, "dec_layers": 2, "v_feat_dim": 14, "loss_span_coef": 10,
         "loss_giou_coef": 1, "loss_label_coef": 6, "eos_coef": 0.1, "loss_saliency_coef": 1, "rank_coef": 1,
         "use_triplet": True, "saliency_margin": 0.2, "loss_recfw_coef": 0.1, "loss_recss_coef": 0.1, "iou_gamma": 0.9}


@pytest.fixture(params=CONFIGS)
def tacos(request) -> SimpleNamespace:
    """Two videos in TACoS' form: a row to skip, one that ends after its video, features that are pooled."""
    case = case_of(request.param, **SMALL)
    case.feature_stores = [["c3d", 12]]
    case.annotations = {"rows": {"s1.avi": [30], "s2.avi": [9]}, "json": {
        "s1.avi": {"timestamps": [[0, 300], [500, 400], [880, 999]], "fps": 29.4, "num_frames": 900,
                   "sentences": [SENTENCES[0], "skipped", SENTENCES[1]]},
        "s2.avi": {"timestamps": [[100, 149]], "sentences": [SENTENCES[3]], "fps": 29.4, "num_frames": 300}}}
    case.batch_qid = [1, 2, 3]
    return case


def test_rows_of_tacos(tacos):
    """Rows count by their share of the video: int(start / duration * T) to int(end / duration * T), T after pooling."""
    batch = collate(made.make_groups(tacos))
    assert batch.lengths.tolist() == [20, 9] and batch.ids == ("s1.avi", "s2.avi")
    for row, (start, end, frames, rows) in enumerate(((0, 300, 900, 20), (880, 900, 900, 20), (100, 149, 300, 9))):
        first, last = int(start / frames * rows), min(int(end / frames * rows), rows - 1)
        assert batch.relevant[row].nonzero().squeeze(1).tolist() == list(range(first, last + 1))
        made.close(batch.windows[row, 0], [(start + end) / 2 / frames, (end - start) / frames], 1e-6)


def published_names(model: Moments) -> dict[str, str]:
    """Our names of the weights of frames and words, by the published ones, the second network's ending in ``_1``."""
    found = {}
    for layer in range(2):
        stem, own = f"enhance_encoder.t2v_encoder.layers.{layer}", f"frame_word.layers.{layer}"
        found |= {f"{stem}.self_attn.{part}": f"{own}.attention.{part}" for part in (
            "in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")}
        for kind in ("weight", "bias"):
            for place, end in enumerate(("", "_1")):
                found |= {f"{stem}.norm{n}{end}.{kind}": f"{own}.closings.{place}.norm{n}.{kind}" for n in (1, 2)}
                found |= {f"{stem}.linear{n}{end}.{kind}": f"{own}.closings.{place}.feed.linear{n}.{kind}"
                          for n in (1, 2)}
        found[f"{stem}.activation.weight"] = f"{own}.activation.weight"
    return found


def crossed(weights: dict, layer: int, end: str, x, position, keys, values, mask) -> torch.Tensor:
    """A cross layer by the published names: attention, norm 1 into the network, norm 2 around both."""
    stem, width, heads = f"enhance_encoder.t2v_encoder.layers.{layer}.", x.shape[-1], SMALL["nheads"]

    def get(name):
        return weights[stem + name]

    projected = [F.linear(one, get("self_attn.in_proj_weight")[part * width:(part + 1) * width],
                          get("self_attn.in_proj_bias")[part * width:(part + 1) * width]).unflatten(2, (heads, -1))
                 for part, one in enumerate((x + position, keys, values))]
    q, k, v = (one.transpose(1, 2) for one in projected)
    scores = (q @ k.transpose(2, 3) / math.sqrt(width / heads)).masked_fill(~mask[:, None, None], -math.inf)
    read = (scores.softmax(3) @ v).transpose(1, 2).flatten(2)
    x = x + F.linear(read, get("self_attn.out_proj.weight"), get("self_attn.out_proj.bias"))
    hidden = F.layer_norm(x, (width,), get(f"norm1{end}.weight"), get(f"norm1{end}.bias"))
    hidden = F.prelu(F.linear(hidden, get(f"linear1{end}.weight"), get(f"linear1{end}.bias")), get("activation.weight"))
    x = x + F.linear(hidden, get(f"linear2{end}.weight"), get(f"linear2{end}.bias"))
    return F.layer_norm(x, (width,), get(f"norm2{end}.weight"), get(f"norm2{end}.bias"))


def test_masked_words_have_a_network_of_their_own(tacos):
    """TACoS: the first network serves frames that attend to words, the one named ``_1`` masked words."""
    torch.manual_seed(0)
    batch, settings = collate(made.make_groups(tacos)), made.settings_of(tacos, "corrected")
    model = Moments(settings, tacos.config.v_feat_dim, WIDTH, CLASSES + 1).eval()
    names = published_names(model)
    shapes = {name: list(model.state_dict()[own].shape) for name, own in names.items()}
    weights = {name: made.weight(tacos, name, shape) for name, shape in shapes.items()}
    model.load_state_dict(model.state_dict() | own_state(weights))
    assert own_state(weights).keys() == {name for name in model.state_dict() if name.startswith("frame_word.")}
    with torch.no_grad():
        for weight in (model.masked, model.unknown):
            weight += torch.randn_like(weight)
        masked = (batch.labels == 1) & batch.word_mask
        frames, words = model.video(batch.rows)[batch.video], model.text(batch.words)
        position = model.positions(batch)
        aware = frames
        for layer in range(2):
            aware = crossed(weights, layer, "", aware, position, words, words, batch.word_mask)
        told = torch.where(batch.unknown[..., None], model.text(model.unknown), words)
        told = torch.where(masked[..., None], model.text(model.masked), told)
        keys, places, mask = pack(frames, position, batch.relevant)
        for layer in range(2):
            told = crossed(weights, layer, "_1", told, 0.0, keys + places, keys, mask)
        logits = model.word_head(told)
        found = model.frame_word(frames, words, batch.row_mask, batch.word_mask, position)
        made.close(found[batch.row_mask], aware[batch.row_mask], 1e-5)
        own = model.predict_words(batch, masked, words, frames, position)
        made.close(own[batch.word_mask], logits[batch.word_mask], 1e-5)
