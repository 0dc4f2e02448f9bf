"""What `hicm convert` asks of this room: the model in a checkpoint of MESM, or in a folder of ours.

The classes of masked words are not in a released checkpoint: they come from a published file of counts
(``moments.counts``).  Its settings are in the file, and in ``opt.json`` beside it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from hicm.config import Config
from hicm.errors import UserError
from hicm.files import read_json, require, sha256
from hicm.memory.bank import load_bank
from hicm.nn.weights import load_exactly, read_weights, some
from hicm.rooms import described_by
from hicm.systems.base import refuse_other_model
from hicm.systems.moments.compatibility import check_arguments, check_shapes, compare_arguments
from hicm.systems.moments.counts import read_counts
from hicm.systems.moments.model import Moments
from hicm.systems.moments.names import is_used, own_name, own_state, unused_weights
from hicm.systems.moments.settings import IN_WEIGHTS, recalls
from hicm.systems.moments.system import ENDPOINTS
from hicm.systems.moments.vocabulary import Vocabulary
from hicm.systems.moments.weights import DESCRIPTION, WEIGHTS, load_model, save_model
from hicm.systems.moments.words import Words, make_words
from hicm.systems.released import (
    Converted,
    Released,
    Source,
    open_source,
    plain_args,
    read_released_file,
    refuse_not_finite,
    refuse_odd_tensors,
    unlike_released,
)

VOCABULARY = "moments.counts"
KINDS = {"mesm": "MESM (Liu et al., AAAI 2024, arXiv 2312.12155)", "hicm": "a moments model trained by hicm"}
SHOWN = ("dataset_name", "v_feat_dim", "t_feat_dim", "tokenizer_type", "vocab_size", "max_video_l", "max_words_l",
         "clip_len", "max_ts_val", "share_MLP", "loss_label_coef", "loss_saliency_coef", "rank_coef", "use_triplet",
         "loss_recfw_coef", "loss_recss_coef", "lr", "weight_decay", "grad_clip")  # arguments that the card lists
RELEASED = ("moments.mixed_padding", "moments.decode.fit")  # of the preset: what concerns prediction
ARGUMENTS = "opt.json"
PLACES = ("", "best", "last")  # of a model in a folder of ours
FIRST = "enhance_encoder.t2v_encoder.layers.0.self_attn.in_proj_weight"  # names that no other model has
SENTENCE = "ss_reconstructor.masked_sent_token"


def recognises(names: Collection[str]) -> bool:
    """Whether a released file with these names of weights is one of MESM: both of its alignments are there."""
    return FIRST in names and SENTENCE in names


def find_source(checkpoint: str | Path, config: Config) -> Source:
    """Find the weights, the file of counts and ``opt.json``, and hash them.  UserError when something is missing."""
    path = require(checkpoint, "checkpoint", "give a released checkpoint of MESM or a run folder")
    if path.is_dir():
        return open_source(_model_folder(path), DESCRIPTION)
    if not config.room.counts:
        raise UserError(f"{path}: holds no words; give the file of counts that it was trained with, moments.counts=FILE"
                        " (CLIP_tokenized_count.txt or GloVe_tokenized_count.txt beside the annotations)")
    counts = require(config.room.counts, "file of counts", "correct moments.counts")
    options = path.with_name(ARGUMENTS)
    return open_source(path, DESCRIPTION, {str(counts): sha256(counts)}
                       | ({str(options): sha256(options)} if options.is_file() else {}))


def _model_folder(path: Path) -> Path:
    """The folder that holds the model of a run or checkpoint folder."""
    found = next((path / place for place in PLACES if (path / place / DESCRIPTION).is_file()), None)
    if found is None:
        other = described_by(path) or described_by(path / "best")
        why = f"holds a model of the system {other}" if other else f"no {DESCRIPTION} there, nor in best or last"
        raise UserError(f"{path}: {why}; give a run folder of 'hicm train' or 'hicm convert'")
    return found


def settled(config: Config) -> Config:
    """The settings of the run, which has its classes of words already."""
    return replace(config, room=replace(config.room, counts=""))


def read(source: Source, config: Config, fresh_memory: bool) -> Converted:
    """The model of a checkpoint.  Raises UserError when it is refused or does not fit the settings."""
    if fresh_memory:
        raise UserError(f"{source.path}: --fresh-memory is for checkpoints of the captioner; leave the option out")
    return _own(source, config) if source.ours else _theirs(source, config)


def _own(source: Source, config: Config) -> Converted:
    """A model of ours under other settings."""
    there, vocabulary, words = load_model(source.path)
    refuse_other_model("moments", there.settings, config.room, IN_WEIGHTS, source.path)
    state = read_weights(source.path / WEIGHTS, "is the folder complete?")
    model = _model(state, vocabulary, config, str(source.path))
    return _converted("hicm", model, vocabulary, words, Released(state), state, [], {}, config)


def _theirs(source: Source, config: Config) -> Converted:
    where, room = str(source.path), config.room
    content = read_released_file(source.path, "give a released checkpoint of MESM", "MESM")
    if not recognises(content.state.keys()):
        raise UserError(f"{where}: holds no weights of MESM (no {FIRST} or {SENTENCE}); give one of its checkpoints, "
                        "or set system to the one that it belongs to")
    refuse_odd_tensors({name: value for name, value in content.state.items() if is_used(name)}, where, "MESM")
    renamed = _renamed(content.state, where)
    args = content.args or training_arguments(source.path.with_name(ARGUMENTS))
    check_arguments(args, config, where)
    words = make_words(room.words, config.offline)
    vocabulary = _vocabulary(config, words)
    state = {name: value.float() for name, value in own_state(content.state).items()}
    model = _model(state, vocabulary, config, where)
    if not words.ends and words.width != model.word_width:  # a model of CLIP is not loaded for this
        raise UserError(f"{where}: reads word vectors {model.word_width} wide, those of moments.words={room.words} are "
                        f"{words.width}; set moments.words to those it was trained with")
    notes = compare_arguments(args, config) + unlike_released(config, RELEASED)
    return _converted("mesm", model, vocabulary, words.name, replace(content, args=args), state, notes,
                      {"renamed": renamed, "never_read": unused_weights(content.state)}, config)


def _vocabulary(config: Config, words: Words) -> Vocabulary:
    """The classes of words, from the file of counts."""
    counts, classes = config.room.counts, config.room.classes
    listed = read_counts(counts, words.splitting)
    if len(listed) < classes:
        raise UserError(f"{counts}: counts {len(listed):,} words, moments.classes={classes} needs as many; give the "
                        "file and the number that the weights were trained with")
    return Vocabulary(listed[:classes], words.ends)


def _renamed(names: Iterable[str], where: str) -> dict[str, str]:
    """Our names by theirs.  UserError for a name that MESM's code does not have."""
    found = {name: own_name(name) for name in names if is_used(name)}
    times = Counter(found.values())
    odd = [name for name, own in found.items() if own == name or times[own] > 1]
    if odd:
        raise UserError(f"{where}: holds {some(odd)}, which MESM's checkpoints do not; is it another model's, or was "
                        "it edited?")
    return found


def _model(state: Mapping[str, Tensor], vocabulary: Vocabulary, config: Config, where: str) -> Moments:
    """The network under the settings, with the weights of ``state`` (our names)."""
    check_shapes(state, config.room, vocabulary, where)
    video, text = (_length(state, f"{part}.0.norm.weight") for part in ("video", "text"))
    model = Moments(settled(config).room, video, text, len(vocabulary))
    load_exactly(model, dict(state), where, "is the file complete?")
    refuse_not_finite(model, where)
    return model.eval()


def _length(state: Mapping[str, Tensor], name: str) -> int:
    """That of a vector; 1 where there is none, which loading the weights reports."""
    found = state.get(name)
    return len(found) if found is not None and found.ndim else 1


def training_arguments(path: Path) -> dict[str, Any]:
    """The arguments of MESM's program in ``opt.json``; none where there is no such file."""
    content: Any = read_json(path, "arguments of the training program") if path.is_file() else {}
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected an object of arguments, as MESM writes it, found {type(content).__name__}; "
                        "remove the file, or put theirs back")
    return plain_args(content, path)


def _converted(kind: str, model: Moments, vocabulary: Vocabulary, words: str, content: Released,
               state: Mapping[str, Tensor], notes: list[str], keys: Mapping[str, Any], config: Config) -> Converted:
    def save(run: Path, about: dict[str, Any]) -> None:
        save_model(model, vocabulary, words, run / "best", **about)

    settings = model.settings
    card = {"word vectors": f"`{words}`, {model.word_width} wide; {len(vocabulary.words):,} words are classes of "
                            "masked words",
            "network": f"{settings.queries} windows per query, features {model.feature_width - ENDPOINTS:,} wide and "
                       f"{ENDPOINTS} columns for the place of a row, {settings.heads} heads (a setting, not visible in "
                       "the weights)"}
    keys = {**keys, "used": len(state), "parameters": sum(value.numel() for value in state.values()), "fresh": []}
    if unused := keys.get("never_read"):
        card["never read"] = ", ".join(f"`{name}` ({about['tensors']} tensors: {about['why']})"
                                       for name, about in unused.items())
    bank = load_bank(config.bank).width if recalls(settings) and config.bank.exists() else 0
    return Converted(kind, KINDS[kind], save, bank, keys, card, notes, content.args, SHOWN, content.epoch,
                     content.dropped, config.train.select_on, "video-moment-retrieval")
