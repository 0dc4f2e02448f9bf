"""The inputs of the golden of MESM, made again by its rules, case by case.

The golden is read from HICM_MESM_PARITY (a path without ending; default: golden/mesm_parity of the folder ``shared``
beside the checkout).
"""

import json
import math
import os
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from hicm.data.streams import join_streams, pool_rows, with_endpoints
from hicm.moments.formats import charades_sta, qvhighlights, tacos
from hicm.source import Source
from hicm.systems.moments.batch import Batch, Draws
from hicm.systems.moments.collate import Asked, Item, collate
from hicm.systems.moments.model import Moments
from hicm.systems.moments.names import own_state
from hicm.systems.moments.settings import ObjectiveSettings, Settings
from hicm.systems.moments.targets import rated_rows, relevant_rows, target_windows
from hicm.systems.moments.vocabulary import Vocabulary
from hicm.systems.moments.words.clip import ClipWords, split_pieces
from hicm.types import Span


def base() -> Path:
    own = os.environ.get("HICM_MESM_PARITY")
    return Path(own) if own else Path(__file__).parents[4] / "shared" / "golden" / "mesm_parity"


def case_names() -> list[str]:
    path = base().with_name(base().name + ".json")
    return list(json.loads(path.read_text())) if path.is_file() else []


@cache
def read_case(name: str) -> SimpleNamespace:
    """One case; ``arrays`` without its name."""
    meta = json.loads(base().with_name(base().name + ".json").read_text())[name]
    stored = np.load(base().with_name(base().name + ".npz"))
    arrays = {key.removeprefix(f"{name}."): stored[key] for key in stored.files if key.startswith(f"{name}.")}
    return SimpleNamespace(**meta | {"config": SimpleNamespace(**meta["config"])}, name=name, arrays=arrays)


def draw(case: SimpleNamespace, name: str, shape: Sequence[int]) -> np.ndarray:
    seed = zlib.crc32((case.salt + name).encode())
    return np.random.default_rng(seed).standard_normal(tuple(shape)).astype(np.float32)


def weight(case: SimpleNamespace, name: str, shape: list[int]) -> torch.Tensor:
    """One weight, by the rules of the golden: its kind decides its scale."""
    x = draw(case, name, shape)
    plain = ("query_embed.weight", "global_rep_token", "global_rep_pos", "masked_token", "unknown_token",
             "ss_reconstructor.masked_sent_token", "txt_position_embed.position_embeddings.weight")
    if name in plain:
        pass
    elif name.endswith("activation.weight"):
        x = np.float32(0.25) + np.float32(0.05) * x
    elif name.endswith("bias"):
        x = np.float32(0.05) * x
    elif "norm" in name.lower():
        x = np.float32(1) + np.float32(0.1) * x
    else:
        x = (gain(name) * x / np.sqrt(shape[-1])).astype(np.float32)
    return torch.from_numpy(x)


def gain(name: str) -> float:
    if name.endswith("in_proj_weight"):
        return 2.5 if name.startswith("transformer.") else 1.5
    if ".ca_" in name or ".sa_" in name:
        return 2.5
    twice = ("class_embed.weight", "span_embed.layers.2.weight", "output_txt_proj.1.weight")
    if "ref_point_head" in name or "cross_attn.out_proj" in name or name in twice:
        return 2.0
    return 0.5 if name.startswith("transformer.encoder.") else 1.0


def settings_of(case: SimpleNamespace, mode: str) -> Settings:
    c = case.config
    return Settings(
        max_words=c.max_words_l, classes=c.vocab_size, width=c.hidden_dim, hidden=c.dim_feedforward, heads=c.nheads,
        queries=c.num_queries, word_layers=c.num_recfw_layers, shared_feed=c.share_MLP,
        sentence_layers=c.num_recss_layers, aligner_layers=c.t2v_layers, encoder_layers=c.enc_layers,
        decoder_layers=c.dec_layers, mixed_padding=mode == "released",
        grouping="youtube" if c.dataset_name == "qvhighlights" else "video",
        objective=ObjectiveSettings(
            span=c.loss_span_coef, giou=c.loss_giou_coef, label=c.loss_label_coef, background=c.eos_coef,
            saliency=c.loss_saliency_coef, rank=c.rank_coef, triplet=c.use_triplet, margin=c.saliency_margin,
            words=c.loss_recfw_coef, sentences=c.loss_recss_coef, same=c.iou_gamma))


def make_model(case: SimpleNamespace, mode: str) -> Moments:
    """The network with the golden's weights, in evaluation mode."""
    words = vocabulary(case)
    model = Moments(settings_of(case, mode), case.config.v_feat_dim, case.config.t_feat_dim, len(words))
    state = own_state({name: weight(case, name, shape) for name, shape in case.parameter_shapes.items()})
    model.load_state_dict(state)
    return model.eval()


def is_clip(case: SimpleNamespace) -> bool:
    return case.config.tokenizer_type == "CLIP"


def vocabulary(case: SimpleNamespace) -> Vocabulary:
    size = case.config.vocab_size
    if is_clip(case):
        pieces = _pieces()
        return Vocabulary(tuple(pieces[number] for number, _ in case.vocabulary["clip_ids_by_count"][:size]), True)
    return Vocabulary(tuple(one[0] for one in case.vocabulary["words_by_count"][:size]), False)


@cache
def _pieces() -> dict[int, str]:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer().decoder


class Query(NamedTuple):
    """A sentence; ``clips`` and ``ratings`` as in `hicm.moments.records.Query`."""

    id: int
    video: str
    text: str
    duration: float
    windows: list[Span]
    clips: np.ndarray | None
    ratings: np.ndarray | None


def queries_of(case: SimpleNamespace) -> list[Query]:
    about = case.annotations
    if "lines" in about:
        found = charades_sta.read(Source("golden", text="\n".join(about["lines"])), about["durations"])
    elif "jsonl" in about:
        found = qvhighlights.read(Source("golden", rows=tuple(about["jsonl"])))
    else:
        found = tacos.read(Source("golden", data=about["json"]))
    return [Query(int(one.id), one.video, one.text, one.duration, [Span(*window) for window in one.windows.tolist()],
                  one.clips, one.ratings)
            for one in found.queries]


def features(case: SimpleNamespace, video: str) -> np.ndarray:
    streams = [draw(case, store + video, (count, width)) for (store, width), count in
               zip(case.feature_stores, case.annotations["rows"][video], strict=True)]
    rows, most = join_streams(streams), case.config.max_video_l
    return with_endpoints(rows[:most] if case.config.dataset_name == "qvhighlights" else pool_rows(rows, most))


def words_of(case: SimpleNamespace, text: str) -> tuple[list[str], list[str], np.ndarray]:
    """The words of a sentence, as they are shown, and their vectors."""
    most = case.config.max_words_l
    if is_clip(case):
        sentence = ClipWords("ViT-B-32/openai", offline=True).split(text)
        found = sentence.words[:most - 2]
        states = draw(case, "text" + text, (77, 512))[:len(found) + 2]
        return list(found), list(sentence.shown[:most - 2]), states
    nltk = pytest.importorskip("nltk.tokenize")
    listed = {one[0] for one in case.vocabulary["words_by_count"]}
    shown = nltk.NLTKWordTokenizer().tokenize(text)
    if case.config.load_vocab_pkl:
        shown = [word for word in shown if word.lower() in listed]
    shown = shown[:most]
    found = [word.lower() for word in shown]
    vectors = [0.4 * draw(case, "glove" + (word if word in listed else "<UNK>"), (300,)) for word in found]
    return found, shown, np.stack(vectors).astype(np.float32)


def word_ids(text: str, most: int) -> list[int]:
    """CLIP's numbers, with those of the two marks."""
    return [49406, *(number for number, _ in split_pieces(text)[:most - 2]), 49407]


def ask(case: SimpleNamespace, query: Query, rows: int, windows: np.ndarray | None) -> Asked:
    config, highlights = case.config, case.config.dataset_name == "qvhighlights"
    seconds = config.clip_len if config.clip_len > 0 else query.duration / rows
    if highlights:
        ratings = rated_rows(query.clips, query.ratings, seconds, rows)
        relevant = ratings > 0
    else:
        relevant = relevant_rows(query.windows, seconds, rows)
        ratings = relevant.astype(np.float32)
    targets = target_windows(query.windows, rows * seconds if highlights else query.duration)
    if windows is not None and len(targets) > config.max_windows:
        targets = windows
    words, shown, vectors = words_of(case, query.text)
    labels, unknown = vocabulary(case).encode(words)
    weights = [2 if len(word) >= 4 else 1 for word in shown]
    weights = [0, *weights, 0] if is_clip(case) else weights
    return Asked(str(query.id), query.text, vectors, labels, unknown, np.array(weights, np.float32), targets, relevant,
                 ratings)


def chosen_windows(case: SimpleNamespace, row: int) -> np.ndarray | None:
    """The windows that were drawn for a query with too many, as centre and length."""
    if "batch.windows" not in case.arrays:
        return None
    ends = np.cumsum(case.arrays["batch.windows_per_query"])
    found = case.arrays["batch.windows"][ends[row] - case.arrays["batch.windows_per_query"][row]:ends[row]]
    return np.stack([found.mean(1), found[:, 1] - found[:, 0]], 1)


def make_groups(case: SimpleNamespace) -> list[list[Item]]:
    """Groups of videos in order of first appearance, queries in order of their first row."""
    known: dict[str, list[Query]] = {}
    place = {qid: row for row, qid in enumerate(case.batch_qid)}
    for query in sorted(queries_of(case), key=lambda one: place[one.id] if "json" in case.annotations else 0):
        known.setdefault(group_of(case, query.video), []).append(query)
    groups = []
    for queries in known.values():
        videos: dict[str, list[tuple[Query, Asked]]] = {}
        rows = {query.video: features(case, query.video) for query in queries}
        asked = [(query, ask(case, query, len(rows[query.video]), chosen_windows(case, place[query.id])))
                 for query in queries]
        for query, one in sorted(asked, key=lambda pair: first_row(case, *pair)):
            videos.setdefault(query.video, []).append((query, one))
        groups.append([Item(video, duration, duration / len(rows[video]), rows[video], tuple(one for _, one in pairs))
                       for video, pairs in videos.items() for duration in [pairs[0][0].duration]])
    return groups


def first_row(case: SimpleNamespace, query: Query, asked: Asked) -> float:
    if case.config.dataset_name == "qvhighlights":
        return float(query.video.rsplit("_", 2)[1])
    return int(np.argmax(asked.relevant))


def group_of(case: SimpleNamespace, video: str) -> str:
    return video.rsplit("_", 2)[0] if case.config.dataset_name == "qvhighlights" else video


@cache
def make_batch(name: str) -> Batch:
    return collate(make_groups(read_case(name)))


def make_draws(case: SimpleNamespace) -> Draws:
    arrays = {name: torch.from_numpy(array) for name, array in case.arrays.items()}
    every = torch.ones(len(case.batch_qid), dtype=torch.bool)
    masked = arrays["common.masked_words"]
    return Draws(arrays["common.negative_index"], every, masked, arrays["batch.pos_idx"], arrays["batch.neg_idx"],
                 every)


def theirs(names: Sequence[str]) -> list[str]:
    """Our names of the golden's losses."""
    known = {"loss_giou": "giou", "loss_label": "label", "loss_span": "span", "loss_rec_fw": "words",
             "loss_rec_ss": "sentences", "loss_saliency": "saliency"}
    return [known[name.removesuffix("_0")] + ("_0" if name.endswith("_0") else "") for name in names]


def close(found: Any, expected: Any, tolerance: float) -> None:
    assert not math.isnan(np.asarray(found).sum())
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=tolerance)
