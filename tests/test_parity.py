"""Equality with the reference implementation on deterministic weights (hicm2.md section 6).

The golden is read from HICM_PARITY (a path without ending; default: the committed one), its tokenizer from the folder
t5tiny beside it (or the committed one), so that another golden of the same form can be checked.
"""

import copy
import json
import os
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hicm.config import RetrievalConfig
from hicm.data.features import sample
from hicm.data.speech import open_speech
from hicm.memory.bank import Bank, Level
from hicm.retrieval.reader import Reader
from hicm.systems.captioner.batch import Item, collate
from hicm.systems.captioner.decode import generate
from hicm.systems.captioner.model import Captioner, make_t5
from hicm.systems.captioner.objective import Objective
from hicm.systems.captioner.sequences import caption_sequence, corrupt, speech_sequence
from hicm.systems.captioner.settings import DecodeSettings, Settings
from hicm.systems.captioner.vocabulary import load_vocabulary
from hicm.systems.captioner.weights import load_state, read_released
from hicm.training.optim import make_optimiser, optimiser_step
from hicm.types import Event, Span, Video

BASE = Path(os.environ.get("HICM_PARITY") or Path(__file__).parent / "golden" / "hicm2_parity")


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)


def weight(salt: str, name: str, shape: list[int]) -> torch.Tensor:
    """The deterministic weights of hicm2.md 6.2."""
    tied = ("t5_model.encoder.embed_tokens.weight", "t5_model.decoder.embed_tokens.weight", "t5_model.lm_head.weight")
    if name in tied:
        name = "t5_model.shared.weight"
    x = draw(salt + name, tuple(shape))
    norms = ("layer_norm.weight", "norm.weight", "norm1.weight", "norm2.weight", "LayerNorm.weight")
    if name == "t5_model.decoder.final_layer_norm.weight":
        x = 0.25 * x
    elif name.endswith((".o.weight", ".wo.weight")):
        x = 0.15 * x
    elif name.endswith(norms):
        x = 1 + 0.1 * x
    elif len(shape) == 1:
        x = 0.02 * x
    elif any(word in name for word in ("shared", "embed_tokens", "lm_head")):
        pass
    elif name.endswith(".q.weight"):
        x = 0.02 * x
    else:
        x = 0.04 * x
    return torch.from_numpy(np.asarray(x, np.float32))


@pytest.fixture(scope="module")
def golden() -> SimpleNamespace:
    meta = json.loads(BASE.with_name(BASE.name + ".json").read_text())
    return SimpleNamespace(**meta, arrays=np.load(BASE.with_name(BASE.name + ".npz")))


@pytest.fixture(scope="module")
def vocabulary(golden):
    beside = BASE.parent / "t5tiny"
    folder = beside if beside.is_dir() else Path(__file__).parent / "golden" / "t5tiny"
    return load_vocabulary(str(folder), golden.num_bins, offline=True)


@pytest.fixture(scope="module")
def features(golden) -> dict[str, np.ndarray]:
    out = {}
    for j, name in enumerate(golden.video_ids):
        rows = [int(golden.annotations[name]["duration"]), 63, 100, 251][j % 4]
        width = golden.parameter_shapes["visual_encoder.pos_embed"][2]
        out[name] = draw(golden.salt + "feat" + name, (rows, width))
    return out


@pytest.fixture(scope="module")
def bank(golden) -> Bank:
    levels = []
    for number in range(1, len(golden.levels) + 1):
        x = golden.arrays[f"bank_level_{number}"].astype(np.float32)
        parents = golden.parents[f"level_{number}"]
        children = tuple(np.asarray(parents[f"cluster_{i}"] or [], np.int64) for i in range(len(x)))
        levels.append(Level(tuple(f"{number}-{i}" for i in range(len(x))), x, children,
                            np.full(len(x), -1, np.int64)))
    return Bank(tuple(levels), None, {})


def reader(golden, bank: Bank, search: str, select: str = "top-k") -> Reader:
    return Reader(bank, RetrievalConfig(search=search, select=select, windows=golden.window_size, top_k=golden.soft_k,
                                        tail="drop", mask_padding=False, leave_own_out=False))


@pytest.fixture(scope="module")
def frames(golden, features) -> tuple[np.ndarray, np.ndarray]:
    count = golden.parameter_shapes["visual_encoder.pos_embed"][1]
    pairs = [sample(features[name], count) for name in golden.video_ids]
    return np.stack([x for x, _ in pairs]), np.stack([m for _, m in pairs])


@pytest.fixture(scope="module")
def batch(golden, vocabulary, frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("speech") / "speech.json"
    path.write_text(json.dumps(golden.subtitles))
    speech = open_speech(path)
    items = []
    for i, name in enumerate(golden.video_ids):
        a = golden.annotations[name]
        video = Video(name, a["duration"], tuple(
            Event(Span(*t), s) for t, s in zip(a["timestamps"], a["sentences"], strict=True)))
        x, _ = speech_sequence(speech.get(name, video.duration), video.duration, vocabulary, 1000)
        y, _ = caption_sequence(video, vocabulary, 256)
        noisy = corrupt(x, vocabulary, np.random.RandomState(1000 + i))
        items.append(Item(name, video.duration, frames[0][i], frames[1][i],
                          golden.arrays["retrieved_released"][i].astype(np.float32),
                          np.ones(golden.window_size, bool), x, y, *noisy))
    return collate(items)


@pytest.fixture(scope="module")
def loaded(golden, vocabulary, tmp_path_factory) -> Captioner:
    """The released key names, read through the loader for released checkpoints; read only."""
    shapes = golden.parameter_shapes
    state = {name: weight(golden.salt, name, shape) for name, shape in shapes.items()}
    path = tmp_path_factory.mktemp("parity") / "released.pth"
    torch.save({"model": state, "epoch": 3}, path)
    count, width = shapes["visual_encoder.pos_embed"][1:]
    config = Settings(t5="scratch", t5_config=golden.t5_config, mask_padding=False,
                             visual_depth=golden.depth, visual_heads=golden.heads, visual_mlp=golden.mlp_dim)
    memory = shapes["ret2t5_proj.0.net.1.weight"][1]
    model = Captioner(config, make_t5(config, vocabulary.size, vocabulary.text_size), width, count, memory)
    load_state(model, read_released(path), "released.pth")
    return model.eval()


@pytest.fixture
def model(loaded) -> Captioner:
    """A copy, to be trained."""
    return copy.deepcopy(loaded)


def close(found, expected, tolerance: float) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=tolerance)


@pytest.mark.parametrize(("ours", "theirs"), [
    ("speech", "input_tokens"), ("target", "output_tokens"), ("noisy_speech", "denoising_input_tokens"),
    ("noisy_target", "denoising_output_tokens")])
def test_token_sequences_and_masked_spans_are_exact(golden, batch, ours, theirs):
    np.testing.assert_array_equal(getattr(batch, ours).numpy(), golden.arrays[theirs])


@pytest.mark.parametrize(("array", "search", "select"), [
    ("retrieved_released", "top_only", "top-k"), ("retrieved_top_down", "descend", "top-k"),
    ("retrieved_top_down_max", "descend", "max")])
@pytest.mark.filterwarnings("ignore:.*constant.*")
def test_recalled_vectors(golden, bank, frames, array, search, select):
    read = reader(golden, bank, search, select).read(*frames)
    close(read.vectors, golden.arrays[array], 1e-5)


def test_visual_memory_and_speech_tokens_and_logits(golden, model, batch):
    with torch.inference_mode():
        seen, _ = model.encode_video(batch)
        heard, _ = model.encode_speech(batch.speech)
        t = batch.frames.shape[1]
        close(seen[:, :t:10][:, :10], golden.arrays["visual_tokens"], 2e-5)
        close(seen[:, t:], golden.arrays["memory_tokens"], 2e-5)
        expected = golden.arrays["speech_tokens"]
        for row, length in enumerate((batch.speech != 0).sum(1).tolist()):
            real = [k for k in range(expected.shape[1]) if 10 * k < length]
            close(heard[row, [10 * k for k in real]], expected[row, real], 2e-5)
        logits = model.logits(model.encode(batch), batch.target)
        close(logits[:, :8], golden.arrays["logits_first8"], 2e-5)


def token_means(model, batch, objective) -> np.ndarray:
    with torch.no_grad():
        return (objective(model, batch) / objective.token_counts(batch)).numpy()


def test_losses_with_shared_memory(golden, model, batch):
    losses = token_means(model, batch, Objective(label_smoothing=golden.label_smoothing))
    close(losses[0], golden.arrays["generative_loss"], 5e-6)
    close(losses[1], golden.arrays["denoising_loss_shared_memory"], 5e-6)


@pytest.mark.filterwarnings("ignore:.*constant.*")
def test_denoising_loss_of_the_released_second_pass(golden, model, batch, bank):
    released = reader(golden, bank, "top_only")

    def reread(rows: torch.Tensor, mask: torch.Tensor, ids: tuple[str, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        read = released.read(rows.numpy(), mask.numpy())
        return torch.from_numpy(read.vectors), torch.from_numpy(read.mask)

    objective = Objective(label_smoothing=golden.label_smoothing, reread=reread)
    close(token_means(model, batch, objective)[1], golden.arrays["denoising_loss_released"], 5e-6)


@pytest.mark.parametrize(("beams", "least"), [(1, 5), (4, 4)])
def test_generated_ids(golden, model, vocabulary, batch, beams, least):
    expected = golden.arrays[f"generated_ids_beam{beams}"]
    config = DecodeSettings(beams=beams, max_tokens=expected.shape[1] - 1)
    found = np.array(generate(model, batch, vocabulary, config))
    same = (found == expected).all(1).sum()
    assert same >= len(expected) - (5 - least), f"{same} of {len(expected)} rows are identical"


STEP = 5e-4  # of a step's norm; on the machine that wrote this, the largest difference was 5e-5
SHOWN = ("after_step_time_embeddings", "after_step_visual_pos", "after_step_memory_proj")  # arrays of the golden


def take_step(golden, model, weights, gradients, lr: float, eps: float = 1e-8) -> tuple[float, list[torch.Tensor]]:
    """One step from ``weights``; returns the gradients' norm, and the parts of the weights that the golden has."""
    with torch.no_grad():
        for parameter, weight, gradient in zip(model.parameters(), weights, gradients, strict=True):
            parameter.copy_(weight)
            parameter.grad = None if gradient is None else gradient.clone()
    optimiser = make_optimiser(model, 3e-4)
    for group in optimiser.param_groups:
        group["eps"] = eps
    norm = optimiser_step(model, optimiser, lr=lr, clip=1.0)
    model.rescale_time_tokens(golden.num_bins)
    return float(norm), shown(golden, model)


def shown(golden, model) -> list[torch.Tensor]:
    parts = (model.t5.shared.weight[-golden.num_bins:, :8], model.visual_encoder.pos_embed[0, :5, :8],
             model.memory_projection.layers[0].linear.weight[:4, :8])
    return [part.detach().clone() for part in parts]


def same_step(golden, before: list[torch.Tensor], after: list[torch.Tensor]) -> bool:
    """Whether each part moved as in the golden, up to a share of its step."""
    wanted = [torch.from_numpy(golden.arrays[name]) for name in SHOWN]
    return all(float((found - right).norm()) <= STEP * float((right - old).norm())
               for found, right, old in zip(after, wanted, before, strict=True))


def test_one_optimiser_step(golden, model, batch):
    """Close beside the size of the step, so that a rate wrong by 1 % or another eps of Adam is seen."""
    objective = Objective(label_smoothing=golden.label_smoothing)
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    before = shown(golden, model)
    objective.total(objective(model, batch), objective.token_counts(batch)).backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    for lr, eps in ((1.01 * 3e-4, 1e-8), (0.99 * 3e-4, 1e-8), (3e-4, 1e-9), (3e-4, 1e-7)):
        wrong = take_step(golden, model, weights, gradients, lr, eps)[1]
        assert not same_step(golden, before, wrong), f"lr {lr}, eps {eps} passes"
    norm, after = take_step(golden, model, weights, gradients, 3e-4)
    assert norm == pytest.approx(float(golden.arrays["grad_norm"]), rel=1e-5)
    assert same_step(golden, before, after)
    close(token_means(model, batch, objective)[0], golden.arrays["generative_loss_after_step"], 5e-6)
