"""Checks that a checkpoint of MESM and the settings describe the same model; differences name the setting."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from hicm.config import Config
from hicm.errors import UserError
from hicm.systems.moments.settings import Settings, reads_token, recalls
from hicm.systems.moments.vocabulary import Vocabulary
from hicm.systems.released import layer_count, refuse_other_network, setting_value

# Argument of MESM's program -> setting.
ARGUMENTS = {
    "max_video_l": "data.frames", "max_words_l": "moments.max_words", "loss_span_coef": "moments.objective.span",
    "loss_giou_coef": "moments.objective.giou", "loss_label_coef": "moments.objective.label",
    "eos_coef": "moments.objective.background", "loss_saliency_coef": "moments.objective.saliency",
    "rank_coef": "moments.objective.rank", "use_triplet": "moments.objective.triplet",
    "saliency_margin": "moments.objective.margin", "loss_recfw_coef": "moments.objective.words",
    "loss_recss_coef": "moments.objective.sentences", "iou_gamma": "moments.objective.same",
    "weight_decay": "moments.weight_decay", "max_ts_val": "moments.decode.clamp", "clip_len": "moments.decode.grid",
}
NO_GRID = "clip_len", -1  # rows last shares of the video (TACoS), and windows are not rounded
DECISIVE = {"nheads": "moments.heads"}  # decides what weights do, and shows in no shape
ONLY = {"use_tef": True}  # what decides what weights do, and the only value that this room has


def check_arguments(args: Mapping[str, Any], config: Config, where: str) -> None:
    """UserError when MESM's program was asked for another network than this room has, or the settings have."""
    refuse_other_network(args, ONLY, DECISIVE, config, where)


def compare_arguments(args: Mapping[str, Any], config: Config) -> list[str]:
    """Differences between the arguments of MESM's program and the settings, one line each."""
    return [f"trained with {name}={args[name]}, {setting}={setting_value(config, setting)}"
            for name, setting in ARGUMENTS.items() if name in args
            and (0 if (name, args[name]) == NO_GRID else args[name]) != setting_value(config, setting)]


def check_shapes(state: Mapping[str, Tensor], settings: Settings, vocabulary: Vocabulary, where: str) -> None:
    """UserError that names every setting that contradicts a shape; ``state`` has our names."""
    separate = any(".closings.1." in name for name in state)
    sizes = {  # what -> (number in the file, its setting, the number there)
        "windows per query": (_size(state, "decoder.anchors", 0), "queries", settings.queries),
        "units (d)": (_size(state, "salient.weight", 1), "width", settings.width),
        "units in a feed-forward network": (
            _size(state, "encoder.layers.0.feed.linear1.weight", 0), "hidden", settings.hidden),
        "layers of frames and words": (layer_count(state, "frame_word.layers."), "word_layers", settings.word_layers),
        "layers of the sentence token": (
            layer_count(state, "sentence.stack.layers."), "sentence_layers", settings.sentence_layers),
        "aligner layers": (layer_count(state, "aligner.layers."), "aligner_layers", settings.aligner_layers),
        "encoder layers": (layer_count(state, "encoder.layers."), "encoder_layers", settings.encoder_layers),
        "decoder layers": (layer_count(state, "decoder.layers."), "decoder_layers", settings.decoder_layers),
    }
    wrong = [f"the file has {found} {what}, moments.{name}={value}"
             for what, (found, name, value) in sizes.items() if found not in (None, value)]
    if settings.word_layers and separate == settings.shared_feed:
        wrong.append(f"the file has {'separate networks' if separate else 'one network'} for frames that attend to "
                     f"words and words that attend to frames, moments.shared_feed={str(settings.shared_feed).lower()}")
    there = {"sentence token": ("sentence.token" in state, reads_token(settings)),
             "vector for recalled texts": ("recalled" in state, recalls(settings))}
    wrong += [f"the file has {'a' if found else 'no'} {what}, moments.context={settings.context}"
              for what, (found, wanted) in there.items() if found != wanted]
    if wrong:
        raise UserError(f"{where}: does not fit the settings: {'; '.join(wrong)}; set them to the values it was "
                        "trained with")
    classes = _size(state, "word_head.2.weight", 0)
    if classes not in (None, len(vocabulary)):
        raise UserError(f"{where}: tells {classes:,} classes of words apart, moments.classes={settings.classes} and "
                        f"moments.words={settings.words} make {len(vocabulary):,}; set them to those it was trained "
                        "with (CLIP: 3 more than words, GloVe: 1 more)")


def _size(state: Mapping[str, Tensor], name: str, axis: int) -> int | None:
    tensor = state.get(name)
    return tensor.shape[axis] if tensor is not None and tensor.ndim > axis else None
