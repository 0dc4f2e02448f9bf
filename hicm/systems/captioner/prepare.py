"""What training needs before its first step: a tokenizer, and the second read of the memory if it is asked for."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hicm.config import Config
from hicm.data.annotations import read_split
from hicm.data.speech import open_speech
from hicm.data.text import normalise
from hicm.errors import UserError
from hicm.memory.bank import load_bank
from hicm.retrieval.reader import Reader
from hicm.systems.captioner.objective import Reread
from hicm.systems.captioner.vocabulary import Vocabulary, load_vocabulary, train_vocabulary


def open_vocabulary(config: Config, folder: Path) -> Vocabulary:
    """The tokenizer of a run: loaded by name, or trained once on captions and speech of the training split."""
    settings, own = config.room, folder / "tokenizer"
    if own.is_dir():
        return load_vocabulary(str(own), settings.time_bins, offline=True)
    if settings.tokenizer == "train":
        videos = read_split(config.data, config.data.train)
        speech = open_speech(config.data.speech)
        texts = [event.text for video in videos.values() for event in video.events]
        texts += [text for video in videos.values() for text in speech.get(video.id, video.duration).text]
        vocabulary = train_vocabulary([normalise(text) for text in texts if text.strip()], settings.vocabulary,
                                      settings.time_bins)
    else:
        name = settings.tokenizer or settings.t5
        if name == "scratch":
            raise UserError("captioner.tokenizer: a T5 from scratch has no tokenizer; name one, or set it to 'train'")
        vocabulary = load_vocabulary(name, settings.time_bins, config.offline)
    vocabulary.save(own)
    return vocabulary


def make_rereader(config: Config, width: int) -> Reread | None:
    """The second read of the memory in the released denoising pass, by rows of T5's width; None if it is not wanted.

    Raises UserError when ``width``, that of the T5, differs from the width of the memory.
    """
    if config.room.objective.denoising_memory == "shared" or config.retrieval.search == "none":
        return None
    bank = load_bank(config.bank)
    if bank.width != width:
        raise UserError(f"captioner.objective.denoising_memory: requeried needs a T5 as wide as the memory, found "
                        f"{width} and {bank.width}; set it to shared")
    reader = Reader(bank, config.retrieval)

    def reread(rows: Tensor) -> Tensor:
        read = reader.read(rows.float().cpu().numpy(), np.ones(rows.shape[:2], bool))
        return torch.from_numpy(read.vectors).to(rows.device)

    return reread
