"""Checks that a checkpoint of CM2 or PDVC and the settings describe the same model; differences name the setting."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from hicm.config import Config
from hicm.errors import UserError
from hicm.systems.parallel.settings import Settings
from hicm.systems.parallel.vocabulary import Vocabulary
from hicm.systems.released import layer_count, refuse_other_network, setting_value

# Argument of the published programs (opts.py of CM2 and PDVC) -> setting.
ARGUMENTS = {
    "num_queries": "parallel.queries", "max_eseq_length": "parallel.max_events", "hidden_dim": "parallel.width",
    "transformer_ff_dim": "parallel.hidden", "num_feature_levels": "parallel.levels",
    "enc_layers": "parallel.encoder_layers", "dec_layers": "parallel.decoder_layers",
    "transformer_dropout_prob": "parallel.dropout", "drop_prob": "parallel.word_dropout",
    "weight_decay": "parallel.weight_decay", "max_caption_len": "parallel.decode.max_words",
    "ec_alpha": "parallel.decode.caption_weight",
}
PDVC_ARGUMENTS = {"frame_embedding_num": "data.frames"}  # CM2 has it, too, and does not read it
PDVC_SAMPLING = "nearest"
MEMORY_ARGUMENTS = {"window_size": "retrieval.windows", "soft_k": "retrieval.top_k"}
DECISIVE = {"nheads": "parallel.heads", "enc_n_points": "parallel.points", "dec_n_points": "parallel.points",
            "cap_dec_n_points": "parallel.points"}  # decide what weights do, and show in no shape
# Arguments that decide what weights do, and the only values that this room has.
ONLY = {"text_crossAttn_loc": "after", "ret_encoder": "avg", "sim_match": "window_cos", "retrieval_ablation": "None",
        "combined_encoder": False, "transformer_input_type": "queries", "with_box_refine": 1, "share_caption_head": 1,
        "caption_decoder_type": "standard", "cap_nheads": 1}


def check_arguments(args: Mapping[str, Any], config: Config, where: str) -> None:
    """UserError when the training program was asked for another network than this room has, or the settings have."""
    refuse_other_network(args, ONLY, DECISIVE, config, where)


def compare_arguments(args: Mapping[str, Any], config: Config, memory: bool) -> list[str]:
    """Differences between the arguments of the training program and the settings, one line each."""
    pairs = {**ARGUMENTS, **(MEMORY_ARGUMENTS if memory else PDVC_ARGUMENTS)}
    found = [f"trained with {name}={args[name]}, {setting}={setting_value(config, setting)}"
            for name, setting in pairs.items() if name in args and args[name] != setting_value(config, setting)]
    if not memory and config.data.sampling != PDVC_SAMPLING:
        found.append(f"PDVC resamples features to the nearest rows, here data.sampling={config.data.sampling}; set "
                     f"data.sampling={PDVC_SAMPLING} and data.frames to the number of rows")
    return found


def check_memory(given: bool, wanted: bool, where: str) -> None:
    """UserError when the checkpoint has a memory and the settings have none, or the other way round."""
    if given and not wanted:
        raise UserError(f"{where}: reads a memory (CM2), but retrieval.search=none; set retrieval.search, e.g. --set "
                        "preset=released --set retrieval.search=flat")
    if wanted and not given:
        raise UserError(f"{where}: reads no memory (PDVC); set retrieval.search=none")


def check_shapes(state: Mapping[str, Tensor], settings: Settings, vocabulary: Vocabulary, where: str) -> None:
    """UserError that names every setting that contradicts a shape; ``state`` has our names."""
    looks = settings.levels * settings.points
    sizes = {  # what -> (number in the file, its setting, the number there)
        "queries": (_size(state, "decoder.embeddings.weight", 0), "queries", settings.queries),
        "classes of the counter, one more than events": (
            _size(state, "heads.0.count.weight", 0), "max_events", settings.max_events + 1),
        "units (d)": (_size(state, "decoder.centre.weight", 1), "width", settings.width),
        "units in a feed-forward network": (
            _size(state, "encoder.layers.0.feed.linear1.weight", 0), "hidden", settings.hidden),
        "time scales": (_size(state, "encoder.levels", 0), "levels", settings.levels),
        "points per head": (_size(state, "captions.offsets.weight", 0), "points", looks),
        "points in all heads": (_size(state, "encoder.layers.0.attention.offsets.weight", 0), "heads",
                                looks * settings.heads),
        "encoder layers": (layer_count(state, "encoder.layers."), "encoder_layers", settings.encoder_layers),
        "decoder layers": (layer_count(state, "decoder.layers."), "decoder_layers", settings.decoder_layers),
    }
    wrong = [f"the file has {found} {what}, parallel.{name}={getattr(settings, name)} makes {value}"
             for what, (found, name, value) in sizes.items() if found not in (None, value)]
    if wrong:
        raise UserError(f"{where}: does not fit the settings: {'; '.join(wrong)}; set them to the values it was "
                        "trained with")
    words = _size(state, "captions.words.weight", 0)
    if words not in (None, len(vocabulary) + 1):
        raise UserError(f"{where}: knows {words - 1:,} words, the vocabulary has {len(vocabulary):,}; give the one "
                        "that it was trained with")


def _size(state: Mapping[str, Tensor], name: str, axis: int) -> int | None:
    tensor = state.get(name)
    return tensor.shape[axis] if tensor is not None and tensor.ndim > axis else None
