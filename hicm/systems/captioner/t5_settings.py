"""What ``captioner.t5_config`` may hold: the values of a T5 from scratch, those of transformers' T5Config."""

from dataclasses import dataclass
from typing import Any, Literal

from hicm.errors import UserError
from hicm.strict import build, limited


@dataclass(frozen=True)
class T5Values:
    """A value that is not given is transformers' default, noted here."""

    d_model: int = limited(512, 1)
    d_kv: int = limited(64, 1)  # width of a head; heads x d_kv need not be d_model
    d_ff: int = limited(2048, 1)
    num_layers: int = limited(6, 1)
    num_decoder_layers: int = limited(6, 1)  # not given: as many as num_layers
    num_heads: int = limited(8, 1)
    relative_attention_num_buckets: int = limited(32, 4)
    relative_attention_max_distance: int = limited(128, 1)
    dropout_rate: float = limited(0.1, 0, 1)  # captioner.encoder_dropout and decoder_dropout take its place
    layer_norm_epsilon: float = limited(1e-6, 0)
    initializer_factor: float = limited(1.0, 0)
    feed_forward_proj: Literal["relu", "gelu", "gelu_new", "silu", "gated-relu", "gated-gelu", "gated-silu"] = "relu"
    tie_word_embeddings: bool = True  # false: an output head of its own, and no scaling (T5 v1.1)
    scale_decoder_outputs: bool = True
    pad_token_id: int = limited(0, 0, 0)
    eos_token_id: int = limited(1, 1, 1)
    decoder_start_token_id: int = limited(0, 0, 0)


# In every config.json of a T5, without effect here: the tokenizer gives the vocabulary, feed_forward_proj the rest.
WITHOUT_EFFECT = ("_name_or_path", "architectures", "classifier_dropout", "dense_act_fn", "dtype", "is_decoder",
                  "is_encoder_decoder", "is_gated_act", "model_type", "n_positions", "output_past", "own_head",
                  "task_specific_params", "torch_dtype", "transformers_version", "use_cache", "vocab_size")


def t5_values(given: dict[str, Any]) -> dict[str, Any]:
    """The values in ``given`` that are those of a T5, checked.

    Raises UserError that names an unknown one and the nearest known, one of the wrong type or outside its limits, and
    those that do not fit each other.
    """
    wanted = {name: value for name, value in given.items() if name not in WITHOUT_EFFECT and value is not None}
    values = build(T5Values, wanted, "settings", "captioner.t5_config.")
    buckets, distance = values.relative_attention_num_buckets, values.relative_attention_max_distance
    if distance <= buckets // 2:
        raise UserError(f"settings: captioner.t5_config: relative_attention_max_distance={distance} needs fewer than "
                        f"{2 * distance} relative_attention_num_buckets, found {buckets}; T5 has 128 and 32")
    return {name: getattr(values, name) for name in wanted}
