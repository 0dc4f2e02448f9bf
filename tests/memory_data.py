"""Made-up captions and the settings of a memory that a language model writes."""

import dataclasses
from pathlib import Path

import numpy as np

from hicm.config import Config, DataConfig, MemoryConfig, SummaryConfig
from hicm.files import write_json

VERBS = ("add", "cut", "boil", "fry", "mix", "peel", "serve")
THINGS = ("salt", "onion", "rice", "meat", "sauce", "egg", "fish", "oil", "dough", "garlic")


def write_config(folder: Path, videos: int = 20, **memory) -> Config:
    """``videos`` videos of six captions, hashed to 32 directions; summaries by the model "tiny" of an endpoint."""
    rng = np.random.default_rng(0)
    entries = {f"video{video}": {"duration": 30.0, "timestamps": [[0, 10]] * 6, "sentences": [
        f"{rng.choice(VERBS)} the {rng.choice(THINGS)} and the {rng.choice(THINGS)}" for _ in range(6)]}
        for video in range(videos)}
    write_json(folder / "train.json", entries)
    return Config(data=DataConfig("made-up", {"train": [str(folder / "train.json")]}),
                  memory=MemoryConfig(**{"path": str(folder / "bank"), "encoder": "hashing:32",
                                         "summariser": "openai:tiny", **memory}))


def asking(config: Config, url: str, **changes) -> Config:
    """``config`` with the endpoint ``url``."""
    return dataclasses.replace(config, summary=SummaryConfig(endpoint=url, **{"timeout": 5.0, "retries": 2, **changes}))
