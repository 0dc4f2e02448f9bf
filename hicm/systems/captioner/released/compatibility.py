"""Checks that a checkpoint and the settings describe the same model; differences are reported by setting."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from transformers import T5Config

from hicm.config import Config
from hicm.errors import UserError
from hicm.systems.captioner.vocabulary import Vocabulary, digest_of
from hicm.systems.released import layer_count, setting_value

MEMORY = "memory_projection."
MOST_BINS = 1000  # nobody trained more time tokens: a larger difference means another tokenizer
T5_PIECES = 32_100  # text pieces of the one tokenizer of t5-small to t5-11b, T5 v1.1 and FLAN-T5, and their digest
T5_DIGEST = "0c86168e9b4d089dfc574f6c0ea2d2939a1ce3f669eb6c723d6a87ec2c298720"

# Argument of the released programs (args.py of HiCM2-DVC and VidChapters) -> setting.
ARGUMENTS = {
    "num_bins": "captioner.time_bins", "max_feats": "data.frames", "depth": "captioner.visual_depth",
    "heads": "captioner.visual_heads", "mlp_dim": "captioner.visual_mlp", "use_video": "captioner.use_video",
    "use_speech": "captioner.use_speech", "visual_encoder_dropout": "captioner.visual_dropout",
    "text_encoder_dropout": "captioner.encoder_dropout", "text_decoder_dropout": "captioner.decoder_dropout",
    "max_input_tokens": "captioner.max_speech_tokens", "max_output_tokens": "captioner.max_caption_tokens",
    "num_beams": "captioner.decode.beams", "length_penalty": "captioner.decode.length_penalty",
    "repetition_penalty": "captioner.decode.repetition_penalty",
}
MEMORY_ARGUMENTS = {"window_size": "retrieval.windows", "soft_k": "retrieval.top_k",
                    "hier_ret_num": "retrieval.select", "ret2t5_proj": "captioner.memory_projection",
                    "hier_use": "retrieval.levels"}


def has_memory(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict has a memory projection (Vid2Seq has none)."""
    return any(name.startswith(MEMORY) for name in state)


def check_shapes(state: Mapping[str, Tensor], config: Config, t5: T5Config, where: str) -> None:
    """Raise UserError that names every setting that contradicts a shape in the file."""
    captioner = config.room
    sizes = {  # what -> (value in the file, setting, expected value)
        "visual layers": (layer_count(state, "visual_encoder.blocks."), "captioner.visual_depth",
                          captioner.visual_depth),
        "hidden units in a visual layer": (_size(state, "visual_encoder.blocks.0.mlp.fc1.weight", 0),
                                           "captioner.visual_mlp", captioner.visual_mlp),
        "frame positions": (_size(state, "visual_encoder.pos_embed", 1), "data.frames", config.data.frames),
        "layers of memory projection": (layer_count(state, f"{MEMORY}layers."), "captioner.memory_projection",
                                        2 if captioner.memory_projection == "deep" else 1),
    }
    problems = [f"the file has {found} {what}, {setting}={setting_value(config, setting)}"
                for what, (found, setting, value) in sizes.items() if found not in (None, value)]
    name = f"captioner.t5={captioner.t5}" + (" (captioner.t5_config)" if captioner.t5 == "scratch" else "")
    inside = "t5.encoder.block.0.layer.0.SelfAttention"
    t5_sizes = {  # what -> (value in the file, expected value)
        "T5 width (d_model)": (_size(state, "t5.shared.weight", 1), t5.d_model),
        "T5 encoder layers (num_layers)": (layer_count(state, "t5.encoder.block."), t5.num_layers),
        "T5 decoder layers (num_decoder_layers)": (layer_count(state, "t5.decoder.block."), t5.num_decoder_layers),
        "T5 heads (num_heads)": (_size(state, f"{inside}.relative_attention_bias.weight", 1), t5.num_heads),
        "T5 attention units (num_heads x d_kv)": (_size(state, f"{inside}.q.weight", 0), t5.num_heads * t5.d_kv),
        "T5 hidden units (d_ff)": (_size(state, "t5.encoder.block.0.layer.1.DenseReluDense.wo.weight", 1), t5.d_ff),
    }
    problems += [f"{what} is {found} in the file and {value} in {name}" for what, (found, value) in t5_sizes.items()
                 if found not in (None, value)]
    video = any(key.startswith("visual_encoder.") for key in state)
    if video != captioner.use_video:
        problems.append(f"the file has {'a' if video else 'no'} visual encoder, captioner.use_video="
                        f"{str(captioner.use_video).lower()}")
    if problems:
        raise UserError(f"{where}: does not fit the settings: {'; '.join(problems)}; set them to the values it was "
                        "trained with")


def check_vocabulary(rows: int, vocabulary: Vocabulary, tokenizer: str, where: str) -> None:
    """Raise UserError unless the file has a row for every text piece and time token; it names what would fit."""
    text, bins = vocabulary.text_size, vocabulary.bins
    if rows == text + bins:
        return
    begin = (f"{where}: the embedding has {rows:,} rows, the tokenizer {tokenizer} {text:,} text pieces and "
             f"captioner.time_bins={bins}, {text + bins:,} together; ")
    if rows == text:
        raise UserError(begin + "the file has no time tokens (a model of titles within given boundaries), so it cannot "
                        "find events; use another checkpoint")
    if 2 <= rows - text <= MOST_BINS:
        raise UserError(begin + f"{rows - text} time tokens would fit; set captioner.time_bins={rows - text} if this "
                        "is its tokenizer")
    raise UserError(begin + f"the file needs a tokenizer of {rows - bins:,} text pieces; set captioner.tokenizer to "
                    "the one it was trained with (t5-base: 32,100)")


def check_pieces(args: Mapping[str, Any], vocabulary: Vocabulary, where: str) -> None:
    """UserError when a released file was certainly trained with T5's tokenizer, and the vocabulary is another one.

    A .pth holds no tokenizer.  Those of the published programs were trained with that of ``model_name`` (its
    arguments), so a file as long as T5's vocabulary has T5's pieces.
    """
    if vocabulary.text_size != T5_PIECES or digest_of(vocabulary.pieces[:T5_PIECES]) == T5_DIGEST:
        return
    name = args.get("model_name")
    trained = f"was trained with that of {name}" if name else "was trained with T5's, as all published ones"
    raise UserError(f"{where}: {trained}, and the tokenizer of the settings has as many pieces, {T5_PIECES:,}, but "
                    "others; set captioner.tokenizer to t5-base")


def check_memory(state: Mapping[str, Tensor], config: Config, fresh: bool, where: str) -> bool:
    """Whether the model gets a memory projection.  Raises UserError when file, settings and ``fresh`` disagree."""
    wanted = config.room.use_video and config.retrieval.search != "none" and config.room.memory_as == "vectors"
    given = has_memory(state)
    if given and not wanted:
        raise UserError(f"{where}: has a memory projection, but the settings have no memory (retrieval.search=none); "
                        "set retrieval.search, e.g. --set preset=released; the run can still predict without memory: "
                        "hicm predict RUN --set retrieval.search=none")
    if fresh and (given or not wanted):
        raise UserError(f"{where}: --fresh-memory is for a checkpoint without a memory projection and settings with a "
                        f"memory, but {'it has one' if given else 'retrieval.search=none'}; leave the option out")
    if wanted and not given and not fresh:
        raise UserError(f"{where}: has no memory projection (a Vid2Seq checkpoint), but retrieval.search="
                        f"{config.retrieval.search}; use it without memory (--set retrieval.search=none), or with "
                        "--fresh-memory for a projection of random weights that is yet to be trained")
    return wanted


def compare_args(args: Mapping[str, Any], config: Config, memory: bool) -> list[str]:
    """Differences between the training arguments in the file and the settings, one line each."""
    lines = []
    for name, setting in {**ARGUMENTS, **(MEMORY_ARGUMENTS if memory else {})}.items():
        value, ours = args.get(name), setting_value(config, setting)
        if name == "hier_use":
            value = _levels(value)
            if not ours:  # empty means all levels of the bank: nothing to compare with
                continue
        if name in args and value is not None and value != ours:
            lines.append(f"trained with {name}={value}, {setting}={ours}")
    model, t5 = args.get("model_name"), config.room.t5
    if isinstance(model, str) and t5 != "scratch" and _last_part(model) != _last_part(t5):
        lines.append(f"trained with model_name={model}, captioner.t5={t5}")
    return lines


def _last_part(name: str) -> str:
    return name.rstrip("/").split("/")[-1]


def _levels(value: Any) -> list[int] | None:
    """['level_4', 'level_1'] -> [1, 4]."""
    try:
        return sorted(int(str(item).removeprefix("level_")) for item in value)
    except (TypeError, ValueError):
        return None


def _size(state: Mapping[str, Tensor], name: str, axis: int) -> int | None:
    tensor = state.get(name)
    return tensor.shape[axis] if tensor is not None and tensor.ndim > axis else None
