"""What training needs before its first step: a tokenizer, and the second read of the memory if it is asked for."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from hicm.config import Config
from hicm.data.annotations import read_split
from hicm.data.speech import SpeechStore
from hicm.data.text import normalise
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.memory.bank import load_bank
from hicm.retrieval.reader import Reader, needs_bank
from hicm.systems.captioner.objective import Reread
from hicm.systems.captioner.sequences import masked
from hicm.systems.captioner.vocabulary import Vocabulary, load_vocabulary, train_vocabulary

TOKENIZER, PIECES = "tokenizer", "vocabulary.json"  # of a run: the tokenizer, and the digest of its pieces


def open_vocabulary(config: Config, folder: Path, speech: SpeechStore) -> Vocabulary:
    """The tokenizer of a run: its own once there is one, else loaded by name, or trained on the training split.

    ``speech``: that of all videos.  Raises UserError when the run's own is another one than that with which it was
    started.
    """
    settings, own = config.room, folder / TOKENIZER
    if own.is_dir():
        vocabulary = load_vocabulary(str(own), settings.time_bins, offline=True)
        _refuse_replaced(vocabulary, folder)
        return vocabulary
    if settings.tokenizer == "train":
        return _train(config, speech)
    name = settings.tokenizer or settings.t5
    if name == "scratch":
        raise UserError("captioner.tokenizer: a T5 from scratch has no tokenizer; name one, or set it to 'train'")
    return load_vocabulary(name, settings.time_bins, config.offline)


def keep_vocabulary(vocabulary: Vocabulary, folder: Path) -> None:
    """Make a tokenizer the run's own; does nothing where it has one."""
    if not (folder / TOKENIZER).is_dir():
        vocabulary.save(folder / TOKENIZER)
    if not (folder / PIECES).exists():  # runs of hicm 0.1.0 have none
        write_json(folder / PIECES, {"pieces": vocabulary.size, "sha256": vocabulary.digest})


def _refuse_replaced(vocabulary: Vocabulary, folder: Path) -> None:
    path = folder / PIECES
    known = read_json(path, "digest of the vocabulary") if path.exists() else {"sha256": vocabulary.digest}
    if not isinstance(known, dict) or known.get("sha256") != vocabulary.digest:
        raise UserError(f"{folder / TOKENIZER}: has other pieces than those with which this run was started; put its "
                        "own tokenizer back, or start another run with --out")


def _train(config: Config, speech: SpeechStore) -> Vocabulary:
    settings, videos = config.room, read_split(config.data, config.data.train)
    texts = [event.text for video in videos.values() for event in video.events]
    texts += [text for video in videos.values() for text in speech.get(video.id, video.duration).text]
    return train_vocabulary([normalise(text) for text in texts if text.strip()], settings.vocabulary,
                            settings.time_bins)


def check_sentinels(config: Config, vocabulary: Vocabulary) -> None:
    """UserError when speech cannot be masked for want of sentinels; a warning when the longest has too few."""
    settings, found = config.room, len(vocabulary.sentinels)
    objective = settings.objective
    if not objective.denoising or not config.data.speech:
        return
    if not found:
        raise UserError("captioner.tokenizer: has no sentinels (<extra_id_0>, ...), which mask the speech; take the "
                        "tokenizer of a T5, or set captioner.objective.denoising=0")
    _, spans = masked(settings.max_speech_tokens, objective.noise_density, objective.noise_span)
    if spans > found:
        warnings.warn(f"captioner.max_speech_tokens={settings.max_speech_tokens}: the longest transcripts would be "
                      f"masked in {spans} spans, and the tokenizer has {found} sentinels; they are masked in {found} "
                      "longer spans, as many tokens in all", stacklevel=2)


def make_rereader(config: Config, t5_width: int, width: int) -> Reread | None:
    """The second read of the memory in the released denoising pass, by rows of T5's width; None if it is not wanted.

    ``width`` is that of the recalled vectors that the model reads, 0 for none.  What a video may not recall in training
    it does not recall here either (``retrieval.leave_own_out``, ``leave_best_out``).  Raises UserError when the two
    widths differ.
    """
    settings = config.retrieval
    if config.room.objective.denoising_memory == "shared" or not width:
        return None
    if t5_width != width:
        raise UserError(f"captioner.objective.denoising_memory: requeried needs a T5 as wide as the memory, found "
                        f"{t5_width} and {width}; set it to shared")
    reader = Reader(load_bank(config.bank) if needs_bank(settings) else None, settings)

    def reread(rows: Tensor, mask: Tensor, ids: Sequence[str]) -> tuple[Tensor, Tensor]:
        read = reader.read(rows.float().cpu().numpy(), mask.cpu().numpy().astype(bool),
                           ids if settings.leave_own_out else None, ids, settings.leave_best_out)
        return torch.from_numpy(read.vectors).to(rows.device), torch.from_numpy(read.mask).to(rows.device)

    return reread
