"""What a converted run's notes and model card say about the weights of HiCM2 and Vid2Seq."""

from dataclasses import asdict

from hicm.config import Config
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.released.checkpoint import Checkpoint
from hicm.systems.captioner.released.compatibility import compare_args, has_memory
from hicm.systems.released import Source, unlike_released

KINDS = {"hicm2": "HiCM2 (Kim et al., AAAI 2025, arXiv 2412.14585)",
         "vid2seq": "Vid2Seq (Yang et al., CVPR 2023; PyTorch weights of VidChapters)",
         "hicm": "a captioner trained by hicm"}
SHOWN = ("model_name", "combine_datasets", "epochs", "lr", "batch_size", "schedule", "seed", "load", "num_bins",
         "max_feats", "depth", "heads", "mlp_dim", "ret_option", "bank_type", "window_size", "soft_k", "hier_ret_num",
         "hier_use", "ret2t5_proj", "LLM_ver")  # arguments of the training program that the card lists
READING = ("captioner.mask_padding",)  # of the preset: how the model reads its input, without memory
RECALLING = ("retrieval.search", "retrieval.tail", "retrieval.mask_padding", "retrieval.precision")  # with one
NEW = {"memory_projection.": "memory projection", "pointing.": "output that points (point_times, copy_words)"}


def kind_of(source: Source, content: Checkpoint) -> str:
    """A key of `KINDS`."""
    return "hicm" if source.ours else "hicm2" if has_memory(content.state) else "vid2seq"


def make_notes(source: Source, content: Checkpoint, config: Config, missing: list[str]) -> list[str]:
    """What the user should know, one line each; ``missing`` are the names that the file lacks."""
    memory = has_memory(content.state)
    notes = compare_args(content.args, config, memory)
    own = source.about.get("settings")
    if isinstance(own, dict):
        ours = asdict(config.room)
        notes += [f"trained with captioner.{name}={own[name]}, now captioner.{name}={value}"
                  for name, value in ours.items()
                  if name not in ("init", "objective", "decode") and name in own and own[name] != value]
    elif not source.ours:
        notes += unlike_released(config, (*READING, *(RECALLING if memory else ())))
    if missing:
        parts = [what for part, what in NEW.items() if any(name.startswith(part) for name in missing)]
        notes += [f"its {what} has random weights; train it before you trust its captions" for what in parts]
    return notes


def make_rows(model: Captioner, config: Config) -> dict[str, str]:
    """Rows of the model card."""
    captioner = config.room
    frames = f"{config.data.frames} frames, padding {'masked' if captioner.mask_padding else 'attended'}"
    return {
        "text model": f"`{captioner.t5}`, {model.t5.config.vocab_size:,} embeddings, {captioner.time_bins} of them "
                      "time tokens",
        "visual encoder": f"{captioner.visual_depth} layers, {captioner.visual_heads} heads (a setting, not visible in "
                          f"the weights), {frames}" if captioner.use_video else "none",
    }
