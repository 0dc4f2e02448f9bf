"""The readers that are fuzzed.  A new one is a line in READERS: how sound files are made, how one is read."""

import io
import json
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hicm.cached_arrays import cached_arrays
from hicm.config import RetrievalConfig, load_config
from hicm.data.annotations import read_annotations
from hicm.data.features import open_features
from hicm.data.pretraining import convert_chapters, read_listing
from hicm.data.speech import open_speech
from hicm.dvc_eval.inputs.read import read_predictions, read_references
from hicm.encoders.array import ArrayEncoder
from hicm.files import read_json, sha256, write_json
from hicm.journal import Journal as Parts
from hicm.memory.bank import Bank, Leaves, Level, load_bank, save_bank
from hicm.memory.imports import import_bank
from hicm.memory.released_pickle import write_released
from hicm.memory.summarisers.journal import Journal
from hicm.memory.summarisers.prompt import load_prompt
from hicm.retrieval.mean_frame import load_mean
from hicm.retrieval.records import Recalled
from hicm.retrieval.store import open_retrieved, save_retrieved
from hicm.retrieval.windows import window_seconds
from hicm.stages.given import read_given
from hicm.systems.parallel.vocabulary import load_vocabulary
from tests.fuzz.captions import CAPTIONS, read_captions
from tests.fuzz.damage import (
    damage_json,
    damage_lines,
    damage_npy,
    damage_pickle,
    damage_safetensors,
    damage_yaml,
    in_zip,
)
from tests.fuzz.imported import IMPORTED, read_imported
from tests.fuzz.jobs import JOB, read_job
from tests.fuzz.moments import MOMENTS, read_moments
from tests.fuzz.moments_room import MOMENTS_ROOM
from tests.fuzz.reader import Reader
from tests.fuzz.released import (
    ARGUMENTS,
    read_arguments,
    read_released_parallel,
    read_released_weights,
    released_parallel,
    released_weights,
    torch_bytes,
)
from tests.fuzz.results import KEPT
from tests.fuzz.tars import damage_tar, shards
from tests.fuzz.texts import LISTING, PROMPT, SETTINGS

IDS = ("herbs000000", "v_pasta000001")
WIDTH = 4


# speech

SPEECH = {IDS[0]: {"start": [0.0, 4.0], "end": [3.0, 9.5], "text": ["boil water", "Add ä"], "duration": 12.5},
          IDS[1]: {"segments": [{"start": 0, "end": 3, "text": "boil"}], "language": "en"}}


def speech_pickles(folder: Path) -> list[bytes]:
    arrays = {IDS[0]: {"start": np.array([0.5, 1]), "end": np.array([1, 2], np.float32), "text": np.array(["a", "bc"])},
              IDS[1]: {"start": [np.float16(1)], "end": np.array([2]), "text": np.array(["a"], object)}}
    return [pickle.dumps(content, protocol) for content in (SPEECH, arrays) for protocol in (0, 2, 4, 5)]


def read_speech(file: Path) -> None:
    store = open_speech(file)
    for video in (*IDS, *list(store._entries)[:20]):
        if not isinstance(video, str):
            continue
        try:
            speech = store.get(video, 10.0)
        finally:
            store.duration(video)
        assert all(type(time) is float for time in (*speech.start, *speech.end))
        assert all(type(text) is str and text.strip() for text in speech.text)
    store.fingerprint(IDS)


def read_transcript(file: Path) -> None:
    """A file of one video, in a folder."""
    store = open_speech(file.parent)
    speech = store.get(IDS[0], 10.0)
    assert all(type(time) is float for time in (*speech.start, *speech.end)) and all(map(str.strip, speech.text))
    store.fingerprint(IDS)


def read_events(file: Path) -> None:
    for spans in read_given(file, IDS, lambda video: 12.5, []).values():
        assert all(type(time) is float for span in spans for time in (span.start, span.end))


SRT = "1\n00:00:00,500 --> 00:00:02,500\nboil <i>the</i> water\n\n2\n00:03.000 --> 00:06.250 X1:1\nadd &amp; stir\n"
VTT = "WEBVTT\n\nNOTE ä\n\n00:00.500 --> 00:02.500 align:start\n<v A>boil</v>\n\n00:02.500 --> 00:04.000\nboil\nadd\n"
SEGMENTS = [{"id": 0, "start": 0.0, "end": 3.0, "text": "boil"}, {"id": 1, "start": 3.5, "end": 4, "text": "ä"}]
CHUNKS = {"text": "a", "chunks": [{"timestamp": [0.0, None], "text": "a"}, {"timestamp": [2, 3.5], "text": "b"}]}
YOUTUBE = {"events": [{"tStartMs": 0, "dDurationMs": 900, "segs": [{"utf8": "a"}, {"utf8": "b", "tOffsetMs": 3}]}]}


# banks

def bank() -> Bank:
    rng = np.random.default_rng(0)
    leaves = Leaves(("a", "b", "c"), rng.standard_normal((3, WIDTH)).astype(np.float32), ("v", "v", "w"),
                    np.array([0, 1, 0]))
    first = Level(("x", "y"), rng.standard_normal((2, WIDTH)).astype(np.float16), (np.array([0, 2]), np.array([1])),
                  np.array([-1, 1]))
    top = Level(("z",), rng.standard_normal((1, WIDTH)).astype(np.float16), (np.array([0, 1]),), np.array([-1]))
    return Bank((first, top), leaves, {"encoder": "unknown"})


def released_pickles(folder: Path) -> list[bytes]:
    written = write_released(bank(), folder / "made.pkl").read_bytes()
    return [written, pickle.dumps(pickle.loads(written), 4)]


def read_released(file: Path) -> None:
    out = file.parent / "imported"
    load_bank(import_bank(file, out, overwrite=True))


def bank_arrays(folder: Path) -> list[bytes]:
    return [(save_bank(bank(), folder / "bank") / "bank.npz").read_bytes()]


def read_bank_arrays(file: Path) -> None:
    content = read_json(file.parent / "bank" / "bank.json")
    write_json(file.with_name("bank.json"), content | {"arrays_sha256": sha256(file)})
    load_bank(file.parent)


def bank_texts(folder: Path) -> list[bytes]:
    save_bank(bank(), folder)
    return [(folder / "bank.json").read_bytes()]


def read_bank(file: Path) -> None:
    load_bank(file.parent)


# arrays

def written(save: Callable[..., None], *what: Any, **named: Any) -> bytes:
    out = io.BytesIO()
    save(out, *what, **named)
    return out.getvalue()


def npy(*arrays: np.ndarray) -> Callable[[Path], list[bytes]]:
    return lambda folder: [written(np.save, array) for array in arrays]


def npz(**arrays: np.ndarray) -> Callable[[Path], list[bytes]]:
    return lambda folder: [written(np.savez, **arrays), written(np.savez_compressed, **arrays)]


MATRIX = np.arange(28, dtype=np.float32).reshape(7, WIDTH)


def read_features(file: Path) -> None:
    """One file that holds all videos, or ``<id>.npy`` and the like."""
    features = open_features(file.parent if file.stem in IDS else file)
    try:
        for video in IDS:
            if video in features:
                x = features.read(video)
                assert x.dtype == np.float32 and x.ndim == 2 and np.isfinite(x).all() and len(x)
    finally:
        features.fingerprint(IDS)


def read_cm2(file: Path) -> None:
    np.save(file.with_name("x_scene_sentences.npy"), np.array([f"text {row}" for row in range(7)]))
    np.save(file.with_name("x_scene_videoID.npy"), np.array(["v"] * 7))
    import_bank(file, file.parent / "imported", overwrite=True)


def read_cm2_texts(file: Path) -> None:
    np.save(file.with_name("x_clip_token_embeds.npy"), MATRIX)
    np.save(file.with_name("x_scene_videoID.npy"), np.array(["v"] * 7))
    import_bank(file.with_name("x_clip_token_embeds.npy"), file.parent / "imported", overwrite=True)


def read_encoder(file: Path) -> None:
    assert ArrayEncoder(str(file)).width > 0


def read_cache(file: Path) -> None:
    assert all(array.dtype.kind in "fiubcUS" for array in cached_arrays(file, "key", lambda: {"x": MATRIX}).values())


# HDF5

def hdf5_features(folder: Path) -> list[bytes]:
    found = []
    for version, how in (("earliest", {}), ("latest", {}), ("earliest", {"chunks": (2, WIDTH), "compression": "gzip"}),
                         ("latest", {"chunks": (2, WIDTH), "compression": "lzf", "fletcher32": True})):
        with h5py.File(folder / "made.h5", "w", libver=version) as file:
            for video in (*IDS, *(f"video{number}" for number in range(6))):
                file.create_dataset(video, data=MATRIX, **how)
        found.append((folder / "made.h5").read_bytes())
    return found


def recalled(folder: Path) -> list[bytes]:
    windows, kept = 3, 2
    shape = (len(IDS), windows, kept)
    nodes = {level: np.arange(len(IDS) * windows * kept, dtype=np.int32).reshape(shape) % 3 for level in (1, 2)}
    batch = Recalled(
        vectors=np.ones((len(IDS), windows, WIDTH), np.float32), mask=np.ones((len(IDS), windows), bool),
        slots=np.zeros((len(IDS), windows, 3), np.int32), windows=np.ones((len(IDS), windows), bool), nodes=nodes,
        scores={level: np.ones(shape, np.float32) for level in (1, 2)},
        stand_in={level: np.full(shape, -1, np.int32) for level in (1, 2)},
        window_rows=np.full((len(IDS), windows, 2), [0, 4], np.int32))
    return [save_retrieved(folder / "made.h5", IDS, [batch], {"made": "for a test"}).read_bytes()]


def read_recalled(file: Path) -> None:
    found = open_retrieved(file)
    for video in found.ids[:10]:
        tokens = found.tokens(video)
        assert tokens.vectors.shape == (found.count, found.width) and np.isfinite(tokens.vectors).all()
        found.visited(video)
        window_seconds(RetrievalConfig(), 20.5, 12, rows=found.window_rows(video))


def read_mean(file: Path) -> None:
    assert np.isfinite(load_mean(file).mean).all()


# json and yaml

ANNOTATIONS = {video: {"duration": 20.5, "timestamps": [[0, 4.5], [5, 20]], "sentences": ["boil water", "add ä"]}
               for video in IDS}
PREDICTIONS = {"version": "1", "results": {video: [{"timestamp": [0, 4.5], "sentence": "boil", "score": 0.5}]
                                           for video in IDS}}
CHAPTERS = {video: {"duration": 20.5, "chapters": [{"time": 0, "label": "start"}, {"time": 9.5, "label": "end"}]}
            for video in IDS}
MEAN = {"features": "ab12", "mean": [0.5, -0.25]}
PARTS = "".join(json.dumps({"identity": "id", "parts": {f"v{line}": [[0.5, "text"]]}}) + "\n" for line in range(3))
JOURNAL = "".join(json.dumps([{"key": f"k{line}", "text": "a text", "fallback": "", "level": 1, "node": line,
                               "rejected": ["no"]}]) + "\n" for line in range(3))


def as_json(content: Any) -> Callable[[Path], list[bytes]]:
    return lambda folder: [json.dumps(content).encode(), json.dumps(content, indent=1, ensure_ascii=False).encode()]


def as_text(text: str) -> Callable[[Path], list[bytes]]:
    return lambda folder: [text.encode()]


def read_parts(file: Path) -> None:
    assert all(isinstance(name, str) for name in Parts(file, "id").done)


def read_chapters(file: Path) -> None:
    write_json(file.with_name("ids.json"), list(IDS))
    convert_chapters(file, file.with_name("ids.json"), file.with_name("made.json"))


VOCABULARY = {"word_to_ix": {"a": 1, "UNK": 2}, "ix_to_word": {"1": "a", "2": "UNK"}}


# torch and safetensors

def safetensors(folder: Path) -> list[bytes]:
    from safetensors.numpy import save

    return [save({"t5.shared.weight": MATRIX, "x": np.ones(3, np.float16)}), save({"x": MATRIX}, {"format": "pt"})]


def read_safetensors(file: Path) -> None:
    from hicm.systems.captioner.weights import read_folder

    for tensor in read_folder(file.parent).values():
        assert tensor.is_floating_point() and tensor.sum() is not None


def torch_features(folder: Path, zipped: bool = True) -> list[bytes]:
    import torch

    return [torch_bytes({video: torch.from_numpy(MATRIX) for video in IDS}, zipped)]


def hdf5_groups(folder: Path) -> list[bytes]:
    with h5py.File(folder / "made.h5", "w") as file:
        for video in IDS:
            file[f"{video}/clip"], file[f"{video}/fps"] = MATRIX, 25
    return [(folder / "made.h5").read_bytes()]


def torch_video(folder: Path) -> list[bytes]:
    import torch

    return [written(lambda out, content: torch.save(content, out), content)
            for content in (torch.from_numpy(MATRIX), {"clip": torch.from_numpy(MATRIX), "fps": 1.0})]


def torch_before_zip(folder: Path) -> list[bytes]:
    return torch_features(folder, zipped=False)


def checkpoint_parts() -> tuple[Any, Any]:
    import torch

    torch.manual_seed(0)
    module = torch.nn.Linear(WIDTH, 2)
    optimiser = torch.optim.AdamW(module.parameters())
    module(torch.ones(1, WIDTH)).sum().backward()
    optimiser.step()
    return module, optimiser


def checkpoints(folder: Path) -> list[bytes]:
    from hicm.training.checkpoint import Progress, save_checkpoint

    save_checkpoint(folder / "made.pt", "run", *checkpoint_parts(), Progress())
    return [(folder / "made.pt").read_bytes()]


def read_checkpoint(file: Path) -> None:
    from hicm.training.checkpoint import load_checkpoint

    load_checkpoint(file, "run", *checkpoint_parts())


READERS = {
    **{f"{made.form}, {made.name}": Reader(made.name, as_text(made.text), partial(read_imported, made.form),
                                           made.damage, slow=True) for made in IMPORTED},
    **{f"json, {name}": Reader("x.json", as_json(kept.content), kept.read, damage_json, kept.slow)
       for name, kept in KEPT.items()},
    **MOMENTS_ROOM,
    **{f"moments, {made.name}": Reader(made.name, as_text(made.text), partial(read_moments, made.side), made.damage,
                                       slow=True) for made in MOMENTS},
    "pickle": Reader("x.pkl", speech_pickles, read_speech, damage_pickle),
    "pickle, bank": Reader("x.pkl", released_pickles, read_released, damage_pickle),
    "HDF5": Reader("x.h5", hdf5_features, read_features),
    "HDF5, recalled": Reader("x.h5", recalled, read_recalled),
    "json": Reader("x.json", as_json(ANNOTATIONS), read_annotations, damage_json),
    "json, speech": Reader("x.json", as_json(SPEECH), read_speech, damage_json),
    "json, predictions": Reader("x.json", as_json(PREDICTIONS), lambda file: read_predictions(file, []), damage_json),
    "json, references": Reader("x.json", as_json(ANNOTATIONS), lambda file: read_references(file, []), damage_json,
                               True),
    "json, given events": Reader("x.json", as_json(PREDICTIONS), read_events, damage_json, True),
    "json, captions": Reader("x.json", as_json(CAPTIONS), read_captions, damage_json),
    "json, chapters": Reader("x.json", as_json(CHAPTERS), read_chapters, damage_json, True),
    "json, bank": Reader("bank.json", bank_texts, read_bank, damage_json, True),
    "json, journal": Reader("x.jsonl", as_text(JOURNAL), Journal, damage_lines, True),
    "json, finished parts": Reader("x.jsonl", as_text(PARTS), read_parts, damage_lines, True),
    "json, vocabulary": Reader("x.json", as_json(VOCABULARY), lambda file: load_vocabulary(file).decode([1]),
                               damage_json, True),
    "json, mean frame": Reader("x.json", as_json(MEAN), read_mean, damage_json, True),
    "json, job": Reader("job.json", as_json(JOB), read_job, damage_json, True),
    "npz": Reader("bank.npz", bank_arrays, read_bank_arrays, in_zip("", damage_npy)),
    "npz, encoder": Reader("x.npz", npz(sentences=np.array(["a", "ä"]), embeddings=MATRIX[:2]), read_encoder,
                           in_zip("", damage_npy), True),
    "npz, cache": Reader("x.npz", npz(key=np.array("key"), x=MATRIX), read_cache, in_zip("", damage_npy), True),
    "npy": Reader(f"{IDS[0]}.npy", npy(MATRIX, np.asfortranarray(MATRIX)), read_features, damage_npy),
    "npy, bank": Reader("x_clip_token_embeds.npy", npy(MATRIX[:, None]), read_cm2, damage_npy, True),
    "npy, texts": Reader("x_scene_sentences.npy", npy(np.array(["text", "ä"] * 3 + ["x"])), read_cm2_texts, damage_npy,
                         True),
    "safetensors": Reader("model.safetensors", safetensors, read_safetensors, damage_safetensors),
    "yaml": Reader("x.yaml", as_text(SETTINGS), load_config, damage_yaml),
    "yaml, prompt": Reader("x.yaml", as_text(PROMPT), lambda file: load_prompt(str(file)), damage_yaml, True),
    "csv": Reader("x.csv", as_text(LISTING), read_listing, slow=True),
    "srt": Reader(f"{IDS[0]}.srt", as_text(SRT), read_transcript, slow=True),
    "vtt": Reader(f"{IDS[0]}.vtt", as_text(VTT), read_transcript, slow=True),
    "json, lines of speech": Reader(f"{IDS[0]}.jsonl", as_text("\n".join(map(json.dumps, SEGMENTS))), read_transcript,
                                    damage_lines, True),
    "json, chunks": Reader(f"{IDS[0]}.json", as_json(CHUNKS), read_transcript, damage_json, True),
    "json, YouTube": Reader(f"{IDS[0]}.json3", as_json(YOUTUBE), read_transcript, damage_json, True),
    "npz, features": Reader("x.npz", npz(**{IDS[0]: MATRIX, f"{IDS[1]}/clip": MATRIX}), read_features,
                            in_zip("", damage_npy), True),
    "tar": Reader("x.tar", shards(IDS, MATRIX), read_features, damage_tar),
    "HDF5, groups": Reader("x.h5", hdf5_groups, read_features, slow=True),
    "torch, one video": Reader(f"{IDS[0]}.pt", torch_video, read_features, in_zip("data.pkl", damage_pickle), True),
    "torch": Reader("x.pth", torch_features, read_features, in_zip("data.pkl", damage_pickle), True),
    "torch, checkpoint": Reader("x.pt", checkpoints, read_checkpoint, in_zip("data.pkl", damage_pickle), True),
    "torch, released": Reader("x.pth", released_weights, read_released_weights, slow=True),
    "torch, CM2": Reader("x.pth", released_parallel, read_released_parallel, slow=True),
    "json, arguments of CM2": Reader("info.json", as_json(ARGUMENTS), read_arguments, damage_json, True),
    "torch, before 1.6": Reader("x.pth", torch_before_zip, read_features, slow=True),
}
