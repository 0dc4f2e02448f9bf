"""The prediction stage: a checkpoint folder and a split in, a predictions file out."""

from pathlib import Path

import torch

from hicm.config import Config, digest
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.systems.captioner.dataset import open_split, recall
from hicm.systems.captioner.predict import predict
from hicm.systems.captioner.weights import load_captioner


def predict_split(config: Config, run: Path, checkpoint: Path, split: str, out: Path) -> Path:
    """Caption the videos of a split; returns ``out``: ``{"version", "run", "split", "checkpoint", "results"}``.

    What the videos recall stands beside ``out``, so that other retrieval settings need but another folder.  Finished
    videos of an interrupted call are kept there too and not asked for again.  Raises UserError when the
    checkpoint does not fit the data.
    """
    model, vocabulary, about = load_captioner(checkpoint)
    dataset = open_split(config, split, vocabulary, recall(config, split, out.parent))
    if model.config.use_video and model.feature_width != dataset.features.width:
        raise UserError(f"{config.data.features}: features are {dataset.features.width} wide, the captioner in "
                        f"{checkpoint} reads {model.feature_width}; use the features it was trained on")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    identity = f"{about.get('run')} step {about.get('step')} split {split} recall {digest(vars(config.retrieval))}"
    journal = out.with_name(f".{out.name}.part")
    results = predict(model.to(device), dataset, vocabulary, config.predict, device, journal=journal,
                      identity=identity)
    manifest = read_json(run / "manifest.json", "run manifest")
    step = {} if about.get("step") is None else {"step": about["step"]}  # of converted weights nobody knows it
    write_json(out, {"version": "VERSION 1.0", "external_data": {}, "run": manifest["run"], "split": split,
                     "checkpoint": {"name": checkpoint.name, **step}, "results": results})
    journal.unlink(missing_ok=True)
    return out
