"""The inputs of the golden of CM2, made again by its rules.

The golden is read from HICM_CM2_PARITY (a path without ending; default: the committed one).
"""

import json
import os
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from hicm.config import RetrievalConfig
from hicm.data.samples import MemoryTokens, single_sample
from hicm.memory.bank import Bank, Leaves, Level
from hicm.retrieval.reader import Reader
from hicm.systems.parallel.batch import Batch, collate
from hicm.systems.parallel.dataset import VideoDataset
from hicm.systems.parallel.losses import ACTIVITYNET, LossModule
from hicm.systems.parallel.model import Parallel
from hicm.systems.parallel.names import own_state
from hicm.systems.parallel.settings import ObjectiveSettings, Settings
from hicm.systems.parallel.vocabulary import Vocabulary
from hicm.types import Event, Span

BASE = Path(os.environ.get("HICM_CM2_PARITY") or Path(__file__).parents[1] / "golden" / "cm2_parity")


def read_golden() -> SimpleNamespace:
    meta = json.loads(BASE.with_name(BASE.name + ".json").read_text())
    return SimpleNamespace(**meta, arrays=np.load(BASE.with_name(BASE.name + ".npz")))


def draw(golden: SimpleNamespace, name: str, *shape: int) -> np.ndarray:
    return np.random.default_rng(zlib.crc32((golden.salt + name).encode())).standard_normal(shape)


def weight(golden: SimpleNamespace, name: str, shape: list[int]) -> torch.Tensor:
    """One weight by the table of 8.2."""
    x = draw(golden, name, *shape).astype(np.float32)
    scale = np.float32
    flat = len(shape) == 1
    if name.endswith(".layers.2.bias"):
        x = scale(0.05) * x
        x[1] -= scale(0.7)
    elif name == "caption_head.0.logit.bias":
        x = scale(0.05) * x
        x[0] += scale(1)
    elif flat and name.endswith(".weight"):
        x = scale(1) + scale(0.1) * x
    elif name.endswith("sampling_offsets.bias"):
        x = scale(2) * x
    elif flat:
        x = scale(0.05) * x
    elif name in ("query_embed.weight", "transformer.level_embed"):
        pass
    elif name == "caption_head.0.embed.weight":
        x = scale(2) * x
    elif name == "caption_head.0.logit.weight":
        x = scale(0.3) * x
        x[0] *= scale(golden.end_scale)
    else:
        x = scale(matrix_scale(name)) * x
    return torch.from_numpy(x)


def matrix_scale(name: str) -> float:
    if name.endswith(".layers.2.weight"):
        return 0.12
    if name.endswith("sampling_offsets.weight") and name.startswith("caption_head"):
        return 0.01
    if name.endswith("cross_attn.sampling_offsets.weight"):
        return 0.02
    if name == "caption_head.0.core.alpha_net.weight" or name.startswith("class_head."):
        return 0.1
    ends = ("text_cross.q.weight", "text_cross.k.weight", "attention_weights.weight")
    if name.endswith(ends) or name.startswith("count_head.") or name == "transformer.reference_points.weight":
        return 0.08
    return 0.04


def released_state(golden: SimpleNamespace) -> dict[str, torch.Tensor]:
    """The state dict as the released code stores it: second names, weights that nothing reads, and CLIP."""
    state = {name: weight(golden, name, shape) for name, shape in golden.parameter_shapes.items()}
    state |= {name: state[first] for name, first in golden.aliases.items()}
    state |= {name: torch.full(shape, torch.nan) for name, shape in golden.dead_parameter_shapes.items()}
    return state | {"clip_model.logit_scale": torch.tensor(torch.nan)}


def make_model(golden: SimpleNamespace, border: bool = False) -> Parallel:
    """The network with the golden's weights, in evaluation mode."""
    config = golden.config
    settings = Settings(queries=config["num_queries"], max_events=config["max_eseq_length"])
    model = Parallel(settings, config["feature_dim"], config["feature_dim"], config["vocab_size"])
    model.load_state_dict(own_state(released_state(golden), "golden"))
    model.border = border
    return model.eval()


def make_losses(model: Parallel) -> LossModule:
    return LossModule(model, ObjectiveSettings(), torch.tensor(ACTIVITYNET))


def vocabulary(golden: SimpleNamespace) -> Vocabulary:
    known, count = golden.vocabulary_words, golden.config["vocab_size"]
    made_up = [f"w{number:04d}" for number in range(len(known) + 1, count - 2)]
    return Vocabulary([*known, *made_up, "<bos>", "<eos>", "UNK"])


def topics(golden: SimpleNamespace) -> tuple[np.ndarray, np.ndarray]:
    return draw(golden, "mean", 768), draw(golden, "topics", 24, 768)


def features(golden: SimpleNamespace) -> list[np.ndarray]:
    mean, centres = topics(golden)
    found = []
    for number, (video, count) in enumerate(zip(golden.video_ids, golden.frames, strict=True)):
        topic = (5 * number + np.arange(count) // 11) % 24
        noise = draw(golden, "feat" + video, count, 768)
        found.append((0.2 * mean + 0.24 * centres[topic] + 0.2 * noise).astype(np.float32))
    return found


def bank(golden: SimpleNamespace) -> Bank:
    mean, centres = topics(golden)
    count = golden.bank_size
    rows = 0.2 * mean + 0.32 * centres[np.arange(count) % 24] + 0.32 * draw(golden, "bank", count, 768)
    texts, embeddings = tuple(f"caption {row}" for row in range(count)), rows.astype(np.float32).astype(np.float16)
    root = Level(("root",), embeddings[:1], (np.arange(count),), np.full(1, -1, np.int64))
    return Bank((root,), Leaves(texts, embeddings, texts, np.zeros(count, np.int64)), {})


def reader(golden: SimpleNamespace) -> Reader:
    return Reader(bank(golden), RetrievalConfig(
        search="flat", flat_level=0, windows=golden.config["window_size"], top_k=golden.config["soft_k"], tail="drop",
        leave_own_out=False))


def recall(golden: SimpleNamespace, training: bool = False) -> list[tuple[np.ndarray, np.ndarray]]:
    """What each video recalls, [W, D], and the captions behind it [W, K]; training: without each window's best one."""
    reads = reader(golden)
    found = [reads.read(rows[None], np.ones((1, len(rows)), bool), best_out=training) for rows in features(golden)]
    return [(read.vectors[0], read.nodes[0][0]) for read in found]


def make_batch(golden: SimpleNamespace, training: bool = False) -> Batch:
    """All videos in one batch."""
    samples = []
    for video, rows, (vectors, _) in zip(golden.video_ids, features(golden), recall(golden, training), strict=True):
        about = golden.annotations[video]
        tokens = MemoryTokens(vectors, np.ones(len(vectors), bool), np.zeros((len(vectors), 3), np.int32))
        events = tuple(Event(Span(*span), text) for span, text in zip(about["timestamps"], about["sentences"],
                                                                      strict=True))
        samples.append(replace(single_sample(video, rows, duration=about["duration"], recalled=tokens), events=events))
    data = VideoDataset([], vocabulary(golden), 0, golden.config["max_caption_len"] - 2)
    return collate([data.item(sample) for sample in samples])


def take(batch: Batch, row: int) -> Batch:
    """One video of a batch, without its padding."""
    length, recalled, events = (int(x[row]) for x in (batch.lengths, batch.memory_lengths, batch.events))
    return replace(batch, ids=batch.ids[row:row + 1], durations=batch.durations[row:row + 1],
                   rows=batch.rows[row:row + 1, :length], lengths=batch.lengths[row:row + 1],
                   memory=batch.memory[row:row + 1, :recalled], memory_lengths=batch.memory_lengths[row:row + 1],
                   boxes=batch.boxes[row:row + 1, :events], words=batch.words[row:row + 1, :events],
                   events=batch.events[row:row + 1])
