"""The training stage: settings in, run folder out; the same command continues an interrupted run."""

from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from hicm.config import Config, dump_config
from hicm.data.catalogue import with_command
from hicm.data.holdout import describe_selection
from hicm.errors import UserError
from hicm.files import read_json, require, write_json
from hicm.memory.bank import load_bank
from hicm.provenance import now, open_run
from hicm.retrieval.reader import Reader
from hicm.systems.captioner.dataset import open_split, recall
from hicm.systems.captioner.objective import Objective, Reread
from hicm.systems.captioner.system import CaptionerSystem
from hicm.systems.captioner.vocabulary import Vocabulary, load_vocabulary, train_vocabulary
from hicm.systems.captioner.weights import build
from hicm.training.loop import run_loop, seed_all


def train(config: Config, folder: Path, run: str) -> Path:
    """Recall for every video, then train; returns the run folder.

    Raises UserError when the folder holds a run with other settings, when the bank or features are missing, or when
    training diverges.  What was done before an error or a kill is kept, and the same call continues.
    """
    selecting = [config.data.select] if config.train.evaluates else []
    accelerator = Accelerator(mixed_precision=config.train.precision)
    with accelerator.main_process_first():
        if accelerator.is_main_process:
            inputs = [require(path, "annotation file", with_command(path, "put the data where data/README.md says"))
                      for split in config.data.annotations.values() for path in split]
            open_run(folder, run, config, inputs, selected_on=describe_selection(config))
        memories = {split: recall(config, split, folder, training=split == "training")
                    for split in ("training", *selecting)}
        vocabulary = open_vocabulary(config, folder)

    dataset = open_split(config, config.data.train, vocabulary, memories["training"])
    select = next((open_split(config, split, vocabulary, memories[split]) for split in selecting), None)
    seed_all(config.train.seed, 0, 0)
    width = dataset.features.width
    model = build(config.captioner, vocabulary, width, config.data.frames,
                  0 if dataset.retrieved is None else dataset.retrieved.width)
    objective = Objective(config.train.generative, config.train.denoising, config.train.label_smoothing,
                          _rereader(config, model.t5.config.d_model))
    system = CaptionerSystem(config, model, vocabulary, objective, dataset, select, run)
    progress = run_loop(system, config.train, folder, run, accelerator)
    if accelerator.is_main_process:
        _finish(folder, config, progress.best, progress.best_step)
    return folder


def open_vocabulary(config: Config, folder: Path) -> Vocabulary:
    """The run's tokenizer: loaded by name, or trained once on the captions and speech of the training split."""
    own, bins = folder / "tokenizer", config.captioner.time_bins
    if own.is_dir():
        return load_vocabulary(str(own), bins, offline=True)
    if config.captioner.tokenizer == "train":
        from hicm.data.annotations import read_split
        from hicm.data.speech import open_speech
        from hicm.data.text import normalise

        videos = read_split(config.data, config.data.train)
        speech = open_speech(config.data.speech)
        texts = [event.text for video in videos.values() for event in video.events]
        texts += [text for video in videos.values() for text in speech.get(video.id, video.duration).text]
        vocabulary = train_vocabulary([normalise(text) for text in texts if text.strip()],
                                      config.captioner.vocabulary, bins)
    else:
        name = config.captioner.tokenizer or config.captioner.t5
        if name == "scratch":
            raise UserError("captioner.tokenizer: t5: scratch has none of its own; name one, or set it to 'train'")
        vocabulary = load_vocabulary(name, bins, config.captioner.offline)
    vocabulary.save(own)
    return vocabulary


def _rereader(config: Config, width: int) -> Reread | None:
    """The released second pass reads the memory again with rows of T5 space."""
    if config.train.denoising_memory == "shared" or config.retrieval.search == "none":
        return None
    bank = load_bank(config.bank)
    if bank.width != width:
        raise UserError(f"train.denoising_memory: requeried needs a T5 as wide as the memory ({width} against "
                        f"{bank.width}); use shared")
    reader = Reader(bank, config.retrieval)

    def reread(rows: Tensor) -> Tensor:
        read = reader.read(rows.float().cpu().numpy(), np.ones(rows.shape[:2], bool))
        return torch.from_numpy(read.vectors).to(rows.device)

    return reread


def _finish(folder: Path, config: Config, best: float | None, step: int) -> None:
    manifest = read_json(folder / "manifest.json")
    manifest["finished"] = now()
    manifest["selected"] = ({"metric": config.train.select_on, "value": best, "step": step} if best is not None else
                            "last checkpoint: the selecting metric was never computed")
    manifest["settings"] = dump_config(config)
    write_json(folder / "manifest.json", manifest)
