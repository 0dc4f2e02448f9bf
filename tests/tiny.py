"""A data set, settings and a memory so small that training takes seconds."""

from pathlib import Path

import yaml

from hicm.config import Config, load_config
from hicm.recipes.demo.dataset import make_dataset
from hicm.stages.build_memory import build_memory

WIDTH = 24


def make_tiny(folder: Path, videos: int = 8, **changes: str | int | float | bool | list) -> Path:
    """Write a made-up data set with its memory bank; returns the settings file.

    ``changes`` are ``section__key=value``, or ``section__part__key=value``.
    """
    data = folder / "data"
    make_dataset(data, {"train": videos, "val": 3}, width=WIDTH, seed=0)
    content = {
        "data": {"name": "tiny", "annotations": {s: str(data / f"{s}.json") for s in ("train", "val")},
                 "features": str(data / "features.h5"), "speech": str(data / "speech.json"), "frames": 20},
        "memory": {"path": str(folder / "bank"), "encoder": f"hashing:{WIDTH}"},
        "retrieval": {"windows": 4, "top_k": 2},
        "captioner": {"t5": "scratch", "tokenizer": "train", "vocabulary": 200, "visual_depth": 1, "visual_heads": 4,
                      "visual_mlp": 32, "max_speech_tokens": 60, "max_caption_tokens": 60,
                      "t5_config": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_decoder_layers": 1,
                                    "num_heads": 4},
                      "decode": {"beams": 1, "max_tokens": 30, "grammar": True}},
        "parallel": {"queries": 6, "width": 32, "hidden": 32, "heads": 2, "levels": 2, "points": 2,
                     "encoder_layers": 1, "decode": {"batch": 2, "max_words": 8}},
        "moments": {"words": f"each:hashing:{WIDTH}", "classes": 30, "queries": 4, "width": 32, "hidden": 32,
                    "heads": 2, "word_layers": 1, "sentence_layers": 1, "aligner_layers": 1, "encoder_layers": 1,
                    "decode": {"batch": 2}},
        "train": {"epochs": 2, "batch": 2, "lr": 1e-3, "log_every": 1, "checkpoint_every": 3, "eval_every": 2,
                  "select_on": "soda_d"},
    }
    for key, value in changes.items():
        *sections, name = key.split("__")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    build_memory(load_config(path))
    return path


def tiny_config(folder: Path, **changes: str | int | float | bool | list) -> Config:
    """The settings of `make_tiny`, loaded."""
    return load_config(make_tiny(folder, **changes))
